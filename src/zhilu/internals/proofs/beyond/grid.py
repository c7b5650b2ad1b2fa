"""6.4.3: text, experts and a grid of four processes equal one process; bytes equal the formulas; PyTorch's own parts beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from zhilu.internals.proofs.beyond.grid_worker import TOKENS, routed, text
from zhilu.internals.proofs.parallel import run_processes
from zhilu.internals.proofs.parallel_worker import BATCH, HIDDEN, INNER, LAYERS, batch, stack
from zhilu.internals.result import Chart, Grid, Result, Say, Series, Table, at_most, nearest_option, same, worst
from zhilu.messages import T

__all__ = ["prove"]

_SIZE, _SAME = 4, 1e-5
Tensor = torch.Tensor


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``lessons/beyond/grid`` has; its file is run by every process."""
    say(0.0, T("one process", "单进程"))
    grads, out = _one(part)
    say(0.2, T("four processes", "四个进程"))
    found = run_processes(Path(part.__file__), _SIZE, "zhilu.internals.proofs.beyond.grid_worker")
    say(0.9, T("comparing", "比较"))
    q, k, v, d_out = text()
    for one in (q, k, v):
        one.requires_grad_()
    attended = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
    attended.backward(d_out)
    context = [one["context"] for one in found]
    x, chosen, d_experts = routed(_SIZE)
    x.requires_grad_()
    experts = stack()
    through = torch.stack([experts[int(chosen[i])](x[i]) for i in range(TOKENS)])
    through.backward(d_experts)
    homes = torch.arange(TOKENS) // (TOKENS // _SIZE)
    travel = int((chosen != homes).sum())
    stretch = 4 * (TOKENS // _SIZE) * HIDDEN
    activation = 4 * BATCH * HIDDEN
    ring = (_SIZE - 1) / _SIZE
    names = {
        "context": T("context parallel (ring attention)", "上下文并行（环形注意力）"),
        "sequence": T("sequence parallel", "序列并行"),
        "experts": T("expert parallel", "专家并行"),
        "columns": T("2×2: columns (matrices)", "2×2：列（矩阵）"),
        "rows": T("2×2: rows (batch)", "2×2：行（数据）"),
    }
    # Keys and values of a stretch travel to all others; their gradients the same way back.
    formula = {
        "context": 2 * (_SIZE - 1) * 2 * stretch,
        # A layer gathers and scatters forwards, and the reverse backwards; the batch itself needs no gradient.
        "sequence": int((4 * LAYERS - 1) * activation * ring),
        "experts": 4 * travel * 4 * HIDDEN // _SIZE,  # there and back, forwards and backwards
        "columns": (2 * LAYERS - 1) * 2 * (activation // 2) // 2,
        "rows": 2 * (4 * LAYERS * 3 * HIDDEN * INNER // 2) // 2 + 2 * 4,
    }
    sent = {name: sum(one[name]["sent"] for one in found) // _SIZE for name in ("context", "sequence", "experts")}
    sent |= {name: sum(one["grid"][name] for one in found) // _SIZE for name in ("columns", "rows")}
    checks = [
        at_most(
            T("context parallel: attention against PyTorch's SDPA", "上下文并行：注意力与 PyTorch SDPA 之差"),
            _gap(_joined(context, "out"), attended),
            _SAME,
        ),
        at_most(
            T("context parallel: gradients of q, k, v against SDPA's", "上下文并行：q、k、v 的梯度与 SDPA 之差"),
            worst(
                _gap(torch.cat([torch.tensor(one["grads"][i]) for one in context]), _grad(whole))
                for i, whole in enumerate((q, k, v))
            ),
            _SAME,
        ),
        at_most(
            T("sequence parallel: output against one process", "序列并行：输出与单进程之差"),
            _gap(_joined([one["sequence"] for one in found], "out"), out),
            _SAME,
        ),
        at_most(
            T("sequence parallel: gradients against one process", "序列并行：梯度与单进程之差"),
            _slices_off([one["sequence"]["grads"] for one in found], grads, _SIZE),
            _SAME,
        ),
        at_most(
            T("expert parallel: output against one process", "专家并行：输出与单进程之差"),
            _gap(_joined([one["experts"] for one in found], "out"), through),
            _SAME,
        ),
        at_most(
            T("expert parallel: gradient against one process", "专家并行：梯度与单进程之差"),
            _gap(_joined([one["experts"] for one in found], "grad"), _grad(x)),
            _SAME,
        ),
        at_most(
            T("2×2: gradients against one process", "2×2：梯度与单进程之差"),
            worst(_slices_off([one["grid"]["grads"] for one in found[row : row + 2]], grads, 2) for row in (0, 2)),
            _SAME,
        ),
        *(
            same(T(f"{name.en}: bytes sent = the formula", f"{name.zh}：发送字节数 = 公式"), sent[key], formula[key])
            for key, name in names.items()
        ),
        at_most(
            T(
                "PyTorch's FSDP2 and tensor parallel, 2×2, against one process",
                "PyTorch 的 FSDP2 + 张量并行（2×2）与单进程之差",
            ),
            worst(
                _gap(torch.tensor(one["library"]["FSDP2 and tensor parallel"][name]), grad)
                for one in found
                for name, grad in grads.items()
            ),
            _SAME,
        ),
        at_most(
            T("PyTorch's own 1F1B against one process", "PyTorch 自带的 1F1B 与单进程之差"),
            worst(
                _gap(torch.tensor(grad), grads[name]) for one in found for name, grad in one["library"]["1F1B"].items()
            ),
            _SAME,
        ),
    ]
    sizes = [2, 4, 8, 16, 32]
    return Result(
        task="6.4.3",
        answer=nearest_option(
            sent["context"] / (2 * 2 * stretch), (1.0, _SIZE - 1.0, _SIZE**2), lambda a, b: abs(a - b)
        ),
        checks=checks,
        charts=[
            Chart(
                title=T(
                    "Keys and values that a process holds at once, in a text of 128,000 tokens",
                    "12.8 万 token 的文本里，每个进程同时持有的键和值",
                ),
                x=T("processes", "进程数"),
                y=T("share of the whole", "占整体的比例"),
                log=True,
                series=[
                    Series(
                        name=T(
                            "context parallel: one stretch, and one that arrives",
                            "上下文并行：自己一段，加上正到的一段",
                        ),
                        xs=list(sizes),
                        ys=[2 / size for size in sizes],
                    ),
                    Series(name=T("everybody holds all", "每个进程都存全部"), xs=list(sizes), ys=[1.0 for _ in sizes]),
                ],
            )
        ],
        grids=[
            Grid(
                title=T("Which expert's process each token travelled to", "每个 token 去了哪个专家所在的进程"),
                rows=T("process it came from", "来自的进程"),
                columns=T("token", "token"),
                cells=[[float(one) for one in stretch_] for stretch_ in chosen.chunk(_SIZE)],
                kinds=[T(f"expert {number}", f"专家 {number}") for number in range(_SIZE)],
            )
        ],
        tables=[
            Table(
                title=T("Bytes a process sent, on average", "每个进程平均发送的字节数"),
                columns=[T("way", "做法"), T("measured", "实测"), T("formula", "公式")],
                rows=[[name, T.of(f"{sent[key]:,}"), T.of(f"{formula[key]:,}")] for key, name in names.items()],
            )
        ],
    )


def _one(part: Any) -> tuple[dict[str, Tensor], Tensor]:
    layers, (x, target) = stack(), batch()
    for layer in layers:
        x = x + layer(x)
    F.mse_loss(x, target).backward()
    return {name: _grad(weight) for name, weight in layers.named_parameters()}, x.detach()


def _slices_off(told: list[list[list[Any]]], grads: dict[str, Tensor], size: int) -> float:
    """Every process's slices of gate, up and down against those of the whole gradient."""
    offs = []
    for rank, layers in enumerate(told):
        for number, parts in enumerate(layers):
            for which, dim, mine in zip(("gate", "up", "down"), (0, 0, 1), parts, strict=True):
                offs.append(_gap(torch.tensor(mine), grads[f"{number}.{which}_proj.weight"].chunk(size, dim)[rank]))
    return worst(offs)


def _joined(each: list[dict[str, Any]], key: str) -> Tensor:
    return torch.cat([torch.tensor(one[key]) for one in each])


def _gap(mine: Tensor, right: Tensor) -> float:
    return float((mine - right).detach().abs().max())


def _grad(tensor: Tensor) -> Any:
    return tensor.grad
