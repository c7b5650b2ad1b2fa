"""A dense decoder as an OpenVINO graph, built straight from safetensors: no torch, no conversion step.

As in ``torch.py``, all tokens of a step are in one row, ``(num_tokens, hidden)``. Four lists tell OpenVINO's own PagedAttention
which of them belong together. Norms, rotations and the steps around the matrix products are written in the plain operations
in which OpenVINO's CPU plugin recognises its fused kernels (RMS, RoPE, FullyConnected).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import openvino
from openvino import opset15 as op

# Not public, but the operation that OpenVINO's transformation of stateful models inserts; load.py falls back to torch
# where a version lacks it or wants other inputs.
from openvino.op import _PagedAttentionExtension as PagedAttention

from zhilu.engine.model.bfloat16 import as_float32
from zhilu.engine.model.quants import LowBit, Quantized
from zhilu.engine.model.weights import Tensor, check_finite, drop_pages, take_rows
from zhilu.engine.runner.constants import Constants
from zhilu.errors import UnsupportedError
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.engine.model.config import ModelConfig, RopeConfig

__all__ = ["BLOCK_SIZE", "Precision", "build_decoder", "marked_ropes", "refuse_unbuilt"]

Precision = Literal["full", "int8"]

BLOCK_SIZE = 32  # tokens; the only one that the CPU's PagedAttention knows

# Weights up to this size are joined though they stay as stored; joining copies them, and the gain is in small products.
_JOINED_BYTES = 8 * 2**20

# Values rounded or taken apart at once: large temporaries would stay with the process.
_PIECE = 2**20

_TYPES = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16", np.dtype(np.uint16): "bf16"}


def build_decoder(
    config: ModelConfig,
    tensors: Mapping[str, Tensor],
    precision: Precision = "full",
    delta_kinds: Collection[str] = (),
    half_deltas: bool = False,
    is_lone: bool = False,
    constants: Constants | None = None,
) -> openvino.Model:
    """The graph of one step. It shares memory with ``tensors`` (see ``weights.map_tensors``): keep them.

    Inputs, in which B sequences have T new tokens together:
        hidden: f32 (T, hidden_size), the embedded tokens. The lookup stays outside, or the table would be kept twice.
        cos, sin: f32 (T, 1, 1, head_dim), of the tokens' positions; cos.1, sin.1 … where layers differ in their positions.
        wanted: i32 (num_wanted,), rows whose logits are asked for. The others skip the output projection.
        past_lens: i32 (B,), tokens in the cache. subsequence_begins: i32 (B + 1,), where each one's rows begin.
        block_indices: i32, all block tables, of which block_indices_begins (B + 1,) tells the beginnings.
        max_context_len: i32 (), length of the longest sequence after this step.
        key_cache.N, value_cache.N: (num_blocks, kv_heads, 32, head_dim) of layer N, written in place.
        Where there are delta_kinds, for groups of k projections, named PROJECTION+PROJECTION…: GROUP.a
        (in, k * n * rank) and GROUP.b (k * n * rank, sum of out), the deltas of n adapters (see ``adapters.stack_deltas``),
        f32 or, with ``half_deltas``, bf16; and for each k delta_mask.k: f32 (T, k * n * rank). They are inputs, so that
        adapters come and go without a new compilation.

    Output: f32 (num_wanted, vocab_size).

    Args:
        precision: ``full`` keeps the weights as stored, blocks of GGUF included; ``int8`` rounds them, with one scale per
            output channel.
        delta_kinds: projections that may carry LoRA deltas, such as ``q_proj``.
        half_deltas: they come in the precision of the arithmetic, or the plugin would convert them in every step.
        is_lone: for one token of one sequence only (T = B = num_wanted = 1). With fixed sizes the plugin settles every
            node's shapes and memory when it compiles, not in each step.
        constants: where weights lie that are not as they are stored.
    """
    return _Builder(config, tensors, precision, delta_kinds, half_deltas, is_lone, constants or Constants()).build()


def marked_ropes(config: ModelConfig) -> dict[str, RopeConfig]:
    """The different positions of the layers by what their inputs' names end with."""
    return {f".{number}" if number else "": rope for number, rope in enumerate(config.ropes)}


def refuse_unbuilt(config: ModelConfig) -> None:
    """UnsupportedError for what PyTorch computes and this graph does not."""
    what = None
    if config.experts:
        what = T("a mixture of experts", "混合专家")
    elif config.scales.attention_cap:
        what = T("attention with capped scores (Gemma 2)", "带上限的注意力分数（Gemma 2）")
    if what:
        raise UnsupportedError(
            T(
                f"OpenVINO's paged attention graph does not have {what.en}; the torch runner does",
                f"OpenVINO 的分页注意力图不支持{what.zh}；torch 运行器支持",
            ),
            param="runner",
            code="unsupported_model",
            fix="--runner torch",
        )


class _Builder:
    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, Tensor],
        precision: Precision,
        delta_kinds: Collection[str],
        half_deltas: bool,
        is_lone: bool,
        constants: Constants,
    ) -> None:
        self.config = config
        self.tensors = tensors
        self.precision = precision
        self.delta_kinds = delta_kinds
        self.half_deltas = half_deltas
        self.constants = constants
        self.delta_masks: dict[int, Any] = {}  # by the number of projections side by side
        self.inputs: list[Any] = []
        dim, rows, ends = config.head_dim, *((1, 2) if is_lone else (-1, -1))
        self.hidden = self._input("hidden", [rows, config.hidden_size])
        self.turns = {
            rope: (self._input(f"cos{mark}", [rows, 1, 1, dim]), self._input(f"sin{mark}", [rows, 1, 1, dim]))
            for mark, rope in marked_ropes(config).items()
        }
        self.wanted = self._input("wanted", [rows], np.int32)
        sizes = {"past_lens": rows, "subsequence_begins": ends, "block_indices": -1, "block_indices_begins": ends}
        self.lists = [self._input(name, [size], np.int32) for name, size in sizes.items()]
        self.max_context_len = self._input("max_context_len", [], np.int32)

    def build(self) -> openvino.Model:
        x, scales = self.hidden, self.config.scales
        for layer in range(self.config.num_layers):
            at = f"model.layers.{layer}"
            added = self._attention(self._norm(x, f"{at}.input_layernorm"), at, layer)
            x = op.add(x, self._scaled(self._normed_output(added, f"{at}.post_self_attn_layernorm"), scales.residual))
            added = self._mlp(self._norm(x, f"{at}.post_attention_layernorm"), f"{at}.mlp")
            x = op.add(x, self._scaled(self._normed_output(added, f"{at}.post_mlp_layernorm"), scales.residual))
        last = self._norm(op.gather(x, self.wanted, _ints(0)), "model.norm")
        logits = self._linear(last, "model.embed_tokens" if self.config.tied else "lm_head")
        logits = self._capped(self._scaled(logits, scales.logits), scales.logits_cap)
        return openvino.Model([logits], self.inputs, "decoder")

    def _normed_output(self, x: Any, name: str) -> Any:
        return self._norm(x, name) if self.config.post_norms else x

    def _scaled(self, x: Any, factor: float) -> Any:
        return x if factor == 1 else op.multiply(x, op.constant(np.float32(factor)))

    def _capped(self, x: Any, cap: float | None) -> Any:
        return x if cap is None else self._scaled(op.tanh(self._scaled(x, 1 / cap)), cap)

    def _attention(self, x: Any, at: str, layer: int) -> Any:
        heads, kv_heads, dim = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        q, k, v = self._linears(x, [f"{at}.self_attn.{name}_proj" for name in "qkv"])
        rope, window = self.config.layers[layer].rope, self.config.layers[layer].window
        q = self._rotated_heads(q, heads, f"{at}.self_attn.q_norm", rope)
        k = self._rotated_heads(k, kv_heads, f"{at}.self_attn.k_norm", rope)
        caches = [self._input(f"{kind}_cache.{layer}", [-1, kv_heads, BLOCK_SIZE, dim]) for kind in ("key", "value")]
        scale, looks_back = op.constant(np.float32(self.config.scales.attention)), _int(window or 0)  # 0: everything
        inputs = [q, k, v, *caches, *self.lists, scale, looks_back, _nothing(np.float32), self.max_context_len]
        attention = PagedAttention([_output(value) for value in (*inputs, *_unused_inputs())])
        info = attention.get_rt_info()
        for kind in "kv":
            info[f"num_{kind}_heads"], info[f"{kind}_head_size"] = kv_heads, dim
        return self._linear(attention.output(0), f"{at}.self_attn.o_proj")

    def _rotated_heads(self, x: Any, num_heads: int, norm: str, rope: RopeConfig | None) -> Any:
        """(T, num_heads * head_dim), normed by head where the model has such norms, each pair (i, i + dim/2) turned."""
        dim = self.config.head_dim
        x = op.reshape(x, _ints(-1, num_heads, 1, dim), False)
        if self.config.qk_norm:
            x = self._norm(x, norm)
        if rope is None:
            return op.reshape(x, _ints(-1, num_heads * dim), False)
        cos, sin = self.turns[rope]
        first = op.slice(x, _ints(0), _ints(dim // 2), _ints(1), _ints(3))
        second = op.slice(x, _ints(dim // 2), _ints(dim), _ints(1), _ints(3))
        turned = op.concat([op.multiply(second, op.constant(np.float32(-1))), first], -1)
        x = op.add(op.multiply(x, cos), op.multiply(turned, sin))
        return op.reshape(x, _ints(-1, num_heads * dim), False)

    def _mlp(self, x: Any, at: str) -> Any:
        gate, up = self._linears(x, [f"{at}.gate_proj", f"{at}.up_proj"], joins=False)
        gate = op.swish(gate) if self.config.activation == "silu" else op.gelu(gate, "tanh")
        return self._linear(op.multiply(gate, up), f"{at}.down_proj")

    def _norm(self, x: Any, name: str) -> Any:
        """Root mean square norm (arXiv 1910.07467) over the last dimension."""
        mean = op.reduce_mean(op.power(x, op.constant(np.float32(2))), _ints(-1), True)
        root = op.sqrt(op.add(mean, op.constant(np.float32(self.config.norm_eps))))
        normed = op.multiply(x, op.divide(op.constant(np.float32(1)), root))
        return op.multiply(normed, self._vector(f"{name}.weight"))

    def _linears(self, x: Any, names: list[str], joins: bool = True) -> list[Any]:
        """Projections of the same ``x``, with ``joins`` as one product: a small one costs more to start than to compute.

        Measured on 26 million parameters, int8, two cores, joining q, k and v: 17 % more tokens/s of one stream, 5 % of 32
        (medians of five pairs of runs).
        """
        hidden = self._delta_hidden(x, names)
        groups = self._joined(names) if joins else [[name] for name in names]
        parts: list[Any] = []
        for group in groups:
            y = op.matmul(x, self._constant(group), False, True)
            if hidden is not None and len(groups) == 1:
                y = op.add(y, self._delta(hidden, names))
            parts += _split(y, [len(self.tensors[f"{name}.weight"]) for name in group])
        if hidden is not None and len(groups) > 1:
            own = _split(hidden, len(names))
            parts = [op.add(part, self._delta(one, [name])) for part, one, name in zip(parts, own, names, strict=True)]
        return [self._biased(part, name) for part, name in zip(parts, names, strict=True)]

    def _joined(self, names: list[str]) -> list[list[str]]:
        """Neighbours that can be one matrix: stored alike, or rounded alike."""
        weights = [self.tensors[f"{name}.weight"] for name in names]
        if self.precision == "int8":
            return [names]
        if sum(weight.nbytes for weight in weights) > _JOINED_BYTES:
            return [[name] for name in names]
        kinds = [weight.kind if isinstance(weight, Quantized) else str(weight.dtype) for weight in weights]
        alike = groupby(zip(kinds, names, strict=True), key=lambda pair: pair[0])
        return [[name for _, name in group] for _, group in alike]

    def _linear(self, x: Any, name: str) -> Any:
        return self._linears(x, [name], joins=False)[0]

    def _delta_hidden(self, x: Any, names: list[str]) -> Any:
        """``(T, k * n * rank)``, each token's own columns of ``x @ a``; None where no adapter may change these projections."""
        if not any(name.rpartition(".")[2] in self.delta_kinds for name in names):
            return None
        count = len(names)
        if count not in self.delta_masks:
            self.delta_masks[count] = self._input(f"delta_mask.{count}", [-1, -1])
        a = self._delta_input(f"{'+'.join(names)}.a", [self.tensors[f"{names[0]}.weight"].shape[1], -1])
        return op.multiply(op.matmul(x, a, False, False), self.delta_masks[count])

    def _delta(self, hidden: Any, names: list[str]) -> Any:
        """What the adapters add to these projections, side by side ``(T, sum of out)``."""
        size_out = sum(len(self.tensors[f"{name}.weight"]) for name in names)
        return op.matmul(hidden, self._delta_input(f"{'+'.join(names)}.b", [-1, size_out]), False, False)

    def _delta_input(self, name: str, shape: list[int]) -> Any:
        if not self.half_deltas:
            return self._input(name, shape)
        return op.convert(self._input(name, shape, openvino.Type.bf16), np.float32)

    def _constant(self, names: list[str]) -> Any:
        """The weights of these projections, one below the other."""
        weights = [self.tensors[f"{name}.weight"] for name in names]
        key = "+".join(names)
        if self.precision == "int8":
            made = self.constants.place(f"int8 {key}", lambda: _checked(key, _rounded(weights, self.constants.threads)))
            return op.multiply(op.convert(_shared(made["codes"]), np.float32), _shared(made["scales"]))
        blocks = [weight for weight in weights if isinstance(weight, Quantized)]
        if blocks:
            low = blocks[0].low_bit(slice(1))
            made = self.constants.place(
                f"blocks {key}", lambda: _checked(key, _low_bit(blocks, self.constants.threads))
            )
            return _widened(made, low.bits, low.group)
        plain = [weight for weight in weights if not isinstance(weight, Quantized)]
        if not self.half_deltas and any(weight.dtype != np.float32 for weight in plain):
            # The plugin would widen them for each graph and keep that beside its own order of them; ours can be given back.
            made = self.constants.place(f"float32 {key}", lambda: _in_float32(key, plain))
            return _shared(made["weights"])
        joined = plain[0] if len(plain) == 1 else np.concatenate(plain)
        check_finite(key, joined)
        return _as_stored(joined, is_kept=len(plain) == 1)

    def _vector(self, name: str) -> Any:
        """A norm's weights or a bias."""
        array = take_rows(self.tensors[name], slice(None))
        check_finite(name, array)
        return op.constant(array)

    def _biased(self, y: Any, name: str) -> Any:
        return op.add(y, self._vector(f"{name}.bias")) if f"{name}.bias" in self.tensors else y

    def _input(self, name: str, shape: list[int], dtype: Any = np.float32) -> Any:
        node = op.parameter(shape, dtype, name=name)
        node.output(0).get_tensor().set_names({name})
        self.inputs.append(node)
        return node


def _split(y: Any, sizes: list[int] | int) -> list[Any]:
    """The columns of ``y`` in parts of these sizes, or in so many equal ones."""
    if sizes == 1:
        return [y]
    parts = (
        op.split(y, op.constant(np.int64(1)), sizes)
        if isinstance(sizes, int)
        else op.variadic_split(y, _ints(1), _ints(*sizes))
    )
    outputs: list[Any] = parts.outputs()
    return outputs


def _as_stored(weight: npt.NDArray[Any], is_kept: bool) -> Any:
    """The weight, without a copy if somebody keeps it; half precisions are widened by the plugin where it multiplies."""
    kind = _TYPES[weight.dtype]
    tensor = openvino.Tensor(weight, list(weight.shape), getattr(openvino.Type, kind))
    node = op.constant(tensor, shared_memory=is_kept)
    return node if kind == "f32" else op.convert(node, np.float32)


def _in_float32(key: str, weights: Sequence[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Half precisions, exactly, one below the other."""
    joined = np.concatenate([as_float32(weight) for weight in weights])
    check_finite(key, joined)
    return {"weights": joined}


def _rounded(weights: Sequence[Tensor], threads: int = 1) -> dict[str, npt.NDArray[Any]]:
    """int8 and a scale per output channel, in the pattern that the plugin multiplies without widening it first."""
    num_rows, width = sum(map(len, weights)), weights[0].shape[1]
    scale = np.empty((num_rows, 1), np.float32)
    rounded = np.empty((num_rows, width), np.int8)

    def fill(weight: Tensor, start: int, stop: int, first: int) -> None:
        exact = take_rows(weight, slice(start, stop))
        rows = slice(first, first + len(exact))
        scale[rows] = np.maximum(np.abs(exact).max(axis=1, keepdims=True), 1e-12) / np.float32(127)
        with np.errstate(invalid="ignore"):  # NaN is told of by its scale
            rounded[rows] = np.rint(exact / scale[rows])

    _by_rows(weights, max(1, _PIECE // 4 // width), threads, fill)
    return {"codes": rounded, "scales": scale}


def _by_rows(matrices: Sequence[Tensor], step: int, threads: int, fill: Callable[[Any, int, int, int], None]) -> None:
    """``fill(matrix, start, stop, first)`` for so many rows at once; ``first`` counts over all matrices. NumPy lets go of
    Python's lock while it computes, so that threads share the work."""
    beginnings = [0, *accumulate(map(len, matrices))]
    pieces = [
        (matrix, start, start + step, first + start)
        for matrix, first in zip(matrices, beginnings, strict=False)
        for start in range(0, len(matrix), step)
    ]
    if threads == 1 or len(pieces) < 2:
        for piece in pieces:
            fill(*piece)
        return
    with ThreadPoolExecutor(min(threads, len(pieces))) as pool:
        list(pool.map(lambda piece: fill(*piece), pieces))


def _checked(name: str, made: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The same; whatever is wrong with weights shows in their scales."""
    for part in ("scales", "zeros"):
        if part in made:
            check_finite(name, made[part])
    return made


def _low_bit(matrices: Sequence[Quantized], threads: int = 1) -> dict[str, npt.NDArray[Any]]:
    """Codes, scales and (where the format has minima) zeros of these matrices, one below the other.

    A few rows at a time: temporaries of a whole matrix would take four times its memory, and of the file only what is being
    read need be in it.
    """
    num_rows, width = sum(map(len, matrices)), matrices[0].shape[1]
    first_row = _with_zeros(matrices[0].low_bit(slice(1)))
    made = {name: np.empty((num_rows, *part.shape[1:]), part.dtype) for name, part in first_row.items()}

    def fill(matrix: Quantized, start: int, stop: int, first: int) -> None:
        for name, part in _with_zeros(matrix.low_bit(slice(start, stop))).items():
            made[name][first : first + len(part)] = part

    _by_rows(matrices, max(1, _PIECE // width), threads, fill)
    for matrix in matrices:
        drop_pages(matrix)
    return made


def _with_zeros(part: LowBit) -> dict[str, npt.NDArray[Any]]:
    """Minima as zeros: the code that stands for zero, which need be no whole number."""
    if part.minima is None:
        return {"codes": part.codes, "scales": part.scales}
    constant = part.scales == 0  # every value of the group is minus the minimum
    return {
        "codes": np.where(constant, np.uint8(0), part.codes),
        "scales": np.where(constant, part.minima, part.scales),
        "zeros": np.where(constant, np.float32(1), part.minima / np.where(constant, np.float32(1), part.scales)),
    }


def _widened(made: Mapping[str, npt.NDArray[Any]], bits: str, group: int) -> Any:
    """The pattern in which the plugin recognises weights that it widens while it multiplies."""
    num_rows, num_groups, _ = made["codes"].shape
    shape = [num_rows, num_groups, group]
    codes = openvino.Tensor(made["codes"], shape, getattr(openvino.Type, bits))
    x = op.convert(op.constant(codes, shared_memory=True), np.float32)
    if "zeros" in made:
        x = op.subtract(x, _shared(made["zeros"]))
    return op.reshape(op.multiply(x, _shared(made["scales"])), _ints(num_rows, num_groups * group), False)


def _shared(array: npt.NDArray[Any]) -> Any:
    """A constant over memory that somebody keeps."""
    return op.constant(openvino.Tensor(array, shared_memory=True), shared_memory=True)


def _unused_inputs() -> list[Any]:
    """PagedAttention's inputs 13 to 27, in OpenVINO 2026.4's order; empty ones switch their feature off."""
    return [
        _nothing(),  # scores to hand out
        *(_nothing(), _nothing(), _nothing(np.float32)),  # rotation of cached keys
        *(_nothing(np.float32), _zero(), _zero()),  # sparse prefill (XAttention)
        _nothing(np.float32, 4),  # attention sinks
        *(_zero(), _nothing(), _nothing(), _nothing()),  # eviction of cached tokens
        _nothing(),  # token types
        *(_nothing(np.uint8), _nothing()),  # masks within a step
    ]


def _output(value: Any) -> Any:
    """Of a node its only output; a node of several, such as a split, hands its outputs out themselves."""
    return value if isinstance(value, openvino.Output) else value.output(0)


def _ints(*values: int) -> Any:
    return op.constant(np.array(values, np.int64))


def _int(value: int) -> Any:
    return op.constant(np.array(value, np.int32))


def _zero() -> Any:
    return _int(0)


def _nothing(dtype: Any = np.int32, rank: int = 1) -> Any:
    return op.constant(np.zeros((0,) * rank, dtype))
