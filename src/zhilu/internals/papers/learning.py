"""Papers about training, tuning and learning from rewards."""

from __future__ import annotations

from zhilu.internals.papers.paper import Paper
from zhilu.messages import T

__all__ = ["LEARNING"]

LEARNING = (
    Paper(
        "deepseek-v3",
        T("DeepSeek-V3", "DeepSeek-V3"),
        "DeepSeek-V3 Technical Report (2024)",
        "2412.19437",
        T(
            "671 billion weights, 37 billion of them used for a token, trained on 14.8 trillion tokens in 2.788 million "
            "hours of H800 GPUs. Experts are kept "
            "evenly busy without an extra loss, and a second question, the token after the next, is asked in training.",
            "6710 亿权重，每个 token 用 370 亿；在 14.8 万亿 token 上训练，用了 278.8 万 H800 小时。"
            "不靠额外损失就让专家均匀忙碌，训练时还多问一个问题：再下一个 token。",
        ),
        r"g'_{i} = \begin{cases} s_{i} & s_{i} + b_i \in \mathrm{TopK}(\{s_j + b_j\}) \\ 0 & \text{otherwise} \end{cases}",
        T(
            "An expert is chosen by its score plus a bias; how much it counts is its score alone. The bias falls while "
            "the expert is too busy and rises "
            "while it is idle.",
            "选专家看“分数 + 偏置”，占多少分量只看分数。专家太忙时偏置减小，太闲时增大。",
        ),
        (
            ("internals/lessons/beyond/experts.py", "route"),
            ("internals/lessons/beyond/experts.py", "balance"),
            ("internals/lessons/beyond/multi_token.py", "Ahead.forward"),
        ),
        T(
            "Figure 9 of the paper is about the load of experts with and without their way. Here: eight small experts, "
            "trained twice on the same text.",
            "论文图 9 展示有无其方法时的专家负载。这里是八个小专家，在同样的文本上训练两次。",
        ),
        "deepseek_v3",
        "6.7.1",
    ),
    Paper(
        "deepseek-r1",
        T("DeepSeek-R1", "DeepSeek-R1"),
        "DeepSeek-R1: Incentivizing Reasoning Capability in LLMs via Reinforcement Learning (2025)",
        "2501.12948",
        T(
            "Reasoning can be learned from rewards alone: R1-Zero was shown no solutions, only told whether its answers "
            "were right, and went from 15.6 % to "
            "71.0 % on AIME 2024. A rule judges, and answers to one question are compared with each other (GRPO).",
            "推理可以只靠奖励学会：R1-Zero 没看过解答，只被告知答得对不对，在 AIME 2024 上从 15.6% 升到 71.0%。"
            "由规则来判，同一题的几个回答互相比较（GRPO）。",
        ),
        r"A_i = \frac{r_i - \mathrm{mean}(r_1 \ldots r_G)}{\mathrm{std}(r_1 \ldots r_G)}",
        T(
            "An answer is good if it is better than the others on the same question. If all are alike, there is nothing to learn from them.",
            "一个回答比同一题的其他回答好，就是好。全都一样时，就没有什么可学。",
        ),
        (
            ("internals/lessons/beyond/preferences.py", "group_advantages"),
            ("internals/lessons/beyond/preferences.py", "grpo_loss"),
            ("tuning/recipes/policy.py", "GrpoRun"),
        ),
        T(
            "Figure 2 of the paper is accuracy over training. Here a tiny model that counts up or down at random learns "
            "from a rule to count up. It "
            "shows the method; it says nothing about reasoning.",
            "论文图 2 是准确率随训练上升。这里一个随机往上数或往下数的小模型，靠一条规则学会往上数。这展示的是方法，与推理能力无关。",
        ),
        "deepseek_r1",
        "6.7.5",
    ),
    Paper(
        "lora",
        T("LoRA", "LoRA"),
        "LoRA: Low-Rank Adaptation of Large Language Models (Hu et al. 2021)",
        "2106.09685",
        T(
            "What fine-tuning changes in a matrix is simple, so it can be written as the product of two thin ones. For "
            "GPT-3 that is 10,000 times fewer "
            "weights to train and a third of the memory, with no loss and nothing to pay when it runs.",
            "微调对矩阵的改动很简单，可以写成两个细长矩阵的乘积。对 GPT-3 来说，要训练的权重少一万倍，内存只要三分之一，"
            "效果不降，运行时也没有额外开销。",
        ),
        r"h = W_0\,x + \frac{\alpha}{r}\,B A\,x, \qquad B \in \mathbb R^{d \times r},\; A \in \mathbb R^{r \times k}",
        T(
            "The large matrix stays as it is. Beside it x is squeezed to r numbers and spread out again; only these two thin matrices learn.",
            "大矩阵不动。旁边把 x 压成 r 个数，再展开；只有这两个细长的矩阵在学。",
        ),
        (("tuning/recipes/sft.py", "add_lora"), ("internals/papers/figures_learning.py", "LowRank")),
        T(
            "Table 6 of the paper: how little rank is enough. Here a small model trained on Python learns the same text "
            "in capital letters. Training all weights stays ahead in this case: new letters are a matter of the "
            "embedding, which adapters leave alone.",
            "论文表 6：秩很小就够。这里一个学过 Python 的小模型，改学同样文本的大写版本。这里训练全部权重仍然领先："
            "新字母要改词嵌入，而适配器不动它。",
        ),
        "lora",
        "6.1",
    ),
    Paper(
        "qlora",
        T("QLoRA", "QLoRA"),
        "QLoRA: Efficient Finetuning of Quantized LLMs (Dettmers et al. 2023)",
        "2305.14314",
        T(
            "A model of 65 billion weights can be fine-tuned on one GPU with 48 GB: its weights are kept in 4 bits, "
            "adapters learn in 16. NF4 has its 16 "
            "levels where normally distributed weights are, and loses less than other 4-bit types.",
            "650 亿权重的模型可以在一块 48 GB 的显卡上微调：权重用 4 位存放，适配器用 16 位学习。NF4 把 16 "
            "个级放在正态分布的权重所在之处，损失比其他 4 位类型小。",
        ),
        r"q_i = \tfrac12\left(Q_N\left(\tfrac{i}{2^k+1}\right) + Q_N\left(\tfrac{i+1}{2^k+1}\right)\right)",
        T(
            "Cut the bell curve into slices that hold equally many weights, and put a level into each: many levels near zero, few far out.",
            "把钟形曲线切成权重数量相等的片，每片放一级：零附近多，远处少。",
        ),
        (
            ("internals/lessons/beyond/quantise.py", "normal_levels"),
            ("internals/lessons/beyond/quantise.py", "pack_nf4"),
            ("tuning/four_bit.py", "load_base_in_4_bits"),
        ),
        T(
            "Table 2 of the paper: 4-bit types compared, on all matrices of zhilu-nano instead of models up to 65 billion weights.",
            "论文表 2：比较几种 4 位类型。这里用 zhilu-nano 的全部矩阵，而不是最大 650 亿权重的模型。",
        ),
        "qlora",
        "6.7.4",
        needs_torch=False,
    ),
    Paper(
        "dpo",
        T("DPO", "DPO"),
        "Direct Preference Optimization: Your Language Model is Secretly a Reward Model (Rafailov et al. 2023)",
        "2305.18290",
        T(
            "Learning from preferences needs no reward model and no sampling. Written in terms of the policy, the reward "
            "cancels out, and what remains is "
            "a simple loss on pairs, with the same optimum.",
            "从偏好中学习不需要奖励模型，也不需要采样。把奖励用策略表示，它就消去了，剩下一个作用在成对回答上的简单损失，最优解相同。",
        ),
        r"\mathcal L = -\log \sigma\left(\beta \log\frac{\pi(y_w)}{\pi_{ref}(y_w)} - \beta \log\frac{\pi(y_l)}{\pi_{ref}(y_l)}\right)",
        T(
            "Make the better answer (w) likelier than it was at the start by more than the worse one (l). β says how much moving away costs.",
            "让较好的回答（w）比起点更可能，且幅度超过较差的回答（l）。β 表示离开起点的代价。",
        ),
        (("internals/lessons/beyond/preferences.py", "dpo_loss"), ("tuning/recipes/preference.py", "dpo_losses")),
        T(
            "Figure 2 (left) of the paper: reward against distance from the start. Six answers instead of a language "
            "model, so that the best possible curve is known exactly.",
            "论文图 2（左）：奖励与离起点的距离。用六个回答代替语言模型，这样可以精确知道最好的曲线。",
        ),
        "dpo",
        "6.7.5",
    ),
    Paper(
        "ppo",
        T("PPO", "PPO"),
        "Proximal Policy Optimization Algorithms (Schulman et al. 2017)",
        "1707.06347",
        T(
            "One batch of experience can be used for several steps if each action is kept from changing too much. A "
            "simple clip does what its forerunner "
            "needed second derivatives for.",
            "只要不让每个动作变得太多，一批经验就可以用好几步。一个简单的裁剪，做到了前身需要二阶导数才能做到的事。",
        ),
        r"L = \mathbb E\left[\min\left(r\,A,\; \mathrm{clip}(r, 1-\epsilon, 1+\epsilon)\,A\right)\right], \qquad r = \frac{\pi(a)}{\pi_{old}(a)}",
        T(
            "r says how much likelier an action has become. If it was good (A above zero), making it more than 20 % "
            "likelier gains nothing; if it was "
            "bad, neither does making it more than 20 % less likely.",
            "r 表示一个动作变得多可能了几倍。好的动作（A 大于零），超过 20% 就不再有收益；坏的动作，降低超过 20% 也不再有收益。",
        ),
        (("internals/lessons/beyond/preferences.py", "ppo_loss"), ("tuning/recipes/policy.py", "clipped")),
        T(
            "Figure 1 of the paper, from our own loss: the gain by r, for a good and for a bad action.",
            "论文图 1，用我们自己的损失算出：好动作与坏动作的收益随 r 的变化。",
        ),
        "ppo",
        "6.7.5",
    ),
    Paper(
        "lion",
        T("Lion", "Lion"),
        "Symbolic Discovery of Optimization Algorithms (Chen et al. 2023)",
        "2302.06675",
        T(
            "A program search over optimizers found one that takes only the sign of a mean gradient. It keeps one number "
            "for each weight where AdamW keeps "
            "two, and trained vision and language models as well or better.",
            "用程序搜索优化器，找到一个只取平均梯度正负号的。每个权重只记一个数（AdamW 记两个），训练视觉和语言模型的效果相当或更好。",
        ),
        r"u = \mathrm{sign}(\beta_1 m + (1-\beta_1)\,g), \qquad m \leftarrow \beta_2 m + (1-\beta_2)\,g",
        T(
            "Every weight moves by the same small step, up or down; the mean only decides which way.",
            "每个权重都走同样小的一步，只是向上或向下；平均值只决定方向。",
        ),
        (("internals/lessons/lesson6_optimizers.py", "lion"), ("internals/lessons/lesson6_optimizers.py", "adamw")),
        T(
            "Loss of a small model with both, and the bytes that each keeps. The paper's claims about large models "
            "cannot be shown at this size.",
            "小模型分别用两者训练的损失，以及各自保存的字节。论文关于大模型的结论在这个规模上无法展示。",
        ),
        "lion",
        "6.6",
    ),
)
