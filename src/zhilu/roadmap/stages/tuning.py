"""Stage 3."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["TUNING"]

TUNING = Stage(
    "3",
    T("Fine-tuning", "微调"),
    T("A model that behaves the way your data shows", "让模型按你的数据所示的方式回答"),
    T(
        "Methods: SFT (instruction tuning), LoRA, QLoRA (4-bit base), DPO, PPO; full fine-tuning "
        "for small models. Frameworks: Transformers, PEFT, TRL; DeepSpeed, ColossalAI (advanced)",
        "方法：SFT（指令微调）、LoRA、QLoRA（4 位基座）、DPO、PPO；小模型可全量微调。框架：Transformers、PEFT、TRL；进阶：DeepSpeed、ColossalAI",
    ),
    (
        Task(
            "3.1",
            T("Prepare one's own training data", "准备自己的训练数据"),
            T(
                "validated: schema, template rendering, loss mask not empty, EOS learned, truncation, duplicates, train/eval leak",
                "通过校验：格式、模板渲染、损失掩码非空、能学到 EOS、截断、重复、训练/评测泄漏",
            ),
            T(
                "Most failed tunings fail here: a mask that covers everything, an answer cut off, evaluation questions among the training ones.",
                "大多数失败的微调都败在这里：掩码盖住了一切、答案被截断、评测题混进了训练集。",
            ),
            T(
                "Collect examples as question and answer (a few hundred good ones beat many thousands of poor ones), then: zhilu data add FILE",
                "收集问答样例（几百条好的胜过成千上万条差的），然后运行：zhilu data add FILE",
            ),
        ),
        Task(
            "3.2",
            T("One QLoRA run", "跑通一次 QLoRA"),
            T(
                "finished, held-out loss below the base model's; figures: tokens/s, peak memory, loss curve",
                "训练完成，留出集损失低于基座模型；指标：tokens/s、峰值内存、损失曲线",
            ),
            T(
                "The base model in 4 bits with a small trained adapter: the way to tune a model of billions of parameters on one consumer GPU.",
                "4 位基座加一个小适配器：用一块消费级显卡就能微调数十亿参数的模型。",
            ),
            T(
                "On the page Fine-tuning, or: zhilu tune run --data FILE --method qlora. It needs pip install 'zhilu[qlora]'.",
                "在“微调”页面，或运行 zhilu tune run --data FILE --method qlora。需要 pip install 'zhilu[qlora]'。",
            ),
            "zhilu tune run --data FILE --method qlora",
        ),
        Task(
            "3.3",
            T(
                "Serve the LoRA (vLLM --lora-modules, or the embedded engine)",
                "部署 LoRA（vLLM --lora-modules 或内置引擎）",
            ),
            T(
                "train-to-serve parity: same prompt ids, same greedy tokens in trainer and server",
                "训练与部署一致：训练器和服务端的提示 id 相同、贪心输出 token 相同",
            ),
            T(
                "A template or a dtype that differs between training and serving quietly throws away what was learned.",
                "训练和部署之间只要模板或精度不一致，学到的东西就会悄悄丢掉。",
            ),
            T(
                "After a run: zhilu tune parity NAME loads the adapter into the running engine and compares.",
                "训练之后运行 zhilu tune parity NAME：把适配器加载进正在运行的引擎并比较。",
            ),
        ),
        Task(
            "3.4",
            T("Merge the weights (optional)", "合并权重（可选）"),
            T(
                "merged model's logits equal base + adapter within tolerance; reloads",
                "合并后模型的 logits 在容差内等于基座 + 适配器；可重新加载",
            ),
            T(
                "A merged model needs no adapter support and runs a little faster, at the price of its full size on disk.",
                "合并后的模型不需要适配器支持，推理略快，代价是占用完整大小的磁盘。",
            ),
            T(
                "After a run: zhilu tune merge NAME. It is read back and held to base and adapter; export it by zhilu tune export NAME.",
                "训练之后运行 zhilu tune merge NAME：重新读取并与基座加适配器对照；用 zhilu tune export NAME 导出。",
            ),
            optional=True,
        ),
        Task(
            "3.5",
            T("DPO / PPO (optional)", "DPO / PPO（可选）"),
            T(
                "DPO: preference margin on held-out pairs grows; PPO: mean reward rises, KL stays bounded",
                "DPO：留出偏好对上的差距变大；PPO：平均奖励上升，KL 保持有界",
            ),
            T(
                "Where there is no single right answer, one trains on which of two answers is better.",
                "当没有唯一正确答案时，就用“两个回答哪个更好”来训练。",
            ),
            T(
                "zhilu tune run --data PAIRS.jsonl learns from pairs (DPO) or judged answers (KTO); "
                "--objective grpo --reward number learns from a reward, as ppo does.",
                "zhilu tune run --data PAIRS.jsonl 用偏好对（DPO）或带标签的回答（KTO）训练；--objective grpo --reward number（或 ppo）用奖励训练。",
            ),
            "zhilu tune run --data PAIRS.jsonl",
            optional=True,
        ),
    ),
)
