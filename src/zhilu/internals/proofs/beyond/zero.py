"""6.4.2: each stage of ZeRO arrives where one process arrives, sends what the formula says, and keeps as little as it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zhilu.internals.proofs.beyond.zero_worker import RATE, STEPS
from zhilu.internals.proofs.parallel import run_processes
from zhilu.internals.proofs.parallel_worker import HIDDEN, INNER, LAYERS, batch, stack
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_most, nearest_option, same, worst
from zhilu.messages import T

__all__ = ["prove"]

_SIZE, _SAME = 2, 2e-6
_NEAR = 1e-5  # Adam divides by tiny gradients' own size, so that another order of sums shows
_LAYER = 4 * 3 * HIDDEN * INNER  # bytes of a layer's weights in float32
_WHOLE = LAYERS * _LAYER
NAMES = {
    "zero1": T("ZeRO-1 (moments)", "ZeRO-1（动量）"),
    "zero2": T("ZeRO-2 (and gradients)", "ZeRO-2（加上梯度）"),
    "zero3": T("ZeRO-3 (and weights)", "ZeRO-3（加上权重）"),
}


def sent_bytes(way: str, size: int) -> int:
    """Bytes that a process sends in a step: gradients scattered, weights gathered; stage 3 gathers them twice."""
    ring = _WHOLE * (size - 1) // size
    return (3 if way == "zero3" else 2) * ring


def kept_bytes(way: str, size: int) -> tuple[int, int, int]:
    """Weights, gradients at their largest, moments. Stage 2 holds one whole layer's gradient beside the pieces of the others."""
    piece = _WHOLE // size
    gradients = {"zero1": _WHOLE, "zero2": _LAYER + (LAYERS - 1) * _LAYER // size, "zero3": piece}[way]
    return (piece if way == "zero3" else _WHOLE), gradients, 2 * piece


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``lessons/beyond/zero`` has; its file is run by every process."""
    say(0.0, T("one process", "单进程"))
    layers, (x, target) = stack(), batch()
    optimizer = torch.optim.AdamW(layers.parameters(), lr=RATE, weight_decay=0.0)
    for _ in range(STEPS):
        part.loss_of(layers, x, target).backward()
        optimizer.step()
        optimizer.zero_grad()
    right = {name: weight.detach() for name, weight in layers.named_parameters()}
    say(0.2, T("two processes", "两个进程"))
    found = run_processes(Path(part.__file__), _SIZE, "zhilu.internals.proofs.beyond.zero_worker")
    checks, rows = list[Check](), list[list[T]]()
    for way, name in NAMES.items():
        off = worst(_off(one[way]["weights"], right) for one in found)
        sent = sum(one[way]["sent"] for one in found) // len(found) // STEPS
        kept = tuple(max(one[way]["kept"][i] for one in found) for i in range(3))
        checks += [
            at_most(
                T(
                    f"{name.en}: weights after {STEPS} steps against one process",
                    f"{name.zh}：{STEPS} 步后的权重与单进程之差",
                ),
                off,
                _SAME,
            ),
            same(
                T(f"{name.en}: bytes sent in a step = the formula", f"{name.zh}：一步发送的字节数 = 公式"),
                sent,
                sent_bytes(way, _SIZE),
            ),
            same(
                T(
                    f"{name.en}: bytes kept (weights, gradients, moments) = the formula",
                    f"{name.zh}：留存字节（权重、梯度、动量）= 公式",
                ),
                kept,
                kept_bytes(way, _SIZE),
            ),
        ]
        rows.append([name, *(T.of(f"{value:,}") for value in (*kept, sum(kept), sent))])
    for library in ("ZeroRedundancyOptimizer", "FSDP2"):
        off = worst(_off(one["library"][library], right) for one in found)
        checks.append(
            at_most(T(f"PyTorch's {library} against one process", f"PyTorch 的 {library} 与单进程之差"), off, _NEAR)
        )
    sizes = [1, 2, 4, 8, 16, 32]
    plain = (_WHOLE, _WHOLE, 2 * _WHOLE)
    rows.insert(
        0,
        [
            T("data parallel", "数据并行"),
            *(T.of(f"{value:,}") for value in (*plain, sum(plain), 2 * _WHOLE * (_SIZE - 1) // _SIZE)),
        ],
    )
    gain = sum(plain) / sum(kept_bytes("zero1", 10**6))
    return Result(
        task="6.4.2",
        answer=nearest_option(gain, (1.25, 2.0, 4.0), lambda a, b: abs(a - b)),
        checks=checks,
        charts=[
            Chart(
                title=T(
                    "Bytes a process keeps, by the formula that was just checked",
                    "每个进程留存的字节数（按刚验证过的公式）",
                ),
                x=T("processes", "进程数"),
                y=T("MiB", "MiB"),
                log=True,
                series=[
                    Series(name=name, xs=list(sizes), ys=[sum(kept_bytes(way, size)) / 2**20 for size in sizes])
                    for way, name in NAMES.items()
                ],
            )
        ],
        tables=[
            Table(
                title=T("Measured in two processes, bytes each", "两个进程实测，每个的字节数"),
                columns=[
                    T("way", "做法"),
                    T("weights", "权重"),
                    T("gradients", "梯度"),
                    T("moments", "动量"),
                    T("together", "合计"),
                    T("sent in a step", "每步发送"),
                ],
                rows=rows,
            )
        ],
    )


def _off(weights: dict[str, Any], right: dict[str, torch.Tensor]) -> float:
    return worst(float((torch.tensor(weights[name]) - value).abs().max()) for name, value in right.items())
