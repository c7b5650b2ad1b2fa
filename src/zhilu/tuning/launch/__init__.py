"""Several processes for one run: by which library, what it needs, and what it cannot do.

A launcher says how a run's processes are started and how they share a step; the configuration and the loss curve stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from zhilu.errors import InputError, MissingComponentError, UnsupportedError
from zhilu.messages import T
from zhilu.tuning.config import REWARDED, Launch, TuneConfig

__all__ = ["LAUNCHERS", "Launcher", "refuse_launch"]

_EVERY: tuple[str, ...] = ("lora", "full")


@dataclass(frozen=True)
class Launcher:
    """
    Attributes:
        needs: modules that must be installed; ``install``: the command that does so.
        methods: of training, that it can do.
        status: "ready", or why it cannot be chosen here.
    """

    name: str
    title: T
    needs: tuple[str, ...] = ()
    install: str = ""
    methods: tuple[str, ...] = _EVERY
    status: T | Literal["ready"] = "ready"

    @property
    def missing(self) -> list[str]:
        return [name for name in self.needs if find_spec(name) is None]


_DEEPSPEED, _RAY = "pip install 'zhilu[deepspeed]'", "pip install 'zhilu[ray]'"
_RAY_TRAIN = ("ray", "fsspec", "pandas", "pyarrow", "requests")  # ray.train refuses to be imported without the four
LAUNCHERS: dict[str, Launcher] = {
    one.name: one
    for one in (
        Launcher("one", T("one process", "单进程"), methods=(*_EVERY, "qlora")),
        Launcher("ddp", T("PyTorch DDP: each process has the whole model", "PyTorch DDP：每个进程都有完整模型"),
                 methods=(*_EVERY, "qlora")),
        Launcher("fsdp2", T("PyTorch FSDP2: each process keeps a part of every block", "PyTorch FSDP2：每个进程保存各层的一部分")),
        Launcher("zero1", T("DeepSpeed ZeRO-1: moments in parts", "DeepSpeed ZeRO-1：分片保存动量"), ("deepspeed",), _DEEPSPEED),
        Launcher("zero2", T("DeepSpeed ZeRO-2: and gradients", "DeepSpeed ZeRO-2：同时分片梯度"), ("deepspeed",), _DEEPSPEED),
        Launcher("zero3", T("DeepSpeed ZeRO-3: and weights", "DeepSpeed ZeRO-3：同时分片权重"), ("deepspeed",), _DEEPSPEED),
        Launcher("ray", T("Ray Train: DDP on a Ray cluster", "Ray Train：在 Ray 集群上做 DDP"), _RAY_TRAIN, _RAY),
        Launcher(
            "colossalai", T("ColossalAI", "ColossalAI"),
            status=T("ColossalAI 0.5 trains only with transformers 4.51, which Zhilu cannot use: it would need an environment of its own. "
                     "zero1 to zero3 and fsdp2 do the same work here.",
                     "ColossalAI 0.5 只能配合 transformers 4.51 训练，而 Zhilu 无法使用该版本：它需要单独的环境。"
                     "这里可用 zero1 至 zero3 与 fsdp2 完成同样的工作。"),
        ),
    )
}  # fmt: skip
assert set(get_args(Launch)) <= set(LAUNCHERS)


def refuse_launch(config: TuneConfig) -> None:
    """
    Raises:
        MissingComponentError: what the launcher needs is not installed; ``fix`` installs it.
        UnsupportedError: it cannot do this method or objective.
        InputError: a number of processes for one process.
    """
    launcher = LAUNCHERS[config.launch]
    if launcher.status != "ready":
        raise UnsupportedError(launcher.status, param="launch", code="launcher_unavailable", fix="zhilu tune launchers")
    if launcher.missing:
        names = ", ".join(launcher.missing)
        raise MissingComponentError(
            T(f"--launch {launcher.name} needs {names}, which is not installed.",
              f"--launch {launcher.name} 需要 {names}，尚未安装。"),
            param="launch", code="launcher_missing", fix=launcher.install,
        )  # fmt: skip
    if config.launch == "one":
        if config.nproc not in (None, 1):
            raise InputError(
                T(f"{config.nproc} processes need a launcher.", f"{config.nproc} 个进程需要指定启动方式。"),
                param="nproc",
                fix=f"zhilu tune run --data {config.data} --launch ddp --nproc {config.nproc}",
            )
        return
    if config.method not in launcher.methods:
        raise UnsupportedError(
            T(f"--launch {launcher.name} cannot do --method {config.method}; it does {', '.join(launcher.methods)}.",
              f"--launch {launcher.name} 不支持 --method {config.method}；支持 {'、'.join(launcher.methods)}。"),
            param="launch", fix=f"zhilu tune run --data {config.data} --method {config.method} --launch ddp",
        )  # fmt: skip
    if config.objective in REWARDED:
        raise UnsupportedError(
            T(f"{config.objective} samples answers in one process: --launch one.",
              f"{config.objective} 在单进程中采样回答：--launch one。"),
            param="launch", fix=f"zhilu tune run --data {config.data} --objective {config.objective}",
        )  # fmt: skip
