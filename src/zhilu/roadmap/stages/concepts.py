"""Stage 1."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["CONCEPTS"]

CONCEPTS = Stage(
    "1",
    T("Concepts", "基础概念"),
    T("What happens inside, seen on a real model; no mathematics needed", "在真实模型上看清内部发生了什么，不需要数学"),
    T("The embedded model, or any model you load", "内置模型，或你加载的任何模型"),
    (
        Task(
            "1.1",
            T("Tokens and tokenizers", "Token 与分词器"),
            T(
                "predict, then see: token count and boundaries of a text of the learner's own",
                "先预测再揭晓：自己写的一段文本有多少 token、边界在哪里",
            ),
            T(
                "A model reads tokens, not letters. They decide price, speed and how much text fits, and Chinese and English differ in them.",
                "模型读到的是 token，不是字符。费用、速度和能放下多少文本都由它决定，中文与英文也不一样。",
            ),
            T(
                "In Lens, tab Tokens: write a text of your own, mark where you expect tokens to begin, then look. "
                'Or: `zhilu lens tokens "YOUR|TEXT" --guess`.',
                "在“透视”的 Token 页：写一段自己的话，标出你预测的 token 开头，再揭晓。"
                '也可以：`zhilu lens tokens "你的|文本" --guess`。',
            ),
            "zhilu lens tokens",
        ),
        Task(
            "1.2",
            T("Attention", "注意力机制"),
            T(
                "find, in the attention map of the loaded model, the token that a given token looks at most",
                "在已加载模型的注意力图中，找出某个 token 最关注的 token",
            ),
            T(
                "Attention is how a word takes its meaning from the words before it: each token weighs all earlier ones.",
                "注意力让一个词从前文获得含义：每个 token 都会给之前的所有 token 加权。",
            ),
            T(
                "In Lens, tab Attention: choose a head and a token, and find what it looks at most in the map of your own text.",
                "在“透视”的注意力页：选一个头和一个 token，在自己文本的图里找出它最关注的 token。",
            ),
            "zhilu lens attention",
        ),
        Task(
            "1.3",
            T("Position encoding", "位置编码"),
            T(
                "same words, other order: read off how RoPE/sinusoidal positions change the scores",
                "同样的词换个顺序：读出 RoPE / 正弦位置编码如何改变得分",
            ),
            T(
                "Without positions, 'dog bites man' and 'man bites dog' are the same set of words. Position encoding also limits the context length.",
                "没有位置信息，“狗咬人”和“人咬狗”就是同一堆词。上下文长度的上限也与它有关。",
            ),
            T(
                "In Lens, tab Positions: let two words change places, and say which order scores higher before you look.",
                "在“透视”的位置页：让两个词交换位置，先说出哪种顺序得分更高，再揭晓。",
            ),
            "zhilu lens positions",
        ),
        Task(
            "1.4",
            T("Transformer architecture", "Transformer 架构"),
            T(
                "name each block's share of the parameters of the loaded model, counted from its weights",
                "说出已加载模型中各模块占参数的比例（从权重中数出来）",
            ),
            T(
                "Embedding, attention, feed-forward, normalisation, output: knowing where "
                "the parameters sit explains memory, speed and what LoRA changes.",
                "嵌入、注意力、前馈、归一化、输出：知道参数都在哪里，就能理解内存、速度以及 LoRA 改了什么。",
            ),
            T(
                "In Lens, tab Architecture: give each part its share of the parameters, then see them counted.",
                "在“透视”的架构页：给每个部分分配参数占比，再看实际数出的结果。",
            ),
            "zhilu lens architecture",
        ),
        Task(
            "1.5",
            T("Inference vs training", "推理与训练的区别"),
            T(
                "one training step moves the loss; inference leaves the weights' hash unchanged",
                "训练一步会改变损失；推理不会改变权重的哈希值",
            ),
            T(
                "Chatting does not teach a model anything. Training changes weights and needs several times the memory of inference.",
                "和模型聊天并不会让它学到东西。训练会修改权重，所需内存是推理的好几倍。",
            ),
            T(
                "In Lens, tab Next word: say what one step of training changes, then take it on a copy of the model.",
                "在“透视”的“下一个词”页：先说出训练一步会改变什么，再在模型副本上训练一步。",
            ),
            "zhilu lens step",
        ),
        Task(
            "1.6",
            T("Prompt format and prompt engineering", "提示格式与提示工程"),
            T(
                "render the chat template; a prompt written by the learner beats the given baseline on a scored task",
                "渲染对话模板；自己写的提示在打分任务上超过给定的基线",
            ),
            T(
                "A chat is one long text with markers between the turns. A wrong template makes a good model answer badly, without any error.",
                "对话其实是一段带有轮次标记的长文本。模板用错了，好模型也会答得很差，而且不会报错。",
            ),
            T(
                "In Lens, tab Prompts: see a chat rendered with its marks, then write a prompt that has more questions right.",
                "在“透视”的提示页：看对话渲染后的标记，再写一个答对更多题的提示。",
            ),
            "zhilu lens prompt",
        ),
    ),
    T(
        "Also to see: logits with temperature / top-k / top-p moving live, greedy vs sampled, stop tokens, KV cache growth.",
        "还可以看：随 temperature / top-k / top-p 实时变化的 logits、贪心与采样的区别、停止 token、KV 缓存的增长。",
    ),
)
