"""What a run is made of, and how the rest is chosen when a person names only the data."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = [
    "OBJECTIVES", "OPTIMIZERS", "REWARDED", "ROUND", "Chosen", "Launch", "Objective", "Optimizer", "TuneConfig", "choose",
    "refuse_options", "refuse_unused",
]  # fmt: skip

Method = Literal["lora", "qlora", "full"]
Optimizer = Literal["adamw", "lion", "adamw8bit"]
OPTIMIZERS: tuple[Optimizer, ...] = ("adamw", "lion", "adamw8bit")
Precision = Literal["float32", "bfloat16"]
Objective = Literal["sft", "dpo", "kto", "reward", "grpo", "ppo"]
Launch = Literal["one", "ddp", "fsdp2", "zero1", "zero2", "zero3", "ray", "colossalai"]  # see tuning/launch
_WHOLE_MODEL = ("one", "ddp", "ray")  # launches where each process has all of the model
REWARDED = ("grpo", "ppo")  # objectives that learn from a reward
# What is learned from which kind of rows; the first is taken where none is named.
OBJECTIVES: dict[str, tuple[Objective, ...]] = {
    "chat": ("sft", "grpo", "ppo"), "text": ("sft",), "preference": ("dpo", "reward"), "unpaired": ("kto",),
}  # fmt: skip
ROUND = 32  # answers that a step of PPO and GRPO samples
# Of a Ray cluster. Nothing else: Ray imports the module that stands before "://".
_RAY = re.compile(r"(?:ray://)?(?:[A-Za-z0-9._-]{1,180}|\[[0-9A-Fa-f:]{2,45}\]):[0-9]{1,5}|auto")
_SMALL = 100_000_000  # parameters up to which a model learns at ten times the rate of a large one
_ROUNDS = 40  # of PPO and GRPO
_LENGTH, _ROWS = (
    1024,
    8,
)  # tokens of a packed sequence at most, unless a row is longer; and rows that it holds where they are short
_SHORTEST = 256  # tokens of a packed sequence below which multiplying matrices becomes slow
_LION = 5.0  # times that Lion's rate is below AdamW's (section 5 of 2302.06675: 3 to 10)


@dataclass(frozen=True)
class _Budget:
    """What a small dataset is given: ``steps`` over at most ``epochs``, each epoch cut into ``cut`` steps where its tokens allow."""

    steps: int
    epochs: int
    cut: int


# A large model knows what words mean: it needs fewer rounds, and each costs it more.
_OF_SMALL, _OF_LARGE = _Budget(120, 10, 8), _Budget(60, 3, 16)


class TuneConfig(BaseModel):
    """A run as it was asked for; what is None is chosen (see ``choose``).

    Attributes:
        model: the base, of the store.
        data: a dataset of the home; ``held_out`` another one, or None: a share of the data is held out.
        objective: what is learned: ``sft`` (answers and texts), ``dpo`` (pairs), ``kto`` (judged answers), ``reward`` (pairs, to judge), ``grpo``
            and ``ppo`` (a reward for the model's own answers to the data's prompts); None: by the data.
        beta: how strongly the model is held to what it was; None: 0.1 for DPO and KTO, 0.04 for GRPO and PPO.
        method: ``lora`` (adapters on the base in float32), ``qlora`` (on a base in 4 bits), or ``full``: all weights.
        reward: of ``rewards.REWARDS`` by name, ``run:NAME``: a run of rewards, or ``file``: the run's own;
            ``max_answer``: tokens of a sampled answer.
        rank, alpha, dropout: of LoRA (arXiv 2106.09685); ``rslora`` scales by 1 / sqrt(rank) (arXiv 2312.03732); ``dora`` learns the
            length of each row of a matrix apart from its direction (arXiv 2402.09353), and is served merged.
        optimizer: ``adamw``, ``lion`` (arXiv 2302.06675: one moment instead of two), ``adamw8bit`` (moments in 8 bits, arXiv 2110.02861).
        checkpointing: keep only what enters a layer, and compute the layer again on the way back: less memory, more time.
        precision: what a base in 4 bits is multiplied in; None: measured on this processor.
        batch_tokens: tokens of one optimizer step.
        max_len: tokens of a packed sequence.
        launch: how the processes of the run are started and share a step (``launch.LAUNCHERS``); nproc: how many, None: 2.
        ray_address: of the cluster, for ``ray``; None: one on this machine, for this run.
        patience: evaluations without a better held-out loss after which the run ends; 0: never.
    """

    model_config = ConfigDict(extra="forbid")
    model: str
    data: str
    held_out: str | None = None
    objective: Objective | None = None
    beta: float | None = Field(None, gt=0, le=10)
    reward: str | None = None
    max_answer: int = Field(32, ge=1, le=2048)
    method: Method = "lora"
    rank: int | None = Field(None, ge=1, le=512)
    alpha: float | None = Field(None, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    rslora: bool = False
    dora: bool = False
    optimizer: Optimizer = "adamw"
    checkpointing: bool = False
    precision: Precision | None = None
    learning_rate: float | None = Field(None, gt=0, lt=1)
    epochs: float | None = Field(None, gt=0, le=1000)
    batch_tokens: int | None = Field(None, ge=16)
    max_len: int | None = Field(None, ge=16)
    eval_every: int | None = Field(None, ge=1)
    patience: int = Field(3, ge=0)
    seed: int = Field(7, ge=-(2**31), lt=2**31)  # times a million and the step: what PyTorch takes has 64 bits
    launch: Launch = "one"
    nproc: int | None = Field(None, ge=1, le=1024)
    ray_address: str | None = Field(None, max_length=200)

    @classmethod
    def of(cls, **asked: Any) -> TuneConfig:
        """What was asked for by names and values.

        Raises:
            InputError: values that cannot be, all of them named.
        """
        try:
            return cls(**asked)
        except ValidationError as error:
            wrong = [(str(one["loc"][0]), one["msg"]) for one in error.errors()]
            shown = "; ".join(f"--{name.replace('_', '-')} {asked.get(name)!r}: {said}" for name, said in wrong)
            raise InputError(
                T(f"That is no training run: {shown}", f"这些训练参数无效：{shown}"), param=wrong[0][0], fix="zhilu tune run --help"
            ) from None  # fmt: skip

    @property
    def num_processes(self) -> int:
        return 1 if self.launch == "one" else self.nproc or 2

    @property
    def strength(self) -> float:
        """``beta``, or what is usual."""
        return self.beta if self.beta is not None else 0.04 if self.objective in REWARDED else 0.1


@dataclass(frozen=True)
class Chosen:
    """The numbers of a run, each with the reason why it is this one."""

    rank: int
    alpha: float
    learning_rate: float
    steps: int
    batch_tokens: int
    max_len: int
    eval_every: int
    reasons: dict[str, T]
    optimizer: Optimizer = "adamw"
    dora: bool = False
    checkpointing: bool = False
    precision: Precision = "float32"


def refuse_options(config: TuneConfig) -> None:
    """
    Raises:
        InputError: options that do not go together.
    """
    if config.method == "full" and (config.dora or config.rslora):
        name = "dora" if config.dora else "rslora"
        raise InputError(
            T(f"{name} is a kind of adapter, and --method full trains none.", f"{name} 是一种适配器，而 --method full 不训练适配器。"),
            param=name,
            fix=f"zhilu tune run --data {config.data} --method lora --{name}",
        )  # fmt: skip
    apart = [name for name, on in (
        (f"optimizer {config.optimizer}", config.optimizer != "adamw"), ("checkpointing", config.checkpointing), ("dora", config.dora),
    ) if on]  # fmt: skip
    if apart and config.launch not in _WHOLE_MODEL:
        shown = ", ".join(apart)
        raise InputError(
            T(f"{shown}: not with --launch {config.launch}, whose processes hold parts of the model.",
              f"{shown}：不能与 --launch {config.launch} 一起使用，它的各进程只持有模型的一部分。"),
            param="launch",
            fix=f"zhilu tune run --data {config.data} --launch ddp",
        )  # fmt: skip
    if config.ray_address is not None and not _RAY.fullmatch(config.ray_address):
        raise InputError(
            T(f"{config.ray_address!r} is no address of a Ray cluster: HOST:PORT, ray://HOST:PORT, or auto.",
              f"{config.ray_address!r} 不是 Ray 集群地址：应为 HOST:PORT、ray://HOST:PORT 或 auto。"),
            param="ray_address",
            fix=f"zhilu tune run --data {config.data} --launch ray",
        )  # fmt: skip
    if config.precision == "bfloat16" and config.method != "qlora":
        raise InputError(
            T(f"--precision is that of a base in 4 bits; {config.method} keeps the base in float32.",
              f"--precision 用于 4 位基座；{config.method} 的基座保持 float32。"),
            param="precision",
            fix=f"zhilu tune run --data {config.data} --method qlora --precision bfloat16",
        )  # fmt: skip


def refuse_unused(config: TuneConfig) -> None:
    """
    Raises:
        InputError: options that a run with this objective, method and launch would not look at: whoever gave them means another run.
    """
    rewarded, whole = config.objective in REWARDED, config.method == "full"
    usual = TuneConfig.model_fields["max_answer"].default
    of_reward = (T("an objective that learns from a reward", "从奖励学习的目标"), "--objective grpo --reward number")
    of_adapter = (T("an adapter", "适配器"), "--method lora")
    unused: dict[str, tuple[bool, T, str]] = {
        "reward": (config.reward is not None and not rewarded, *of_reward),
        "max_answer": (config.max_answer != usual and not rewarded, *of_reward),
        "beta": (config.beta is not None and config.objective in ("sft", "reward"),
                 T("an objective that is held to its base", "需要与基座保持接近的目标"), "--objective dpo"),
        "rank": (config.rank is not None and whole, *of_adapter),
        "alpha": (config.alpha is not None and whole, *of_adapter),
        "dropout": (config.dropout > 0 and whole, *of_adapter),
        "ray_address": (config.ray_address is not None and config.launch != "ray", T("Ray", "Ray"), "--launch ray"),
    }  # fmt: skip
    found = [(name, of, fix) for name, (is_on, of, fix) in unused.items() if is_on]
    if not found:
        return
    en = "; ".join(f"--{name.replace('_', '-')} is for {of.en}" for name, of, _ in found)
    zh = "；".join(f"--{name.replace('_', '-')} 用于{of.zh}" for name, of, _ in found)
    has = f"{config.objective}, {config.method}, --launch {config.launch}"
    raise InputError(
        T(f"{en}. This run is {has}, and would not look at it.", f"{zh}。这次训练是 {has}，不会用到它。"),
        param=found[0][0],
        code="unused_option",
        fix=f"zhilu tune run --data {config.data} {found[0][2]}",
    )


def choose(config: TuneConfig, num_parameters: int, sizes: Sequence[int], context: int) -> Chosen:
    """Fill in what ``config`` leaves open, from the model's size and the tokens of each row (or pair) that is trained on."""
    why: dict[str, T] = {}
    asked = T("asked for", "由你指定")
    is_small = num_parameters <= _SMALL
    size = f"{num_parameters / 1e6:,.0f} M"
    total, longest = sum(sizes), max(sizes)

    rank = config.rank or (32 if is_small else 16)
    why["rank"] = asked if config.rank else T(f"the base has {size} parameters", f"基座有 {size} 参数")
    alpha = config.alpha or 2.0 * rank
    why["alpha"] = asked if config.alpha else T("twice the rank", "秩的两倍")
    whole = config.method == "full"
    base = (5e-4 if whole else 2e-3) if is_small else (2e-5 if whole else 2e-4)
    if config.objective in (
        "dpo",
        "kto",
    ):  # which move whole answers: the usual rates are a fifth of a supervised run's
        base /= 5
    if config.optimizer == "lion":
        base /= _LION
    rate = config.learning_rate or base
    by = "" if config.optimizer == "adamw" else f", {config.optimizer}"
    why["learning_rate"] = (
        asked
        if config.learning_rate
        else T(f"{config.method} on {size} parameters{by}", f"对 {size} 参数做 {config.method}{by}")
    )
    budget = _OF_SMALL if is_small else _OF_LARGE
    several = 2 ** math.ceil(math.log2(max(_SHORTEST, _ROWS * total / len(sizes))))
    max_len = min(config.max_len or max(longest, min(several, _LENGTH, context)), max(context, longest))
    why["max_len"] = (
        asked
        if config.max_len
        else T(f"rows have {total // len(sizes):,} tokens, {longest:,} at most", f"每行平均 {total // len(sizes):,} 个 token，最长 {longest:,} 个")
    )  # fmt: skip
    batch = config.batch_tokens or max(max_len, min(4096, 2 ** round(math.log2(max(total / budget.cut, 256)))))
    why["batch_tokens"] = (
        asked if config.batch_tokens else T(f"of {total:,} tokens in all", f"全部共 {total:,} 个 token")
    )
    an_epoch = max(1, math.ceil(total / batch))
    if config.epochs:
        steps, why["steps"] = (
            max(1, round(config.epochs * an_epoch)),
            T(f"{config.epochs:g} epochs", f"{config.epochs:g} 轮"),
        )
    else:
        steps = max(2 * an_epoch, min(budget.steps, budget.epochs * an_epoch))
        epochs = steps / an_epoch
        why["steps"] = T(
            f"{epochs:.1f} epochs: enough steps for a small dataset, and an end before it is known by heart",
            f"{epochs:.1f} 轮：小数据集有足够的步数，又在背下来之前结束",
        )
    if config.objective in REWARDED:  # a step is a round of answers, whatever the tokens
        steps = max(1, round(config.epochs * len(sizes) / 8)) if config.epochs else _ROUNDS
        why["steps"] = T("rounds of 32 sampled answers", "每轮采样 32 个回答")
    every = config.eval_every or max(1, steps // 8)
    why["eval_every"] = asked if config.eval_every else T("eight times a run", "每次训练评测八次")
    why["optimizer"] = {
        "adamw": T("the usual: two moments a tensor", "常用：每个张量两个动量"),
        "lion": T(
            "asked for: one moment a tensor, and the sign of the step", "由你指定：每个张量一个动量，只取更新的符号"
        ),
        "adamw8bit": T("asked for: two moments in 8 bits", "由你指定：两个 8 位动量"),
    }[config.optimizer]
    if config.dora:
        why["dora"] = T(
            "asked for: lengths and directions apart; it is served merged", "由你指定：长度与方向分开学习；合并后部署"
        )
    if config.checkpointing:
        why["checkpointing"] = T("asked for: layers are computed again on the way back", "由你指定：反向时重新计算各层")
    if config.method == "qlora":
        why["precision"] = asked
    return Chosen(
        rank, alpha, rate, steps, batch, max_len, every, why, config.optimizer, config.dora, config.checkpointing,
        config.precision or "float32",
    )  # fmt: skip
