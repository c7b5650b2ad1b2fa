"""6.3: the tiles give exact attention, OpenVINO's and PyTorch's; so do their gradients; and memory grows as it should."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.observe import Observer, attention_weights, scale_of
from zhilu.errors import MissingComponentError
from zhilu.internals.proofs.text import nano_ids
from zhilu.internals.result import (
    Chart,
    Check,
    Grid,
    Result,
    Say,
    Series,
    Table,
    at_least,
    at_most,
    nearest_option,
)
from zhilu.messages import T
from zhilu.models.shipped import NANO
from zhilu.setup.require import has_torch

__all__ = ["gap", "openvino_attention", "peak", "prove", "real_qkv", "triton_check"]

Array = npt.NDArray[np.float32]
_LENGTH = 230  # not a multiple of any tile
_TILES = (16, 48, 64, 256)
_LAYERS = (0, 3, 7)
_LENGTHS = (256, 512, 1024, 2048)
_NEAR = 1e-5  # of the largest value
_GRADIENT_NEAR = 1e-4  # float32 sums of a few hundred terms, against float64


def prove(part: Any, say: Say) -> Result:
    """``part`` has ``forward`` and ``backward`` of ``lesson3_flash_attention``."""
    say(0.0, T("reading q, k and v of zhilu-nano", "读取 zhilu-nano 的 q、k、v"))
    triples = real_qkv(_LENGTH)
    wanted = [_exact(*triple) for triple in triples]
    off = max(
        gap(part.forward(*triple, block=tile)[0], right)
        for triple, right in zip(triples, wanted, strict=True)
        for tile in _TILES
    )
    checks = [at_most(T("output: tiles against the whole matrix", "输出：分块与完整矩阵之差"), off, _NEAR)]
    say(0.2, T("asking OpenVINO", "与 OpenVINO 比较"))
    theirs = max(gap(part.forward(*triple)[0], openvino_attention(*triple)) for triple in triples)
    checks.append(at_most(T("output: against OpenVINO's attention", "输出：与 OpenVINO 的注意力之差"), theirs, _NEAR))
    say(0.3, T("gradients", "梯度"))
    checks.append(_gradients(part, triples))
    if has_torch():
        say(0.4, T("asking PyTorch", "与 PyTorch 比较"))
        checks += _torch_checks(part, triples)
    if has_torch() and find_spec("triton"):
        say(0.5, T("running the Triton kernel", "运行 Triton 内核"))
        checks.append(triton_check(triples[1]))
    say(0.6, T("measuring memory", "测量内存"))
    whole = [peak(lambda q, k, v: _exact(q, k, v), n) for n in _LENGTHS]
    tiled = [peak(lambda q, k, v: part.forward(q, k, v)[0], n) for n in _LENGTHS]
    powers = _power(whole), _power(tiled)
    checks += [
        at_least(T("memory of the whole matrix grows as length to the power", "完整矩阵的内存随长度的几次方增长"), powers[0], 1.7),
        at_most(T("memory of the tiles grows as length to the power", "分块的内存随长度的几次方增长"), powers[1], 1.3),
    ]  # fmt: skip
    memory = Chart(
        title=T("Working memory, measured", "实测的工作内存"),
        x=T("tokens", "token 数"),
        y=T("MiB", "MiB"),
        series=[
            Series(name=T("whole matrix", "完整矩阵"), xs=list(_LENGTHS), ys=[peak / 2**20 for peak in whole]),
            Series(name=T("tiles of 64", "64 的分块"), xs=list(_LENGTHS), ys=[peak / 2**20 for peak in tiled]),
        ],
        log=True,
    )
    answer = nearest_option(2.0 ** powers[1], (1, 2, 4), lambda a, b: abs(np.log(a / b)))
    return Result(
        task="6.3",
        answer=answer,
        checks=checks,
        charts=[memory],
        tables=[_step_by_step(*triples[0])],
        grids=[_tiles(*triples[1])],
    )


def real_qkv(length: int) -> list[tuple[Array, Array, Array]]:
    """Queries, keys and values of zhilu-nano on a real text: ``(heads, n, head_dim)`` for each of some layers."""
    observer = Observer(NANO)
    seen = observer.observe(nano_ids(length), everything=True)
    shared = observer.config.num_heads // observer.config.num_kv_heads

    def heads(x: Array, times: int) -> Array:
        return np.ascontiguousarray(np.repeat(x, times, axis=1).transpose(1, 0, 2))

    blocks = [seen.blocks[layer] for layer in _LAYERS]
    return [(heads(block.q, 1), heads(block.k, shared), heads(block.v, shared)) for block in blocks]


def openvino_attention(q: Array, k: Array, v: Array) -> Array:
    """The attention of the library that our engine runs on, in full precision."""
    import openvino as ov
    from openvino import opset13 as ops

    inputs = [ops.parameter([1, *x.shape], np.float32) for x in (q, k, v)]
    model = ov.Model([ops.scaled_dot_product_attention(*inputs, causal=True)], inputs, "attention")
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([x[None] for x in (q, k, v)])[0][0])


def _exact(q: Array, k: Array, v: Array) -> Array:
    return np.asarray(attention_weights(q.transpose(1, 0, 2), k.transpose(1, 0, 2)) @ v)


def gap(mine: Array, theirs: npt.NDArray[Any]) -> float:
    """The largest difference, relative to the largest value there is where that is above one; infinite where there is a NaN,
    for ``max`` of Python would pass over it."""
    found = float(np.abs(mine - theirs).max() / max(1.0, np.abs(theirs).max()))
    return found if np.isfinite(found) else np.inf


def _d_out(like: Array) -> Array:
    return np.random.default_rng(7).standard_normal(like.shape, dtype=np.float32)


def _gradients(part: Any, triples: list[tuple[Array, Array, Array]]) -> Check:
    """Against the textbook's way, with the whole matrix in float64; the difference relative to the largest gradient."""
    worst = 0.0
    for q, k, v in triples:
        out, lse = part.forward(q, k, v)
        d_out = _d_out(out)
        mine = part.backward(q, k, v, out, lse, d_out)
        q64, k64, v64, d64 = (x.astype(np.float64) for x in (q, k, v, d_out))
        weights = attention_weights(q64.transpose(1, 0, 2), k64.transpose(1, 0, 2)).astype(np.float64)
        d_weights = d64 @ v64.transpose(0, 2, 1)
        scale = float(scale_of(q.shape[-1]))
        d_scores = weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True)) * scale
        right = (d_scores @ k64, d_scores.transpose(0, 2, 1) @ q64, weights.transpose(0, 2, 1) @ d64)
        worst = max(worst, *map(gap, mine, right))
    name = T("gradients: tiles against the whole matrix (relative)", "梯度：分块与完整矩阵之差（相对）")
    return at_most(name, worst, _GRADIENT_NEAR)


def _torch_checks(part: Any, triples: list[tuple[Array, Array, Array]]) -> list[Check]:
    from torch.nn.functional import scaled_dot_product_attention

    from zhilu.internals.lessons.lesson3_flash_torch import FlashAttention

    output = gradient = own = 0.0
    for triple in triples:
        out, lse = part.forward(*triple)
        d_out = _d_out(out)
        mine = (out, *part.backward(*triple, out, lse, d_out))
        sdpa = _through(lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True), triple, d_out)
        ours = _through(FlashAttention.apply, triple, d_out)
        gaps = [*map(gap, mine, sdpa)]
        output, gradient = max(output, gaps[0]), max(gradient, *gaps[1:])
        own = max(own, *map(gap, ours, sdpa))
    return [
        at_most(T("output: against PyTorch's SDPA", "输出：与 PyTorch 的 SDPA 之差"), output, _NEAR),
        at_most(T("gradients: against PyTorch's SDPA", "梯度：与 PyTorch 的 SDPA 之差"), gradient, _GRADIENT_NEAR),
        at_most(T("the PyTorch version against SDPA (relative)", "PyTorch 版本与 SDPA 之差（相对）"), own, _GRADIENT_NEAR),
    ]  # fmt: skip


def triton_check(triple: tuple[Array, Array, Array]) -> Check:
    """The kernel as the GPU here runs it, or, where there is none, as Triton's interpreter does: of that two heads are enough.

    Raises:
        MissingComponentError: Triton is not installed.
    """
    if not (has_torch() and find_spec("triton")):
        raise MissingComponentError(
            T(
                "The kernel needs PyTorch and Triton, which runs on Linux.",
                "这个内核需要 PyTorch 和 Triton（仅 Linux）。",
            ),
            code="triton_missing",
            fix=f'{sys.executable} -m pip install "zhilu[triton]"',
        )
    import torch

    from zhilu.internals.lessons.lesson3_flash_triton import flash_attention

    place = "cuda" if torch.cuda.is_available() else "cpu"
    q, k, v = (torch.from_numpy(x[None, :2]).to(place) for x in triple)
    out, _ = flash_attention(q, k, v)
    off = gap(out[0].cpu().numpy(), _exact(*(x[:2] for x in triple)))
    where = T("compiled for the GPU", "编译到 GPU") if place == "cuda" else T("in its interpreter", "解释执行")
    name = T(f"output: the Triton kernel, {where.en}, against exact", f"输出：Triton 内核（{where.zh}）与精确值之差")
    return at_most(name, off, _NEAR)


def _through(attend: Callable[..., Any], triple: tuple[Array, Array, Array], d_out: Array) -> tuple[Array, ...]:
    """Output and gradients of q, k, v."""
    import torch

    tensors = [torch.from_numpy(x)[None].requires_grad_() for x in triple]
    out = attend(*tensors)
    out.backward(torch.from_numpy(d_out)[None])
    return (out[0].detach().numpy(), *(x.grad[0].numpy() for x in tensors if x.grad is not None))


def peak(attend: Callable[[Array, Array, Array], Array], n: int) -> int:
    """Bytes at the highest point beyond inputs and output (NumPy tells tracemalloc of every array)."""
    rng = np.random.default_rng(n)
    q, k, v = (rng.standard_normal((1, n, 64), dtype=np.float32) for _ in range(3))
    tracemalloc.start()
    try:
        out = attend(q, k, v)
        return int(tracemalloc.get_traced_memory()[1]) - out.nbytes
    finally:
        tracemalloc.stop()


def _power(peaks: list[int]) -> float:
    """The slope in the log-log picture."""
    return float(np.polyfit(np.log(_LENGTHS), np.log(peaks), 1)[0])


def _step_by_step(q: Array, k: Array, v: Array) -> Table:
    """The two numbers that a row keeps, tile by tile, for the last token in head 0."""
    scores = (k[0] @ q[0, -1]) * scale_of(q.shape[-1])
    rows, top, total = [], -np.inf, 0.0
    for first in range(0, len(scores), 64):
        tile = scores[first : first + 64]
        new_top = max(top, float(tile.max()))
        shrink = float(np.exp(top - new_top))
        total = total * shrink + float(np.exp(tile - new_top).sum())
        top = new_top
        rows.append(
            [f"{first}–{first + len(tile) - 1}", f"{tile.max():.3f}", f"{top:.3f}", f"{shrink:.4f}", f"{total:.4f}"]
        )
    return Table(
        title=T("One row on its way: the last token, layer 0, head 0", "一行的过程：最后一个 token，第 0 层第 0 头"),
        columns=[
            T("keys", "键"),
            T("largest here", "本块最大"),
            T("largest so far", "目前最大"),
            T("scaled down by", "缩小为"),
            T("sum so far", "目前的和"),
        ],
        rows=[[T.of(cell) for cell in row] for row in rows],
    )


def _tiles(q: Array, k: Array, v: Array) -> Grid:
    """Which tiles of 16 are computed, and how much attention lies in each: the rest is never touched."""
    weights = attention_weights(q.transpose(1, 0, 2), k.transpose(1, 0, 2)).mean(axis=0)
    size, n = 16, len(weights)
    starts = range(0, n, size)
    shares = [[float(weights[i : i + size, j : j + size].sum()) / size for j in starts] for i in starts]
    most = max(max(row) for row in shares)
    return Grid(
        title=T("The tiles, and how much attention each holds", "各个小块，以及每块里的注意力"),
        rows=T("queries", "查询"),
        columns=T("keys", "键"),
        cells=[
            [round(share / most, 4) if j <= i else None for j, share in enumerate(row)] for i, row in enumerate(shares)
        ],
    )
