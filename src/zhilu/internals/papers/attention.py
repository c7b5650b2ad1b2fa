"""Papers about architecture, attention and memory."""

from __future__ import annotations

from zhilu.internals.papers.paper import Paper
from zhilu.messages import T

__all__ = ["ATTENTION"]

ATTENTION = (
    Paper(
        "llama",
        T("LLaMA", "LLaMA"),
        "LLaMA: Open and Efficient Foundation Language Models (Touvron et al. 2023)",
        "2302.13971",
        T(
            "A smaller model trained on much more text is the better bargain, because it is cheap to run for ever after. "
            "LLaMA-13B, trained on public "
            "text only, beats GPT-3 with 175 billion weights on most benchmarks. Its recipe became everybody's: norm before each block, SwiGLU, "
            "rotary positions.",
            "用多得多的文本训练一个较小的模型更划算，因为以后每次运行都便宜。LLaMA-13B 只用公开文本训练，"
            "就在多数基准上胜过 1750 亿权重的 GPT-3。"
            "它的配方成了大家的配方：每块之前归一化、SwiGLU、旋转位置。",
        ),
        r"\mathrm{FFN}(x) = W_{down}\,\left(\mathrm{SiLU}(W_{gate}\,x) \odot W_{up}\,x\right)",
        T(
            "The feed-forward block makes two wide vectors from x. One goes through a soft switch and says, number by "
            "number, how much of the other "
            "passes. What passes is brought back to the old width.",
            "前馈块从 x 造出两个宽向量。一个经过柔和的开关，逐个数决定另一个放行多少；放行的部分再变回原来的宽度。",
        ),
        (
            ("training/model.py", "MLP.forward"),
            ("training/model.py", "Block.forward"),
            ("engine/observe.py", "rms_norm"),
        ),
        T(
            "Figure 1 of the paper: loss over text read, for several sizes. Here: five tiny models of the same design on "
            "Zhilu's own source. The "
            "order of the curves is the point; their height is not comparable.",
            "论文图 1：不同规模的模型随读过的文本下降的损失。这里是五个同样结构的极小模型，文本是指路自己的源代码。"
            "要看的是曲线的次序，高度不可比。",
        ),
        "llama",
        "6.1",
    ),
    Paper(
        "rope",
        T("RoPE", "RoPE"),
        "RoFormer: Enhanced Transformer with Rotary Position Embedding (Su et al. 2021)",
        "2104.09864",
        T(
            "Turn each query and key by an angle that grows with its position; then their product depends on the "
            "distance only. Nothing is added to "
            "the words, and far tokens weigh less by themselves.",
            "把每个查询和键按所在位置转一个角度，它们的乘积就只取决于距离。词向量上什么也不用加，远处的 token 自然分量更小。",
        ),
        r"\langle R_m q,\; R_n k \rangle = \langle q,\; R_{n-m}\,k \rangle, \qquad \theta_i = 10000^{-2i/d}",
        T(
            "Numbers are taken in pairs, and each pair is a hand of a clock. The hands turn at different speeds. Comparing two tokens compares "
            "their hands, so only how far one has turned against the other counts.",
            "数两个两个成对，每一对是一根表针，各转各的速度。比较两个 token 就是比较它们的表针，所以只有相差的角度算数。",
        ),
        (
            ("engine/observe.py", "rotate"),
            ("engine/runner/rope.py", "inverse_frequencies"),
            ("training/model.py", "rope_table"),
        ),
        T(
            "Figure 2 of the paper: the bound on the score falls with distance. And a check that the paper's equation holds in our code: both "
            "tokens are moved by 500 places and the score stays.",
            "论文图 2：得分的上界随距离下降。并检验论文的等式在我们的代码里成立：两个 token 一起移动 500 个位置，得分不变。",
        ),
        "rope",
        "6.2",
        needs_torch=False,
    ),
    Paper(
        "flashattention",
        T("FlashAttention", "FlashAttention"),
        "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness (Dao et al. 2022)",
        "2205.14135",
        T(
            "Attention waits for memory, not for arithmetic. Computed in tiles that stay in the fast memory, it is "
            "exact, needs memory that grows with the "
            "length instead of its square, and trained GPT-2 three times as fast.",
            "注意力慢在等内存，而不是算术。分成小块、留在快速内存里算，结果精确，内存随长度而不是随长度的平方增长；训练 GPT-2 快了三倍。",
        ),
        r"m' = \max(m, \tilde m), \qquad \ell' = e^{m - m'}\,\ell + e^{\tilde m - m'}\,\tilde\ell",
        T(
            "Each row remembers its largest score so far (m) and its sum so far (ℓ). A new tile may bring a larger "
            "score; then the old sum is scaled "
            "down to the new measure before both are added.",
            "每一行记住目前的最大分数（m）和目前的和（ℓ）。新的一块可能带来更大的分数；这时先把旧的和缩到新的尺度，再相加。",
        ),
        (
            ("internals/lessons/lesson3_flash_attention.py", "forward"),
            ("internals/lessons/lesson3_flash_attention.py", "backward"),
        ),
        T(
            "Figure 3 (right) of the paper: memory by length. Measured on this processor, in NumPy: the shape of the "
            "curves is the paper's, the speed is not.",
            "论文图 3（右）：内存随长度的变化。在本机处理器上用 NumPy 实测：曲线的形状与论文一致，速度不是。",
        ),
        "flash",
        "6.3",
        needs_torch=False,
    ),
    Paper(
        "flashattention-2",
        T("FlashAttention-2", "FlashAttention-2"),
        "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning (Dao 2023)",
        "2307.08691",
        T(
            "The first version reached 25 to 40 % of what a GPU can do. Dividing by the row's sum only once, at the end, "
            "leaving out tiles that lie in the "
            "future, and splitting the work along the length doubles its speed.",
            "第一版只达到显卡能力的 25% 到 40%。只在最后除一次行的和、跳过位于未来的小块、沿长度方向分工，速度翻倍。",
        ),
        r"O_i = \mathrm{diag}(\ell_i)^{-1}\,\tilde O_i \quad\text{(once, at the end)}",
        T(
            "What was collected is divided by the sum when the row is finished, not after every tile: multiplications "
            "that are no matrix product are what "
            "a GPU is slow at.",
            "等一行全部算完才除以和，而不是每块都除：显卡最慢的正是这些不属于矩阵乘法的运算。",
        ),
        (
            ("internals/lessons/lesson3_flash_attention.py", "forward"),
            ("internals/lessons/lesson3_flash_torch.py", "FlashAttention"),
        ),
        T(
            "Counted while our code runs: tiles that were computed, of all there are, and divisions by the row's sum, "
            "once a row against once a tile.",
            "在我们的代码运行时数出来：实际计算的小块占全部的多少；以及除以行和的次数，每行一次与每块一次之比。",
        ),
        "flash2",
        "6.3",
        needs_torch=False,
    ),
    Paper(
        "flashattention-3",
        T("FlashAttention-3", "FlashAttention-3"),
        "FlashAttention-3: Fast and Accurate Attention with Asynchrony and Low-precision (Shah et al. 2024)",
        "2407.08608",
        T(
            "On Hopper GPUs, products and softmax are made to overlap, and 8-bit numbers are used: up to 740 TFLOPs/s in 16 bits (75 % of the "
            "hardware). Its 8-bit attention has 2.6 times less error than the plain kind, by scales for each block and "
            "by turning queries and keys first.",
            "在 Hopper 显卡上让乘法与 softmax 重叠，并使用 8 位数：16 位时最高 740 TFLOPs/s（硬件的 75%）。"
            "靠每块一个缩放、并先把查询和键转一转，它的 8 位注意力误差比普通做法小 2.6 倍。",
        ),
        r"(Q M)(K M)^{\top} = Q K^{\top}, \qquad M M^{\top} = I",
        T(
            "Turning both by the same rotation changes no score, but it spreads a few very large numbers over all "
            "places, and then 8 bits are enough "
            "for each of them.",
            "两者做同样的旋转，得分不变；但少数特别大的数被摊到所有位置上，这样每个数用 8 位就够了。",
        ),
        (("internals/papers/figures.py", "flash3"), ("internals/lessons/lesson3_flash_attention.py", "exact")),
        T(
            "Table 3 of the paper, with its kind of numbers (one in a thousand is very large): error of 8-bit attention. "
            "Its overlapping needs a Hopper "
            "GPU and cannot be shown here.",
            "论文表 3：用它那种数据（千分之一特别大）测 8 位注意力的误差。它的重叠执行需要 Hopper 显卡，这里无法展示。",
        ),
        "flash3",
        "6.3",
    ),
    Paper(
        "pagedattention",
        T("PagedAttention", "PagedAttention"),
        "Efficient Memory Management for Large Language Model Serving with PagedAttention (Kwon et al. 2023)",
        "2309.06180",
        T(
            "Servers before vLLM used 20 to 38 % of their cache memory for tokens; the rest was kept free for answers "
            "that might get long. In pages, "
            "less than 4 % is wasted, and the same machine serves two to four times as many.",
            "vLLM 之前的服务只有 20% 到 38% 的缓存内存真正存着 token，其余都为可能变长的回答空着。分页之后浪费不到 4%，"
            "同一台机器能服务两到四倍的请求。",
        ),
        r"A_{ij} = \frac{\exp(q_i^{\top} K_j / \sqrt d)}{\sum_{t} \exp(q_i^{\top} K_t / \sqrt d)\,\mathbf 1}, \qquad K_j = \text{block } j",
        T(
            "Attention as ever, but keys come in blocks that may lie anywhere; a table says where. The last block is the "
            "only one that can be partly empty.",
            "注意力照旧，只是键以块为单位、可以放在任何地方，由一张表记着。只有最后一块可能不满。",
        ),
        (
            ("internals/lessons/lesson5_paged.py", "attend"),
            ("engine/blocks.py", "BlockPool.grow"),
            ("engine/scheduler.py", "Scheduler.schedule"),
        ),
        T(
            "Figure 2 of the paper: share of memory that holds tokens. The lengths of answers are drawn here (most "
            "short, a few long), the sharing out is our code's.",
            "论文图 2：真正存着 token 的内存比例。回答长度是这里抽取的（大多短、少数长），分配由我们的代码完成。",
        ),
        "paged",
        "6.5",
        needs_torch=False,
    ),
    Paper(
        "deepseek-v2",
        T("DeepSeek-V2", "DeepSeek-V2"),
        "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model (2024)",
        "2405.04434",
        T(
            "236 billion weights, 21 billion of them used for a token. Keys and values of all heads are made from one "
            "short vector, which is all that is "
            "kept: 93.3 % less cache than DeepSeek 67B, and 5.76 times its throughput.",
            "2360 亿权重，每个 token 只用 210 亿。所有头的键和值都由一个短向量生成，只需存这个向量：缓存比 DeepSeek 67B "
            "少 93.3%，吞吐是其 5.76 倍。",
        ),
        r"c_t = W^{DKV} h_t, \qquad k_t = W^{UK} c_t, \qquad q^{\top} k_t = (W^{UK\top} q)^{\top} c_t",
        T(
            "A short vector c is kept for each token. A key would be made from it by a matrix; instead the query is "
            "turned by the same matrix once, "
            "and compared with c itself.",
            "每个 token 只存一个短向量 c。键本可以由它乘一个矩阵得到；但更省事的是把查询用同一个矩阵转一次，直接与 c 比较。",
        ),
        (
            ("internals/lessons/lesson2_kv_cache.py", "absorbed_scores"),
            ("internals/lessons/lesson2_kv_cache.py", "latent_bytes_per_token"),
        ),
        T(
            "The 93.3 % computed from both models' published shapes (with the 6 bits that the paper keeps the cache in), and the scores in the "
            "short space against those of full keys.",
            "由两个模型公开的形状算出 93.3%（按论文所说缓存用 6 位），并把短空间里的得分与完整键的得分对照。",
        ),
        "deepseek_v2",
        "6.2",
        needs_torch=False,
    ),
)
