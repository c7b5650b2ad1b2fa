"""Under which name what came of a run is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhilu.errors import UnsupportedError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.tuning.runs import RunInfo

__all__ = ["name_to_ask"]


def name_to_ask(context: Context, info: RunInfo) -> tuple[str, bool]:
    """The model's name at the endpoint, and whether it is an adapter that is loaded beside its base.

    DoRA scales the rows of the base itself, which is more than the low-rank change that the engine adds for each token of a batch. So it is
    asked merged.

    Raises:
        UnsupportedError: a DoRA adapter that is not merged; says the command.
    """
    out = info.outcome
    assert out is not None
    if not info.config.dora:
        return out.adapter or out.model or "", out.adapter is not None
    if info.merged is None or not (context.home.models / info.merged.model).is_dir():
        raise UnsupportedError(
            T(f"{info.name} is a DoRA adapter: it scales the rows of its base, which the engine does not do beside other adapters. Merged, "
              "it is a model like any other.",
              f"{info.name} 是 DoRA 适配器：它会缩放基座矩阵的各行，引擎无法与其他适配器同批处理。合并之后就是普通模型。"),
            param="dora",
            code="dora_not_merged",
            fix=f"zhilu tune merge {info.name}",
        )  # fmt: skip
    return info.merged.model, False
