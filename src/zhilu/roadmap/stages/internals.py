"""Stage 6."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["INTERNALS"]

INTERNALS = Stage(
    "6",
    T("Internals", "深入原理"),
    T(
        "How it works underneath: your run agrees with the industrial library, number by number",
        "底层如何工作：你的实现与工业级库逐个数字吻合",
    ),
    T("Zhilu's own engine in readable Python, PyTorch, vLLM", "指路自带的可读 Python 引擎、PyTorch、vLLM"),
    (
        Task(
            "6.1",
            T("Training details of a Transformer", "Transformer 的训练细节"),
            T(
                "a small model trained from scratch; loss equals the reference loop's",
                "从零训练一个小模型；损失与参考实现一致",
            ),
            T(
                "Learning rate, warm-up, clipping, initialisation: small numbers that decide whether a model learns at all.",
                "学习率、预热、裁剪、初始化：这些小数字决定模型能不能学起来。",
            ),
            T(
                "The lesson trains a small model step by step and holds its curve against a plain loop. Run it, then copy it and write it "
                "anew: the gate judges your file.",
                "这一课一步步训练一个小模型，并把曲线与最朴素的循环对比。先运行，再抄走重写：关卡会检验你的文件。",
            ),
            "zhilu internals run 6.1",
        ),
        Task(
            "6.2",
            T("KV cache and why it is fast", "KV 缓存为什么快"),
            T(
                "tokens identical with and without; measured speed-up grows with length",
                "有无缓存输出的 token 完全一致；实测加速随长度增大",
            ),
            T(
                "Without it, every new token would compute the whole text again. It is also what fills the memory of a server.",
                "没有它，每生成一个 token 都要重算全文。它也是服务器内存的主要消耗者。",
            ),
            T(
                "The engine in `zhilu/engine` keeps it in blocks; `step()` in engine.py reads like a page.",
                "`zhilu/engine` 里的引擎按块存放它；engine.py 里的 `step()` 读起来就像一页书。",
            ),
            "zhilu internals run 6.2",
        ),
        Task(
            "6.3",
            T("FlashAttention", "FlashAttention"),
            T(
                "tiled online-softmax output equals exact attention; memory curve linear vs quadratic",
                "分块在线 softmax 的输出等于精确注意力；内存曲线线性对平方",
            ),
            T(
                "The same result with far less memory traffic: the attention matrix is never written down whole.",
                "结果相同而内存读写少得多：注意力矩阵从不完整写出来。",
            ),
            T(
                "Guess how much memory the tiles save, run the lesson, then copy it and write the tiled version yourself.",
                "先猜分块能省多少内存，再运行这一课，然后抄走、自己写出分块版本。",
            ),
            "zhilu internals run 6.3",
        ),
        Task(
            "6.4",
            T("Parallelism: DP, TP, PP, FSDP", "并行：DP、TP、PP、FSDP"),
            T(
                "several processes equal one process; bytes communicated counted",
                "多进程结果等于单进程；统计通信字节数",
            ),
            T(
                "Large models do not fit on one device. What is split decides what must be communicated.",
                "大模型装不进一个设备。切分什么，就决定了要通信什么。",
            ),
            T(
                "The lesson runs two processes on this machine, counts the bytes they exchange and holds them against the formula.",
                "这一课在本机启动两个进程，统计它们交换的字节数，并与公式对照。",
            ),
            "zhilu internals run 6.4",
        ),
        Task(
            "6.5",
            T("vLLM's structure and PagedAttention", "vLLM 的结构与 PagedAttention"),
            T(
                "block table made visible on the live engine; waste measured; prefix sharing shown",
                "在运行中的引擎上展示块表；测量浪费；展示前缀共享",
            ),
            T(
                "Memory for the KV cache in pages, as an operating system does it, is what lets one GPU serve many users.",
                "像操作系统一样把 KV 缓存分页，是一块显卡能服务很多用户的原因。",
            ),
            T(
                "Already now: `zhilu engine running` names the port of a running engine; GET /state there shows its block table and scheduler.",
                "现在就可以：`zhilu engine running` 会给出运行中引擎的端口，在那里 GET /state 可以看到块表和调度器。",
            ),
            "zhilu internals run 6.5",
        ),
        Task(
            "6.6",
            T("Optimizers: AdamW, Lion", "优化器：AdamW、Lion"),
            T(
                "same model, same data: loss curves and bytes of state side by side",
                "同一模型、同一数据：损失曲线与状态字节数并排对比",
            ),
            T(
                "AdamW keeps two extra numbers for each parameter; that is why training takes several times the memory.",
                "AdamW 为每个参数多存两个数，这正是训练内存成倍增加的原因。",
            ),
            T(
                "The lesson trains the same small model with five optimizers written out, each held against the library's.",
                "这一课用五个手写的优化器训练同一个小模型，并逐个与库实现对照。",
            ),
            "zhilu internals run 6.6",
        ),
    ),
    T(
        "Papers to read with the code beside them: LLaMA, FlashAttention, PagedAttention (vLLM), DeepSeek technical reports.",
        "对照代码阅读的论文：LLaMA、FlashAttention、PagedAttention（vLLM）、DeepSeek 技术报告。",
    ),
    optional=True,
)
