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
                "Until the lens page is there: while `zhilu up` runs, POST /tokenize gives the tokens of any text.",
                "在透视页面做好之前：`zhilu up` 运行时，POST /tokenize 会给出任意文本的 token。",
            ),
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
                "You will pick a token and see the weights of every layer and head.",
                "届时你可以点选一个 token，查看每一层、每个头的权重。",
            ),
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
                "You will swap words and compare the attention scores before and after.",
                "届时你可以交换词序，对比前后的注意力得分。",
            ),
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
                "Already now: `zhilu model show zhilu-nano` prints the architecture and the parameters of a model.",
                "现在就可以：`zhilu model show zhilu-nano` 会打印模型的架构和参数量。",
            ),
            "zhilu model show zhilu-nano",
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
                "You will take one step by hand and watch loss and weights.",
                "届时你可以手动训练一步，观察损失和权重的变化。",
            ),
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
                "Already now: in the Chat page, edit a question and compare the branches of the answer.",
                "现在就可以：在“对话”页编辑一个问题，比较不同分支的回答。",
            ),
            "zhilu chat",
        ),
    ),
    T(
        "Also to see: logits with temperature / top-k / top-p moving live, greedy vs sampled, stop tokens, KV cache growth.",
        "还可以看：随 temperature / top-k / top-p 实时变化的 logits、贪心与采样的区别、停止 token、KV 缓存的增长。",
    ),
)
