"""How matrices are multiplied while a run trains: chosen by measuring this processor, with the reason.

PyTorch multiplies float32 matrices with MKL, which on some processors uses half of what they can do; oneDNN computes the same
numbers (measured on a Zen 5: 2.3 times as fast). And a base that is in 4 bits anyway may be multiplied in bfloat16 where the processor
does that in hardware; on others bfloat16 is slower than float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from zhilu.messages import T
from zhilu.tuning.config import Chosen, Precision, TuneConfig

__all__ = ["use_fastest_float32", "with_precision"]

_SHAPE = (256, 1024, 1024)  # tokens, in, out: of a small language model
_EXACT = 1e-5  # of the largest value: what float32 sums may differ by
_WORTH = 1.3  # times as fast, below which nothing is gained beside the casts


def use_fastest_float32() -> T:
    """Let PyTorch multiply float32 matrices by the faster of its two libraries, for the rest of this process; says which.

    oneDNN is only taken where its products are exact to float32: where a processor has other units for it, the same switch rounds.
    """
    products: Any = getattr(torch.backends.mkldnn, "matmul")  # noqa: B009  (made at import, unknown to type checkers)
    was = products.fp32_precision
    x, weight = torch.randn(_SHAPE[0], _SHAPE[1]), torch.randn(_SHAPE[2], _SHAPE[1])
    usual, reference = _seconds(lambda: F.linear(x, weight)), x.double() @ weight.double().T
    products.fp32_precision = "bf16"  # the switch that sends float32 to oneDNN
    other = _seconds(lambda: F.linear(x, weight))
    apart = float((F.linear(x, weight) - reference).abs().max() / reference.abs().max())
    gain = usual / other
    if apart < _EXACT and gain >= _WORTH:
        return T(
            f"float32 products by oneDNN: {gain:.1f} times as fast as PyTorch's usual library on this processor, and as exact",
            f"float32 矩阵乘法使用 oneDNN：在此处理器上是 PyTorch 默认库的 {gain:.1f} 倍速度，精度相同",
        )
    products.fp32_precision = was
    return T("float32 products by PyTorch's usual library", "float32 矩阵乘法使用 PyTorch 默认库")


def with_precision(config: TuneConfig, chosen: Chosen, before: Mapping[str, Any]) -> Chosen:
    """What a base in 4 bits is multiplied in, where it is not asked for: measured once a run, so that a resumed one goes on as it
    began.

    Args:
        before: what the run chose when it began; empty at its beginning.
    """
    if config.method != "qlora" or config.precision is not None:
        return chosen
    precision, reason = _measured()
    if before.get("precision") not in (None, precision):
        precision, reason = before["precision"], T("as the run began", "与开始时相同")
    return replace(chosen, precision=precision, reasons={**chosen.reasons, "precision": reason})


def _measured() -> tuple[Precision, T]:
    x, weight = torch.randn(_SHAPE[0], _SHAPE[1]), torch.randn(_SHAPE[2], _SHAPE[1])
    small, blocks = x.bfloat16(), weight.bfloat16()
    gain = _seconds(lambda: F.linear(x, weight)) / _seconds(lambda: F.linear(small, blocks))
    if gain >= _WORTH:
        return "bfloat16", T(f"{gain:.1f} times as fast here as float32", f"在这里是 float32 的 {gain:.1f} 倍速度")
    return "float32", T(
        f"bfloat16 gains nothing here ({gain:.1f} times as fast)", f"bfloat16 在这里没有优势（{gain:.1f} 倍）"
    )


def _seconds(work: Callable[[], Any], times: int = 7) -> float:
    """The shortest of some runs: other programs only ever make one longer."""
    work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)
