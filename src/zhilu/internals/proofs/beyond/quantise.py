"""6.7.4: equal to bitsandbytes and PyTorch; and what rounding costs a real model, in its layers and in what it says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.choose.sampler import log_softmax
from zhilu.engine.observe import Observer, silu
from zhilu.internals.proofs.text import nano_ids
from zhilu.internals.result import Chart, Check, Result, Say, Series, Table, at_most, same, worst
from zhilu.messages import T
from zhilu.models.shipped import NANO
from zhilu.setup.require import has_torch

__all__ = ["Changed", "apart", "prove", "real_layers"]

Array = npt.NDArray[np.float32]
_BITS = (8, 6, 4, 3, 2)
_CALIBRATION, _TEST = 400, 160


def prove(part: Any, say: Say) -> Result:
    """``part`` has what ``beyond.quantise`` has."""
    say(0.0, T("asking the libraries", "与库比较"))
    layers = real_layers()
    weight, inputs = layers["model.layers.3.mlp.gate_proj.weight"]
    checks = [*_int8(part, weight), *_nf4(part, weight), _surgeon(part)]
    say(0.2, T("one layer, bits by bits", "一层，逐个位数"))
    seen, new = inputs[:_CALIBRATION], inputs[_CALIBRATION:]
    plain = [part.output_error(weight, part.round_rows(weight, bits), new) for bits in _BITS]
    kind = [part.output_error(weight, part.gptq(weight, seen, bits), new) for bits in _BITS]
    four = part.output_error(weight, part.nf4(weight), new)
    at = _BITS.index(3)
    checks += [
        at_most(
            T("3 bits: GPTQ's error over plain rounding's, on new text", "3 位：GPTQ 与直接舍入的误差之比（新文本）"),
            kind[at] / plain[at],
            0.8,
        ),
        at_most(
            T("4 bits: NF4's error over plain rounding's", "4 位：NF4 与直接舍入的误差之比"),
            four / plain[_BITS.index(4)],
            0.95,
        ),
    ]
    say(0.4, T("the whole model", "整个模型"))
    ways: list[tuple[T, float, Callable[[Array, Array], Array]]] = [
        (T("int8, a scale for each row", "int8，每行一个缩放"), 8 + 32 / 256, lambda w, x: _back(part, w)),
        (T("NF4, blocks of 64", "NF4，64 个一块"), 4.5, lambda w, x: part.nf4(w)),
        (T("4 bits, plain rounding", "4 位，直接舍入"), 4 + 32 / 256, lambda w, x: part.round_rows(w, 4)),
        (T("4 bits, GPTQ", "4 位，GPTQ"), 4 + 32 / 256, lambda w, x: part.gptq(w, x[:_CALIBRATION], 4)),
        (T("3 bits, plain rounding", "3 位，直接舍入"), 3 + 32 / 256, lambda w, x: part.round_rows(w, 3)),
        (T("3 bits, GPTQ", "3 位，GPTQ"), 3 + 32 / 256, lambda w, x: part.gptq(w, x[:_CALIBRATION], 3)),
    ]
    rows, moved = [], list[float]()
    for number, (name, bits, way) in enumerate(ways):
        say(0.4 + 0.1 * number, name)
        changed = {key: way(*pair) for key, pair in layers.items()}
        off, alike = apart(changed)
        moved.append(off)
        rows.append([name, T.of(f"{bits:.2f}"), T.of(f"{off:.4f}"), T.of(f"{alike:.0%}")])
    checks += [
        at_most(T("int8: what the model says moves by (nats)", "int8：模型的预测变化（nat）"), moved[0], 0.01),
        at_most(
            T("3 bits: GPTQ's change over plain rounding's", "3 位：GPTQ 与直接舍入的变化之比"),
            moved[5] / moved[4],
            0.8,
        ),
    ]
    answer = 0 if kind[at] < 0.9 * plain[at] else 1
    xs = [float(bits) for bits in _BITS]
    return Result(
        task="6.7.4",
        answer=answer,
        checks=checks,
        charts=[
            Chart(
                title=T(
                    "How far one layer's output moves (layer 3, gate), on new text",
                    "一层的输出变化（第 3 层 gate，新文本）",
                ),
                x=T("bits a weight", "每个权重的位数"),
                y=T("relative error", "相对误差"),
                series=[
                    Series(name=T("plain rounding", "直接舍入"), xs=xs, ys=plain),
                    Series(name=T("GPTQ", "GPTQ"), xs=xs, ys=kind),
                ],
            )
        ],
        tables=[
            Table(
                title=T("All matrices of zhilu-nano's blocks", "zhilu-nano 各层的全部矩阵"),
                columns=[
                    T("how", "方法"),
                    T("bits a weight", "每权重位数"),
                    T("what it says moves by (nats)", "预测的变化（nat）"),
                    T("same likeliest token", "最可能的 token 相同"),
                ],
                rows=rows,
            )
        ],
    )


class Changed(Observer):
    """The model with some weights in the place of its own."""

    def __init__(self, weights: dict[str, Array]) -> None:
        super().__init__(NANO)
        self._changed = weights

    def weight(self, name: str) -> Array:
        return self._changed[name] if name in self._changed else super().weight(name)


@cache
def real_layers() -> dict[str, tuple[Array, Array]]:
    """Every matrix of zhilu-nano's blocks, and what it is given on a real text."""
    model, found = Observer(NANO), dict[str, tuple[Array, Array]]()
    seen = model.observe(nano_ids(_CALIBRATION + _TEST), everything=True)
    for number, block in enumerate(seen.blocks):
        inner = np.asarray(silu(block.gate) * block.up, np.float32)
        given = {
            "self_attn.q_proj": block.normed,
            "self_attn.k_proj": block.normed,
            "self_attn.v_proj": block.normed,
            "self_attn.o_proj": block.context,
            "mlp.gate_proj": block.normed_middle,
            "mlp.up_proj": block.normed_middle,
            "mlp.down_proj": inner,
        }
        for name, inputs in given.items():
            key = f"model.layers.{number}.{name}.weight"
            found[key] = (np.array(model.weight(key)), inputs.reshape(len(inputs), -1))
    return found


@cache
def _unchanged() -> Array:
    model = Observer(NANO)
    return log_softmax_rows(model.logits(model.observe(_test_ids()).hidden[-1]))


def _test_ids() -> list[int]:
    return nano_ids(_CALIBRATION + 2 * _TEST)[_CALIBRATION + _TEST :]  # none of what GPTQ was shown


def log_softmax_rows(logits: Array) -> Array:
    return np.stack([log_softmax(row) for row in logits])


def apart(weights: dict[str, Array]) -> tuple[float, float]:
    """Mean divergence of the next token's probabilities from the model's own, and how often the likeliest is the same."""
    right, model = _unchanged(), Changed(weights)
    mine = log_softmax_rows(model.logits(model.observe(_test_ids()).hidden[-1]))
    divergence = float((np.exp(right) * (right - mine)).sum(-1).mean())
    return divergence, float((right.argmax(-1) == mine.argmax(-1)).mean())


def _back(part: Any, weight: Array) -> Array:
    numbers, scale = part.int8(weight)
    return np.asarray(numbers.astype(np.float32) * scale)


def _int8(part: Any, weight: Array) -> list[Check]:
    numbers, scale = part.int8(weight)
    most = float((np.abs(numbers * scale - weight) / scale).max())
    checks = [at_most(T("int8: off by at most half a step", "int8：误差至多半步"), most, 0.5 + 1e-4)]
    if has_torch():
        import torch

        step = torch.from_numpy(scale[:, 0])
        theirs = torch.fake_quantize_per_channel_affine(
            torch.from_numpy(weight), step, torch.zeros(len(weight), dtype=torch.int32), 0, -127, 127
        ).numpy()
        # A weight that lies half-way between two steps may go either way.
        differ = float((np.abs(numbers * scale - theirs) > 1e-6).mean())
        checks.append(
            at_most(
                T("int8: share of weights that PyTorch rounds otherwise", "int8：PyTorch 舍入不同的权重比例"),
                differ,
                1e-3,
            )
        )
    return checks


def _nf4(part: Any, weight: Array) -> list[Check]:
    checks = [
        same(
            T("NF4: levels, one of them an exact zero", "NF4：级数，其中一个恰好是零"),
            f"{len(part.NF4)}, {float(part.NF4[7])}",
            "16, 0.0",
        )
    ]
    if not (has_torch() and find_spec("bitsandbytes")):
        return checks
    import torch
    from bitsandbytes import functional

    theirs = functional.get_4bit_type("nf4", device="cpu").numpy()
    off = worst([float(np.abs(theirs - part.NF4).max())])
    checks.append(at_most(T("NF4: levels against bitsandbytes'", "NF4：与 bitsandbytes 的级之差"), off, 1e-6))
    packed, state = functional.quantize_4bit(torch.from_numpy(weight), blocksize=64, quant_type="nf4")
    back = functional.dequantize_4bit(packed, state).numpy()
    mine = part.nf4(weight)
    # A weight exactly between two levels may be rounded either way.
    differ = float((np.abs(back - mine) > 1e-6).mean())
    checks.append(
        at_most(
            T("NF4: share of weights that bitsandbytes rounds otherwise", "NF4：bitsandbytes 舍入不同的权重比例"),
            differ,
            1e-4,
        )
    )
    return checks


def _surgeon(part: Any) -> Check:
    """GPTQ against Optimal Brain Quantisation done the long way: the inverse is computed anew for the columns that are left."""
    rng = np.random.default_rng(6)
    mix = rng.standard_normal((12, 12))
    x = (rng.standard_normal((80, 12)) @ mix).astype(np.float32)
    weight = rng.standard_normal((5, 12)).astype(np.float32)
    mine = part.gptq(weight, x, 4)
    h = 2 * x.astype(np.float64).T @ x
    h += 0.01 * np.mean(np.diag(h)) * np.eye(12)
    left, scale = weight.astype(np.float64).copy(), np.abs(weight).max(axis=1).astype(np.float64) / 7
    for column in range(12):
        inverse = np.linalg.inv(h[column:, column:])
        rounded = np.clip(np.rint(left[:, column] / scale), -8, 7) * scale
        error = (left[:, column] - rounded) / inverse[0, 0]
        left[:, column:] -= np.outer(error, inverse[0])
        left[:, column] = rounded
    off = worst([float(np.abs(mine - left).max())])
    return at_most(T("GPTQ against optimal rounding done the long way", "GPTQ 与逐列求逆的最优舍入之差"), off, 1e-5)
