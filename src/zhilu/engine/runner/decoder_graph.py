"""A dense decoder as an OpenVINO graph, built straight from safetensors: no torch, no conversion step.

All tokens of a step lie in one row, ``(num_tokens, hidden)``, as in ``torch.py``; OpenVINO's own PagedAttention finds out
by four lists which of them belong together. Norms, rotations and the steps around the matrix products are written in the
plain operations in which OpenVINO's CPU plugin recognises its fused kernels (RMS, RoPE, FullyConnected).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import openvino
from openvino import opset15 as op

# Not public, but the operation that OpenVINO's transformation of stateful models inserts; load.py falls back to torch
# where a version lacks it or wants other inputs.
from openvino.op import _PagedAttentionExtension as PagedAttention

from zhilu.engine.weights import as_float32

if TYPE_CHECKING:
    from zhilu.engine.config import ModelConfig

__all__ = ["BLOCK_SIZE", "Precision", "build_decoder"]

Precision = Literal["full", "int8"]

BLOCK_SIZE = 32  # tokens; the only one that the CPU's PagedAttention knows

# Weights up to this size are joined though they stay as stored; joining copies them, and the gain is in small products.
_JOINED_BYTES = 8 * 2**20

_TYPES = {np.dtype(np.float32): "f32", np.dtype(np.float16): "f16", np.dtype(np.uint16): "bf16"}


def build_decoder(
    config: ModelConfig,
    tensors: Mapping[str, npt.NDArray[Any]],
    precision: Precision = "full",
    delta_kinds: Collection[str] = (),
    is_lone: bool = False,
) -> openvino.Model:
    """The graph of one step. It shares memory with ``tensors`` (see ``weights.map_tensors``): keep them.

    Inputs, in which B sequences have T new tokens together:
        hidden: f32 (T, hidden_size), the embedded tokens. The lookup stays outside, or the table would be kept twice.
        cos, sin: f32 (T, 1, 1, head_dim), of the tokens' positions.
        wanted: i32 (num_wanted,), rows whose logits are asked for. The others skip the output projection.
        past_lens: i32 (B,), tokens in the cache. subsequence_begins: i32 (B + 1,), where each one's rows begin.
        block_indices: i32, all block tables, of which block_indices_begins (B + 1,) tells the beginnings.
        max_context_len: i32 (), length of the longest sequence after this step.
        key_cache.N, value_cache.N: (num_blocks, kv_heads, 32, head_dim) of layer N, written in place.
        Where there are delta_kinds, delta_mask: f32 (T, n * rank), and for each such projection PROJECTION.a:
        f32 (in, n * rank) and PROJECTION.b: f32 (n * rank, out), the deltas of n adapters (see ``adapters.stack_deltas``).
        They are inputs, so that adapters come and go without a new compilation.

    Output: f32 (num_wanted, vocab_size).

    Args:
        precision: ``full`` keeps the weights as stored; ``int8`` rounds them, with one scale per output channel.
        delta_kinds: projections that may carry LoRA deltas, such as ``q_proj``.
        is_lone: for one token of one sequence only (T = B = num_wanted = 1). With fixed sizes the plugin settles every
            node's shapes and memory when it compiles, not in each step.
    """
    return _Builder(config, tensors, precision, delta_kinds, is_lone).build()


class _Builder:
    def __init__(
        self,
        config: ModelConfig,
        tensors: Mapping[str, npt.NDArray[Any]],
        precision: Precision,
        delta_kinds: Collection[str],
        is_lone: bool,
    ) -> None:
        self.config = config
        self.tensors = tensors
        self.precision = precision
        self.delta_kinds = delta_kinds
        self.inputs: list[Any] = []
        dim, rows, ends = config.head_dim, *((1, 2) if is_lone else (-1, -1))
        self.hidden = self._input("hidden", [rows, config.hidden_size])
        self.cos, self.sin = self._input("cos", [rows, 1, 1, dim]), self._input("sin", [rows, 1, 1, dim])
        self.wanted = self._input("wanted", [rows], np.int32)
        sizes = {"past_lens": rows, "subsequence_begins": ends, "block_indices": -1, "block_indices_begins": ends}
        self.lists = [self._input(name, [size], np.int32) for name, size in sizes.items()]
        self.max_context_len = self._input("max_context_len", [], np.int32)
        self.delta_mask = self._input("delta_mask", [-1, -1]) if delta_kinds else None

    def build(self) -> openvino.Model:
        x = self.hidden
        for layer in range(self.config.num_layers):
            at = f"model.layers.{layer}"
            x = op.add(x, self._attention(self._norm(x, f"{at}.input_layernorm"), at, layer))
            x = op.add(x, self._mlp(self._norm(x, f"{at}.post_attention_layernorm"), f"{at}.mlp"))
        last = self._norm(op.gather(x, self.wanted, _ints(0)), "model.norm")
        logits = self._linear(last, "model.embed_tokens" if self.config.tied else "lm_head")
        return openvino.Model([logits], self.inputs, "decoder")

    def _attention(self, x: Any, at: str, layer: int) -> Any:
        heads, kv_heads, dim = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        q, k, v = self._linears(x, [f"{at}.self_attn.{name}_proj" for name in "qkv"])
        q = self._rotated_heads(q, heads, f"{at}.self_attn.q_norm")
        k = self._rotated_heads(k, kv_heads, f"{at}.self_attn.k_norm")
        caches = [self._input(f"{kind}_cache.{layer}", [-1, kv_heads, BLOCK_SIZE, dim]) for kind in ("key", "value")]
        scale = op.constant(np.float32(dim**-0.5))
        inputs = [q, k, v, *caches, *self.lists, scale, _zero(), _nothing(np.float32), self.max_context_len]
        attention = PagedAttention([_output(value) for value in (*inputs, *_unused_inputs())])
        info = attention.get_rt_info()
        for kind in "kv":
            info[f"num_{kind}_heads"], info[f"{kind}_head_size"] = kv_heads, dim
        return self._linear(attention.output(0), f"{at}.self_attn.o_proj")

    def _rotated_heads(self, x: Any, num_heads: int, norm: str) -> Any:
        """(T, num_heads * head_dim), normed by head where the model has such norms, each pair (i, i + dim/2) turned."""
        dim = self.config.head_dim
        x = op.reshape(x, _ints(-1, num_heads, 1, dim), False)
        if self.config.qk_norm:
            x = self._norm(x, norm)
        first = op.slice(x, _ints(0), _ints(dim // 2), _ints(1), _ints(3))
        second = op.slice(x, _ints(dim // 2), _ints(dim), _ints(1), _ints(3))
        turned = op.concat([op.multiply(second, op.constant(np.float32(-1))), first], -1)
        x = op.add(op.multiply(x, self.cos), op.multiply(turned, self.sin))
        return op.reshape(x, _ints(-1, num_heads * dim), False)

    def _mlp(self, x: Any, at: str) -> Any:
        gate, up = self._linear(x, f"{at}.gate_proj"), self._linear(x, f"{at}.up_proj")
        return self._linear(op.multiply(op.swish(gate), up), f"{at}.down_proj")

    def _norm(self, x: Any, name: str) -> Any:
        """Root mean square norm (arXiv 1910.07467) over the last dimension."""
        mean = op.reduce_mean(op.power(x, op.constant(np.float32(2))), _ints(-1), True)
        root = op.sqrt(op.add(mean, op.constant(np.float32(self.config.norm_eps))))
        normed = op.multiply(x, op.divide(op.constant(np.float32(1)), root))
        return op.multiply(normed, op.constant(as_float32(self.tensors[f"{name}.weight"])))

    def _linears(self, x: Any, names: list[str]) -> list[Any]:
        """Projections of the same ``x`` as one product: a small one costs more to start than to compute.

        Measured on 26 million parameters, int8, two cores, joining q, k and v: 17 % more tokens/s of one stream, 5 % of 32
        (medians of five pairs of runs).
        """
        weights = [self.tensors[f"{name}.weight"] for name in names]
        size = sum(weight.nbytes for weight in weights)
        if len({weight.dtype for weight in weights}) > 1 or (self.precision == "full" and size > _JOINED_BYTES):
            return [self._linear(x, name) for name in names]
        joined = op.matmul(x, self._constant(np.concatenate(weights), is_kept=False), False, True)
        parts = op.variadic_split(joined, _ints(1), _ints(*map(len, weights))).outputs()
        return [self._finished(part, x, name) for part, name in zip(parts, names, strict=True)]

    def _linear(self, x: Any, name: str) -> Any:
        weight = self._constant(self.tensors[f"{name}.weight"], is_kept=True)
        return self._finished(op.matmul(x, weight, False, True), x, name)

    def _constant(self, weight: npt.NDArray[Any], is_kept: bool) -> Any:
        return _rounded(weight) if self.precision == "int8" else _as_stored(weight, is_kept)

    def _finished(self, y: Any, x: Any, name: str) -> Any:
        """A projection's product with its LoRA deltas and its bias."""
        if name.rpartition(".")[2] in self.delta_kinds:
            size_out, size_in = self.tensors[f"{name}.weight"].shape
            a, b = self._input(f"{name}.a", [size_in, -1]), self._input(f"{name}.b", [-1, size_out])
            hidden = op.multiply(op.matmul(x, a, False, False), self.delta_mask)  # (T, n * rank)
            y = op.add(y, op.matmul(hidden, b, False, False))
        bias = self.tensors.get(f"{name}.bias")
        return y if bias is None else op.add(y, op.constant(as_float32(bias)))

    def _input(self, name: str, shape: list[int], dtype: Any = np.float32) -> Any:
        node = op.parameter(shape, dtype, name=name)
        node.output(0).get_tensor().set_names({name})
        self.inputs.append(node)
        return node


def _as_stored(weight: npt.NDArray[Any], is_kept: bool) -> Any:
    """The weight, without a copy if somebody keeps it; half precisions are widened by the plugin where it multiplies."""
    kind = _TYPES[weight.dtype]
    tensor = openvino.Tensor(weight, list(weight.shape), getattr(openvino.Type, kind))
    node = op.constant(tensor, shared_memory=is_kept)
    return node if kind == "f32" else op.convert(node, np.float32)


def _rounded(weight: npt.NDArray[Any]) -> Any:
    """int8 and a scale per output channel, in the pattern that the plugin multiplies without widening it first."""
    scale = np.empty((len(weight), 1), np.float32)
    rounded = np.empty(weight.shape, np.int8)
    step = max(1, 2**18 // weight.shape[1])  # rows at once: large temporaries would stay with the process
    for start in range(0, len(weight), step):
        rows = slice(start, start + step)
        exact = as_float32(weight[rows])
        scale[rows] = np.maximum(np.abs(exact).max(axis=1, keepdims=True), 1e-12) / np.float32(127)
        rounded[rows] = np.rint(exact / scale[rows])
    return op.multiply(op.convert(op.constant(rounded), np.float32), op.constant(scale))


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


def _zero() -> Any:
    return op.constant(np.array(0, np.int32))


def _nothing(dtype: Any = np.int32, rank: int = 1) -> Any:
    return op.constant(np.zeros((0,) * rank, dtype))
