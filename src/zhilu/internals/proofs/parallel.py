"""6.4: two processes equal one, in weights and loss; bytes that were really sent equal the formula; gradients equal DDP's."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from zhilu.internals.proofs.parallel_worker import BATCH, HIDDEN, INNER, LAYERS, RATE, batch, stack
from zhilu.internals.result import (
    Bar,
    Chart,
    Check,
    Result,
    Say,
    Series,
    Table,
    Timeline,
    at_most,
    nearest_option,
    same,
    worst,
)
from zhilu.messages import T

__all__ = ["prove", "run_processes"]

_SIZE, _SAME = 2, 1e-6
_LIMIT_S = 240
_WEIGHTS = LAYERS * 3 * HIDDEN * INNER  # numbers
_ACTIVATION = 4 * BATCH * HIDDEN  # bytes of the whole batch between two layers
NAMES = {
    "data_parallel": T("data parallel", "数据并行"),
    "sharded": T("sharded (ZeRO-3)", "分片（ZeRO-3）"),
    "tensor_parallel": T("tensor parallel", "张量并行"),
    "pipeline": T("pipeline (1F1B)", "流水线（1F1B）"),
}


def formula(way: str, size: int) -> int:
    """Bytes that one process sends in a step, on average over the processes; float32."""
    ring = 4 * _WEIGHTS * (size - 1) // size  # every number but the own piece, once around
    loss = 2 * 4 * (size - 1)  # one number, padded to the size of the ring, reduced and gathered
    return {
        "data_parallel": 2 * ring + loss,  # gradients: reduced, then gathered
        "sharded": 3 * ring + loss,  # weights gathered forwards and backwards, gradients reduced
        # A layer sums forwards and backwards; but the batch itself, before the first, needs no gradient.
        "tensor_parallel": (2 * LAYERS - 1) * 2 * _ACTIVATION * (size - 1) // size,
        "pipeline": 2 * _ACTIVATION * (size - 1) // size,  # each border: activations there, gradients back
    }[way]


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``lesson4_parallel`` has; its file is run by every process."""
    say(0.0, T("one process", "单进程"))
    layers, (x, target) = stack(), batch()
    loss = part.loss_of(layers, x, target)
    loss.backward()
    grads = {name: weight.grad for name, weight in layers.named_parameters()}
    right = {name: (weight - RATE * grads[name]).detach() for name, weight in layers.named_parameters()}
    say(0.2, T("two processes", "两个进程"))
    found = run_processes(Path(part.__file__), _SIZE)
    checks, rows = list[Check](), []
    for way, name in NAMES.items():
        off = worst(float((one[key] - right[key]).abs().max()) for one in _weights(way, found) for key in right)
        losses = [one[way]["loss"] for one in found]
        told = losses[-1] if way == "pipeline" else losses[0]
        sent = _sent(way, found)
        checks += [
            at_most(T(f"{name.en}: weights against one process", f"{name.zh}：权重与单进程之差"), off, _SAME),
            at_most(T(f"{name.en}: loss against one process", f"{name.zh}：损失与单进程之差"), abs(told - loss.item()), _SAME),
            same(T(f"{name.en}: bytes sent = the formula", f"{name.zh}：发送字节数 = 公式"), sent, formula(way, _SIZE)),
        ]  # fmt: skip
        kept = 1 if way == "data_parallel" else _SIZE
        rows.append([name, T.of(f"{sent:,}"), T.of(f"{4 * _WEIGHTS // kept:,}")])
    ddp = worst(
        float((torch.tensor(one["ddp"][key]) - grad).abs().max())
        for one in found
        for key, grad in grads.items()
        if grad is not None
    )
    of_ddp = T("gradient of PyTorch's DDP against one process", "PyTorch DDP 的梯度与单进程之差")
    of_sum = T("all-reduce against torch.distributed's", "all-reduce 与 torch.distributed 之差")
    checks += [at_most(of_ddp, ddp, _SAME), at_most(of_sum, worst(one["all_reduce"] for one in found), 0.0)]
    order = [one["pipeline"]["order"] for one in found]
    sizes = [2, 4, 8, 16, 32]
    ratio = _sent("sharded", found) / _sent("data_parallel", found)
    return Result(
        task="6.4",
        answer=nearest_option(ratio, (1.0, 1.5, 3.0), lambda a, b: abs(a - b)),
        checks=checks,
        charts=[
            Chart(
                title=T("Bytes a process sends in a step, by the formula that was just checked", "每个进程一步发送的字节数（按刚验证过的公式）"),
                x=T("processes", "进程数"),
                y=T("KB", "KB"),
                series=[Series(name=name, xs=sizes, ys=[formula(way, size) / 1000 for size in sizes]) for way, name in NAMES.items()],
            )
        ],
        timelines=[_pipeline_picture(order)],
        tables=[
            Table(
                title=T("What is sent, and what must be kept", "发送多少，保存多少"),
                columns=[T("way", "方式"), T("bytes each sends", "每个进程发送字节"), T("bytes of weights each keeps", "每个进程保存的权重字节")],
                rows=rows,
            )
        ],
    )  # fmt: skip


def run_processes(
    file: Path, size: int, worker: str = "zhilu.internals.proofs.parallel_worker"
) -> list[dict[str, Any]]:
    """What each process of the module ``worker`` found. Raises RuntimeError with the last words of one that failed."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", worker, str(file), folder]
        logs = [Path(folder) / f"{rank}.log" for rank in range(size)]
        workers = []
        for rank in range(size):
            with logs[rank].open("w") as log:
                workers.append(subprocess.Popen([*argv, str(rank), str(size)], stdout=log, stderr=log))
        try:
            codes = [process.wait(_LIMIT_S) for process in workers]
        finally:
            for process in workers:
                process.kill()
                process.wait()
        for rank, code in enumerate(codes):
            if code:
                raise RuntimeError(f"process {rank}: {logs[rank].read_text().strip().splitlines()[-1]}")
        return [json.loads((Path(folder) / f"{rank}.json").read_text()) for rank in range(size)]


def _sent(way: str, found: list[dict[str, Any]]) -> int:
    """Bytes that were sent, on average over the processes."""
    return sum(int(one[way]["sent"]) for one in found) // len(found)


def _weights(way: str, found: list[dict[str, Any]]) -> list[dict[str, torch.Tensor]]:
    """The whole model after the step: everybody's own copy, or the one that is put together from all."""
    each = [{key: torch.tensor(value) for key, value in one[way]["weights"].items()} for one in found]
    if way == "pipeline":  # a layer belongs to one process
        share = LAYERS // len(each)
        return [{key: each[int(key.split(".")[0]) // share][key] for key in each[0]}]
    if way == "tensor_parallel":  # a slice of each matrix belongs to one process
        whole = {}
        for key in each[0]:
            dim = 1 if "down" in key else 0
            slices = [one[key].chunk(len(each), dim)[rank] for rank, one in enumerate(each)]
            whole[key] = torch.cat(slices, dim)
        return [whole]
    return each


def _pipeline_picture(order: list[list[tuple[str, int]]]) -> Timeline:
    """The order in which the processes really worked; a piece starts when what it needs is there, backwards takes twice as long."""
    ends: dict[tuple[str, int, int], float] = {}
    free, at = [0.0] * len(order), [0] * len(order)
    bars = []
    while any(at[lane] < len(order[lane]) for lane in range(len(order))):
        for lane, work in enumerate(order):
            if at[lane] == len(work):
                continue
            kind, number = work[at[lane]]
            before = lane - 1 if kind == "forward" else lane + 1
            needs = ends.get((kind, number, before)) if 0 <= before < len(order) else 0.0
            if needs is None:
                continue
            start = max(free[lane], needs)
            end = start + (1 if kind == "forward" else 2)
            ends[(kind, number, lane)] = free[lane] = end
            bars.append(Bar(lane=lane, start=start, end=end, kind=int(kind == "backward"), label=str(number + 1)))
            at[lane] += 1
    return Timeline(
        title=T("1F1B: the order in which both processes worked", "1F1B：两个进程的实际工作顺序"),
        unit=T("time, a piece forwards taken as 1", "时间（以一份前向为 1）"),
        lanes=[f"rank {rank}" for rank in range(len(order))],
        kinds=[T("forwards", "前向"), T("backwards", "反向")],
        bars=bars,
    )
