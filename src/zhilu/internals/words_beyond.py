"""The words of lesson 6.7, a part each; made as those of the first six are (see ``words``)."""

from __future__ import annotations

from zhilu.internals.words import Words
from zhilu.messages import T

__all__ = ["BEYOND"]

BEYOND: dict[str, Words] = {
    "6.4.2": Words(
        T("ZeRO, stage by stage", "ZeRO，一级一级来"),
        T("Keep only what nobody else has", "别人有的，自己不存"),
        T(
            "Training with Adam keeps four numbers for every weight: the weight, its gradient, and two running means. In data parallel "
            "training every process keeps all four, though the others have the very same. ZeRO shares them out.\n\n"
            "Stage 1: each process keeps the means of its own piece, updates that piece, and the pieces are gathered. Stage 2: a "
            "layer's gradient goes to its owners as soon as it is computed and is forgotten elsewhere. Stage 3: the weights are shared "
            "out too, and a layer is put together just before it is used. Only the third sends more than plain data parallel training.",
            "用 Adam 训练，每个权重要存四个数：权重、梯度、两个滑动平均。"
            "数据并行时，每个进程都把四个数全存一遍，尽管别人有一模一样的。ZeRO 把它们分开存。\n\n"
            "第一级：每个进程只存自己那份的滑动平均，更新自己那份，再把各份收集起来。第二级：一层的梯度一算出来就送给各自的主人，别处马上忘掉。"
            "第三级：权重也分开存，用到哪一层才临时拼出哪一层。只有第三级比普通数据并行发送得更多。",
        ),
        T(
            "With very many processes, how much less does each one keep in stage 1 than in plain data parallel training?",
            "进程非常多时，第一级让每个进程存的东西变成普通数据并行的几分之一？",
        ),
        (T("a fifth less", "少五分之一"), T("half", "一半"), T("a quarter", "四分之一")),
    ),
    "6.4.3": Words(
        T("Texts, experts, grids", "文本、专家、网格"),
        T("What else can be split, and two ways at once", "还有什么能切，以及两种切法一起用"),
        T(
            "A very long text: everybody takes a stretch of it. To attend to the rest, keys and values go around a ring, and each "
            "process adds up what it sees with the softmax of lesson 6.3. What stands between the matrices, too, can be kept in pieces "
            "of the text (sequence parallel). With experts, each process has some of them, and tokens travel to the expert that they "
            "chose, and back.\n\n"
            "Large trainings combine the ways: processes form a grid, in which neighbours cut the matrices between them, since they "
            "talk most, and rows share the batch. Below, four real processes do all of this on this machine, and PyTorch's own parts "
            "do it beside them.",
            "文本特别长时，每个进程拿其中一段。要看别处，键和值就沿着环转一圈，各进程用第 6.3 课的 softmax 把看到的累加起来。"
            "矩阵之间的部分也可以按文本分段存放（序列并行）。有专家时，每个进程管几个专家，token 走到自己选中的专家那里，再回来。\n\n"
            "大型训练会把几种切法合起来：进程排成网格，说话最多的邻居之间切矩阵，各行之间分数据。"
            "下面四个真实进程在本机把这些全做一遍，PyTorch 自带的部件也在旁边做同样的事。",
        ),
        T(
            "Four processes attend to one long text in a ring. How often does each one's stretch of keys and values travel on?",
            "四个进程围成环看同一段长文本。每个进程要把一段键和值往下传几次？",
        ),
        (T("once", "一次"), T("three times", "三次"), T("sixteen times", "十六次")),
    ),
    "6.7.1": Words(
        T("Experts", "专家"),
        T("A large model of which a token uses a small part", "很大的模型，每个 token 只用一小部分"),
        T(
            "Most weights of a model sit in its feed-forward blocks. In a mixture of experts, such a block is many small ones, the "
            "experts, and each token goes to a few of them. DeepSeek-V3 has 671 billion weights and uses 37 billion for a token. A "
            "router decides: each expert scores the token, the best are taken, and their scores say how much each one counts. One "
            "more expert is shared by all tokens, for what everybody needs.\n\n"
            "Left alone, the router sends most tokens to a few favourites, which then learn most and become even better liked. The "
            "older remedy is an extra loss that punishes it; but then the model learns to please that loss as well. DeepSeek adds a "
            "small number to each expert's score, only for the choice: after every step it falls for who had too much to do and "
            "rises for who had too little.",
            "模型的大部分权重都在前馈块里。混合专家模型把一个前馈块换成许多小块，也就是专家，每个 token 只去其中几个。"
            "DeepSeek-V3 有 6710 亿个权重，处理一个 token 只用 370 亿个。由路由器来决定：每个专家给 token 打分，取分数最高的几个，"
            "分数再决定各占多少分量。另有一个共享专家，所有 token 都去，学大家都需要的东西。\n\n"
            "放着不管，路由器会把大多数 token 送给几个受宠的专家，它们学得最多，就更受宠。老办法是加一项损失来惩罚，"
            "但模型也会花力气去讨好这项损失。DeepSeek 给每个专家的分数加上一个小数，只用于选择：每走一步，忙的减一点，闲的加一点。",
        ),
        T(
            "An expert's bias is made very large. What changes in what it contributes to a token that already chose it?",
            "把一个专家的偏置调得很大。对本来就选了它的 token，它的贡献会怎样？",
        ),
        (T("nothing: the bias only chooses", "不变：偏置只影响选择"), T("it counts for more", "分量变大")),
    ),
    "6.7.2": Words(
        T("Guessing ahead", "投机解码"),
        T("A small model guesses, the large one checks", "小模型猜，大模型查"),
        T(
            "Writing a token takes a large model a whole pass over its weights, whether it judges one place or five. So let a small "
            "model write four guesses, and let the large one look at all of them in one pass. Guesses that it agrees with are kept; at "
            "the first one that it does not, its own token is taken instead, and the rest is thrown away. Even in the worst case a "
            "pass gives one token, as before.\n\n"
            "It must not change what is written. A guess is kept with the chance `target / draft`; one that is thrown away is replaced "
            "by a token drawn from what the draft gave too little of. Together this is exactly the large model's own distribution, "
            "not nearly. Below, twenty thousand draws are held against it.",
            "大模型每写一个 token，都要把全部权重读一遍；而一遍里判断一个位置还是五个位置，花的时间差不多。于是让小模型先猜四个，"
            "大模型用一遍把它们全看完。同意的留下；碰到第一个不同意的，换成它自己的 token，后面的丢掉。最坏的情况也和以前一样，一遍一个。\n\n"
            "写出来的内容不能变。猜测以 `目标概率 / 草稿概率` 的机会被留下；被丢掉的，用草稿给少了的那部分重新抽一个。"
            "合起来恰好就是大模型自己的分布，不是近似。下面抽两万次来核对。",
        ),
        T(
            "Each guess is right with 80 %, and four are made before each pass. How many tokens does a pass give?",
            "每个猜测有 80% 的机会被接受，每遍之前猜四个。平均一遍能得到几个 token？",
        ),
        (T("about 1.8", "约 1.8"), T("about 3.4", "约 3.4"), T("about 5", "约 5")),
    ),
    "6.7.3": Words(
        T("Two tokens ahead", "多 token 预测"),
        T("Ask for the token after the next, too", "再问一问下下个 token"),
        T(
            "A model is trained to say the next token. DeepSeek-V3 asks a second question on the same text: a small extra block is told "
            "the next token and has to say the one after it. The same text teaches twice, and the model has to prepare what it will need "
            "a step later.\n\n"
            "When the model is used, the block can be left out. Or it is kept as a draft for guessing ahead: it costs one block instead "
            "of a second model, and DeepSeek reports that 85 to 90 % of its guesses are right.",
            "模型通常只学说下一个 token。DeepSeek-V3 在同一段文字上再问一个问题：一个小小的附加块被告知下一个 token，要说出再下一个。"
            "同样的文字教了两遍，模型也得为下一步提前准备。\n\n"
            "使用时可以去掉这个块；也可以留着当投机解码的草稿：只多花一个块，不需要第二个模型。DeepSeek 报告说 85% 到 90% 的猜测是对的。",
        ),
        T(
            "After a few hundred steps on a small model: how often is the second guess right?",
            "小模型训练几百步之后，第二个 token 猜对的比例是多少？",
        ),
        (T("hardly ever", "几乎从不"), T("sometimes, up to nearly always", "有时，甚至常常"), T("always", "总是")),
    ),
    "6.7.4": Words(
        T("Quantisation", "量化"),
        T("The same weights in fewer bits", "用更少的位存同样的权重"),
        T(
            "A weight takes 16 bits. In 4 bits, the model fits into a quarter of the memory, and since memory is what a pass waits for, it is "
            "faster too. But 4 bits have only 16 different values.\n\n"
            "The plain way: each row has a scale, and each number goes to the nearest step. NF4 is cleverer about the steps: weights lie "
            "in a bell curve, so it puts many steps near zero, where most weights are. GPTQ is cleverer about the errors: it rounds one column "
            "after the other, and each time lets the columns still to come make good for the error, as far as the real inputs of the layer show "
            "that they can.",
            "一个权重占 16 位。换成 4 位，模型只要四分之一的内存；而每一遍都在等内存，所以也更快。但 4 位只有 16 个不同的值。\n\n"
            "简单的做法：每行一个缩放，每个数取最近的一级。NF4 在“级”上下功夫：权重呈钟形分布，所以在零附近多放几级，因为大多数权重在那里。"
            "GPTQ 在“误差”上下功夫：一列一列地舍入，每次让后面的列去弥补前面的误差，能弥补多少，看这一层真实的输入。",
        ),
        T(
            "Both have 3 bits for a weight. Does it matter how one rounds?",
            "同样是每个权重 3 位，怎么舍入有区别吗？",
        ),
        (T("yes, by more than a tenth", "有，差一成以上"), T("hardly", "几乎没有")),
    ),
    "6.7.5": Words(
        T("Preferences", "偏好学习"),
        T("From “which is better” to a better model", "从“哪个更好”到更好的模型"),
        T(
            "Examples teach a model to write as others wrote. To make it better than its examples, it has to be told how good its own "
            "answers are. PPO lets it write, judges, and makes what went better than expected likelier; a second model estimates what was "
            "to be expected, and a clip keeps each step small. GRPO (DeepSeek-R1) drops the second model: it writes several answers to "
            "each question and compares them with each other. DPO writes nothing at all: it takes pairs of a better and a worse answer "
            "and raises one over the other.\n\n"
            "All three hold the model near to where it began; otherwise it finds nonsense that the judge happens to like. The surprising "
            "result of the DPO paper is that its simple loss has the same optimum as the whole machinery of PPO. Below, that is computed "
            "exactly, and then a small model learns to count upwards in all three ways.",
            "示例教模型照别人的样子写。要比示例更好，就得有人告诉它自己的回答有多好。PPO 让它写、打分，让比预期好的变得更可能；"
            "第二个模型负责估计“预期”，再用裁剪让每一步都很小。GRPO（DeepSeek-R1）去掉了第二个模型：每个问题写几个回答，互相比较。"
            "DPO 什么也不写：拿一对更好和更差的回答，把一个抬到另一个之上。\n\n"
            "三者都不让模型离起点太远，否则它会找到评判恰好喜欢的胡言乱语。DPO 论文令人惊讶的结论是：它简单的损失与 PPO 那一整套有同一个最优解。"
            "下面先精确算出这一点，再让一个小模型用三种方法学会往上数。",
        ),
        T(
            "DPO and PPO with the same reward and the same leash: where do they end?",
            "DPO 和 PPO 用同样的奖励、同样的约束，会到哪里？",
        ),
        (T("at the same optimum", "同一个最优解"), T("at different ones", "不同的地方")),
    ),
    "6.7.6": Words(
        T("Scaling laws", "规模定律"),
        T("How much better will a larger one be?", "再大一点会好多少？"),
        T(
            "A large training costs millions, so one wants to know its outcome before. It turns out that the loss falls along a simple "
            "curve: what no model can know, plus something that shrinks as a power of the size, plus something that shrinks as a power of "
            "the text. Train a few small ones, fit the curve, and read off the large one. This is how sizes of models are decided, and how "
            "Chinchilla found that models had been too large for their text.\n\n"
            "Below, five tiny models are trained, the curve is fitted without the largest, and then it is asked about the largest. The "
            "powers come with how far they can be believed: with five small models, that is not very far.",
            "一次大训练要花几百万，所以人们想事先知道结果。事实证明，损失沿一条简单的曲线下降：任何模型都无法知道的部分，"
            "加上随规模按幂次减小的部分，再加上随文本量按幂次减小的部分。训练几个小的，拟合曲线，就能读出大的。模型的规模就是这样定的；"
            "Chinchilla 也是这样发现以前的模型相对于文本太大了。\n\n"
            "下面训练五个极小的模型，不用最大的那个来拟合，再用曲线去预言它。幂次后面写着可信的范围：只有五个小模型，范围并不窄。",
        ),
        T(
            "Ten times the text, the same model: by how much does the part of the loss that depends on the text shrink?",
            "文本变成十倍、模型不变，损失中取决于文本量的那部分缩小多少？",
        ),
        (T("by less than three times", "不到三倍"), T("about ten times", "约十倍")),
    ),
}
