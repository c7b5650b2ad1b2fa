"""A BERT encoder with mean pooling as an OpenVINO graph, built straight from safetensors: no torch, no conversion.

Devlin et al. 2018 (arXiv:1810.04805); mean pooling as in Sentence-BERT, Reimers & Gurevych 2019 (arXiv:1908.10084).
Shapes in comments: B texts, T tokens of the longest text, H heads, D values per head, C = H * D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from zhilu.messages import T

if TYPE_CHECKING:
    import openvino

__all__ = ["Arithmetic", "BertShape", "build_graph", "choose_arithmetic"]

Arithmetic = Literal["bf16", "int8", "f32"]

# Properties of the CPU plugin for each way to compute.
PLUGIN: dict[Arithmetic, dict[str, str]] = {
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16"},
    # Activations are quantised on the fly in groups of this many values; larger groups gain nothing measurable.
    "int8": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"},
    "f32": {"INFERENCE_PRECISION_HINT": "f32"},
}


@dataclass(frozen=True)
class BertShape:
    """The part of config.json that the graph depends on."""

    num_layers: int
    num_heads: int
    hidden_size: int
    norm_eps: float

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> BertShape:
        return cls(
            config["num_hidden_layers"], config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]
        )


def choose_arithmetic(capabilities: list[str]) -> tuple[Arithmetic, T]:
    """How to compute on a CPU with these capabilities (OpenVINO's OPTIMIZATION_CAPABILITIES), and why.

    Measured on passages of 220 tokens, two cores with AVX512-BF16, per second of both: f32 58 passages; bf16 95 to 102
    (cosine to f32 at least 0.9999); int8 weights with dynamic activations 90 to 94 (0.997); static int8 119 (0.98:
    too far). So bf16 where the CPU has it, else int8 where it has that.
    """
    if "BF16" in capabilities:
        return "bf16", T("bf16: the CPU multiplies it natively", "bf16：CPU 原生支持")
    if "INT8" in capabilities:
        return "int8", T("int8 weights: the CPU has no bf16", "int8 权重：CPU 不支持 bf16")
    return "f32", T("f32: the CPU has neither bf16 nor int8", "f32：CPU 不支持 bf16 和 int8")


def build_graph(weights: Mapping[str, np.ndarray], shape: BertShape, arithmetic: Arithmetic) -> openvino.Model:
    """The graph from ``ids`` int32 (B, T) and ``mask`` float32 (B, T; 1 counts, 0 is padding) to means (B, C).

    Where ``weights`` has no word vectors, the first input is those of the tokens instead: float32 (B, T, C).
    """
    import openvino
    from openvino import opset15 as op

    def const(array: np.ndarray) -> Any:
        return op.constant(np.require(array, requirements=["C", "W"]), shared_memory=True)

    def ints(*values: int) -> Any:
        return op.constant(np.array(values, np.int64))

    def linear(x: Any, name: str) -> Any:
        weight = weights[f"{name}.weight"]  # (out, in)
        node = _int8(weight) if arithmetic == "int8" else const(weight)
        return op.add(op.matmul(x, node, False, True), const(weights[f"{name}.bias"]))

    def norm(x: Any, name: str) -> Any:
        normed = op.mvn(x, ints(-1), True, shape.norm_eps, "inside_sqrt")
        return op.add(op.multiply(normed, const(weights[f"{name}.weight"])), const(weights[f"{name}.bias"]))

    def heads(x: Any) -> Any:  # (B, T, C) -> (B, H, T, D)
        split = op.reshape(x, ints(0, 0, shape.num_heads, shape.hidden_size // shape.num_heads), True)
        return op.transpose(split, ints(0, 2, 1, 3))

    table = weights.get("embeddings.word_embeddings.weight")
    if table is None:
        ids = words = op.parameter([-1, -1, shape.hidden_size], np.float32, name="words")
    else:
        ids = op.parameter([-1, -1], np.int32, name="ids")
        words = op.gather(const(table), ids, ints(0))
    mask = op.parameter([-1, -1], np.float32, name="mask")
    length = op.gather(op.shape_of(ids), op.constant(np.int64(1)), ints(0))
    positions = op.range(op.constant(np.int64(0)), length, op.constant(np.int64(1)), "i64")
    # All texts are first segments, so that the segment's vector is a constant part of the position's.
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    x = norm(op.add(words, op.gather(const(places), positions, ints(0))), "embeddings.LayerNorm")
    # 0 where a token counts, -1e9 where it is padding: (B, 1, 1, T).
    wide = op.unsqueeze(mask, ints(1, 2))
    bias = op.multiply(op.subtract(wide, op.constant(np.float32(1.0))), op.constant(np.float32(1e9)))
    for layer in range(shape.num_layers):
        at = f"encoder.layer.{layer}"
        q, k, v = (heads(linear(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value"))
        seen = op.transpose(op.scaled_dot_product_attention(q, k, v, bias), ints(0, 2, 1, 3))
        seen = op.reshape(seen, ints(0, 0, -1), True)
        x = norm(op.add(linear(seen, f"{at}.attention.output.dense"), x), f"{at}.attention.output.LayerNorm")
        wide_x = op.gelu(linear(x, f"{at}.intermediate.dense"), "erf")
        x = norm(op.add(linear(wide_x, f"{at}.output.dense"), x), f"{at}.output.LayerNorm")
    counts = op.unsqueeze(mask, ints(2))  # (B, T, 1)
    mean = op.divide(op.reduce_sum(op.multiply(x, counts), ints(1)), op.reduce_sum(counts, ints(1)))
    return openvino.Model([mean], [ids, mask], "bert-mean")


def _int8(weight: np.ndarray) -> Any:
    """Weights as int8 with a scale per output channel; the plugin recognises the pattern and multiplies in int8."""
    from openvino import opset15 as op

    scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / np.float32(127)
    rounded = np.rint(weight / scale).astype(np.int8)
    return op.multiply(op.convert(op.constant(rounded), np.float32), op.constant(scale))
