"""What ``config.json`` in a model folder says, in our own terms.

The families of ``families.py`` share one block layout, Llama's, and differ in what that table lists. Field names follow
transformers 5 (``rope_parameters``); older spellings (``rope_theta``, ``rope_scaling``) are read as well. Numbers are checked
before anything is made in their sizes: a folder can come from anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from zhilu.engine.model.families import FAMILIES, Family, family_of, unsupported
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.gguf_model import gguf_config
from zhilu.engine.model.layers import LayerConfig, RopeConfig, read_layers, read_rope
from zhilu.errors import InputError, NotFoundError, UnsupportedError
from zhilu.messages import T

__all__ = [
    "FAMILIES",
    "LayerConfig",
    "ModelConfig",
    "RopeConfig",
    "Scales",
    "read_config",
    "read_json",
    "tensor_shapes",
]

# More than any model has; beyond them a file is a mistake or an attack.
_MOST = {
    "vocab_size": 2**22,
    "hidden_size": 2**17,
    "intermediate_size": 2**20,
    "num_hidden_layers": 1024,
    "num_attention_heads": 4096,
    "num_key_value_heads": 4096,
    "head_dim": 4096,
    "max_position_embeddings": 2**28,
    "num_experts": 4096,
    "num_experts_per_tok": 4096,
    "moe_intermediate_size": 2**20,
}
_MOST_EXPERTS = 2**17  # of all layers
_MOST_JSON_BYTES = 64 * 2**20  # an index of a model of 100,000 tensors has 10 MB

Activation = Literal["silu", "gelu_tanh"]
_ACTIVATIONS: Mapping[str, Activation] = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu_tanh"}


@dataclass(frozen=True)
class Scales:
    """Constants that multiply; a cap ``c`` replaces ``x`` by ``c * tanh(x / c)`` (Gemma 2), None: no cap."""

    attention: float  # the scores; Llama: 1 / sqrt(head_dim)
    embedding: float = 1.0
    residual: float = 1.0  # what attention and MLP add
    logits: float = 1.0
    attention_cap: float | None = None
    logits_cap: float | None = None


@dataclass(frozen=True)
class Experts:
    """A mixture of experts: ``num_used`` of them see a token, weighted by the router's probabilities."""

    num_used: int
    intermediate_size: int
    is_normalised: bool  # the weights of those used are made to sum to one


@dataclass(frozen=True)
class ModelConfig:
    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: tuple[LayerConfig, ...]
    num_heads: int
    num_kv_heads: int
    head_dim: int
    norm_eps: float
    max_positions: int
    tied: bool  # the output projection is the embedding matrix
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    post_norms: bool
    activation: Activation
    scales: Scales
    rope: RopeConfig
    experts: Experts | None
    dtype: str | None  # of the stored weights, as config.json states it
    eos_ids: tuple[int, ...]

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    @property
    def family(self) -> Family:
        return FAMILIES[self.architecture]

    @property
    def ropes(self) -> list[RopeConfig]:
        """The different ones among the layers."""
        return list(dict.fromkeys(layer.rope for layer in self.layers if layer.rope is not None))

    def for_length(self, max_len: int) -> ModelConfig:
        """The same for contexts up to ``max_len``: LongRoPE has two sets of factors, and keys of one cannot meet the other's."""
        if not self.rope.long_factors or max_len <= self.rope.original_max_positions:
            return self
        rope = replace(self.rope, factors=self.rope.long_factors, long_factors=())
        layers = tuple(replace(one, rope=rope) if one.rope == self.rope else one for one in self.layers)
        return replace(self, rope=rope, layers=layers)

    def kv_bytes_per_token(self, bytes_per_value: int) -> int:
        """Keys and values of one token over all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * bytes_per_value


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; NotFoundError or InputError with the path."""
    if not path.is_file():
        raise NotFoundError(T(f"no {path.name} in {str(path.parent)!r}", f"{str(path.parent)!r} 中没有 {path.name}"))
    if path.stat().st_size > _MOST_JSON_BYTES:
        limit = _MOST_JSON_BYTES // 2**20
        raise InputError(T(f"{str(path)!r} is larger than {limit} MiB", f"{str(path)!r} 超过 {limit} MiB"))
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            T(f"{str(path)!r} is not JSON: {str(error)[:200]}", f"{str(path)!r} 不是 JSON：{str(error)[:200]}")
        ) from None
    if not isinstance(data, dict):
        raise InputError(T(f"{str(path)!r} holds no object", f"{str(path)!r} 的内容不是对象"))
    return data


def read_config(folder: Path) -> ModelConfig:
    """Read ``folder/config.json``, or the header of a GGUF file (the file itself, or the only one of a folder).

    Raises:
        UnsupportedError: the architecture, quantization, window or RoPE kind is not one that we compute exactly.
        InputError: a required key is missing, or the numbers contradict each other.
    """
    gguf = find_gguf(folder)
    raw = gguf_config(read_gguf(gguf)) if gguf else read_json(folder / "config.json")
    try:
        if gguf:
            _refuse_in_gguf(raw)
        return _described(raw)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        said = f"{type(error).__name__}: {str(error)[:200]}"
        raise InputError(
            T(
                f"{str(folder)!r}: config.json cannot be understood: {said}",
                f"{str(folder)!r}：无法理解 config.json：{said}",
            ),
            code="bad_config",
        ) from error


def _refuse_in_gguf(raw: Mapping[str, Any]) -> None:
    """What llama.cpp's keys say in other words than transformers': until it is compared, it is refused."""
    kind = raw["rope_parameters"].get("rope_type")
    if kind not in ("default", "linear", "factors"):
        raise unsupported("rope_parameters", kind)
    if raw["rope_parameters"].get("partial_rotary_factor", 1) != 1:
        raise unsupported("partial_rotary_factor", raw["rope_parameters"]["partial_rotary_factor"])
    if raw.get("sliding_window"):
        raise unsupported("sliding_window", raw["sliding_window"])


def _described(raw: Mapping[str, Any]) -> ModelConfig:
    architectures = raw.get("architectures") or ["(none)"]
    architecture = str(architectures[0])
    _refuse_quantized(raw)
    family = family_of(architecture)
    if family.text_of:
        raw = {**raw, **(raw.get("text_config") or {}), "architectures": architectures}
        _refuse_quantized(raw)
    raw = {**family.defaults, **{family.aliases.get(key, key): value for key, value in raw.items()}}
    if raw.get("pretraining_tp", 1) not in (None, 1):
        raise unsupported("pretraining_tp", raw["pretraining_tp"])
    for key in ("sparse_config", "use_bidirectional_attention"):
        if raw.get(key):
            raise unsupported(key, raw[key])

    def flag(value: bool | str) -> bool:
        return bool(raw.get(value, False)) if isinstance(value, str) else value

    hidden, heads, count = (_need(raw, key) for key in ("hidden_size", "num_attention_heads", "num_hidden_layers"))
    kv_heads = _need(raw, "num_key_value_heads", heads)
    head_dim = _need(raw, "head_dim", hidden // heads)
    if heads % kv_heads:
        raise InputError(
            T(
                f"config.json: {heads} heads cannot share {kv_heads} key-value heads evenly",
                f"config.json：{heads} 个头无法平分 {kv_heads} 个键值头",
            )
        )
    rope = read_rope(raw, head_dim)
    if rope.partial != 1 and "partial_rotary_factor" not in family.defaults:
        raise unsupported("partial_rotary_factor", rope.partial)
    eos = raw.get("eos_token_id")
    return ModelConfig(
        architecture=architecture,
        vocab_size=_need(raw, "vocab_size"),
        hidden_size=hidden,
        intermediate_size=_need(raw, "intermediate_size"),
        layers=read_layers(raw, family, count, rope, head_dim),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
        max_positions=_need(raw, "max_position_embeddings", 2048),
        tied=bool(raw.get("tie_word_embeddings", False)),
        qkv_bias=flag(family.qkv_bias),
        output_bias=flag(family.output_bias),
        mlp_bias=flag(family.mlp_bias),
        qk_norm=family.qk_norm,
        post_norms=family.post_norms,
        activation=_activation(raw),
        scales=_scales(raw, family, hidden, head_dim, count),
        rope=rope,
        experts=_experts(raw) if family.experts else None,
        dtype=raw.get("dtype") or raw.get("torch_dtype"),
        eos_ids=tuple(map(int, eos)) if isinstance(eos, list) else () if eos is None else (int(eos),),
    )


def _need(raw: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = raw.get(key)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST[key]:
        raise InputError(
            T(
                f"config.json: {key} is missing or no integer from 1 to {_MOST[key]}: {str(value)[:80]}",
                f"config.json：{key} 缺失，或不是 1 到 {_MOST[key]} 的整数：{str(value)[:80]}",
            ),
            code="bad_config",
        )
    return value


def _refuse_quantized(raw: Mapping[str, Any]) -> None:
    stated = raw.get("quantization_config") or raw.get("compression_config")
    if not stated:
        return
    method = str(stated.get("quant_method") or "quantized")[:40] if isinstance(stated, dict) else "quantized"
    raise UnsupportedError(
        T(
            f"config.json: quantization_config: weights rounded by {method!r} are not read by the embedded engine. "
            "Take the model's plain safetensors (the engine rounds to int8 itself: --precision int8) or a GGUF file of it, "
            "or serve this one with vLLM",
            f"config.json：quantization_config：内置引擎不读取用 {method!r} 量化的权重。"
            "请使用未量化的 safetensors（引擎可自行量化：--precision int8）或该模型的 GGUF 文件，或用 vLLM 运行",
        ),
        param="quantization_config",
        code="unsupported_model",
        fix="zhilu engine install vllm, then --engine vllm",
    )


def _activation(raw: Mapping[str, Any]) -> Activation:
    key = "hidden_activation" if raw.get("hidden_activation") else "hidden_act"
    stated = raw.get(key) or "silu"
    if stated not in _ACTIVATIONS:
        raise unsupported(key, stated)
    return _ACTIVATIONS[stated]


def _scales(raw: Mapping[str, Any], family: Family, hidden: int, head_dim: int, count: int) -> Scales:
    usual = head_dim**-0.5
    if family.scales == "gemma":
        return Scales(
            attention=float(raw["query_pre_attn_scalar"]) ** -0.5,
            embedding=math.sqrt(hidden),
            attention_cap=raw.get("attn_logit_softcapping"),
            logits_cap=raw.get("final_logit_softcapping"),
        )
    if family.scales == "granite":
        return Scales(
            attention=float(raw.get("attention_multiplier", 1.0)),
            embedding=float(raw.get("embedding_multiplier", 1.0)),
            residual=float(raw.get("residual_multiplier", 1.0)),
            logits=1 / float(raw.get("logits_scaling", 1.0)),
        )
    if family.scales == "minicpm":
        return Scales(
            attention=usual,
            embedding=float(raw.get("scale_emb", 1)),
            residual=float(raw.get("scale_depth", 1)) / math.sqrt(count),
            logits=float(raw.get("dim_model_base", 1)) / hidden,
        )
    return Scales(attention=usual)


def _experts(raw: Mapping[str, Any]) -> Experts:
    num_used, num_experts = _need(raw, "num_experts_per_tok"), _need(raw, "num_experts")
    if num_used > num_experts or num_experts * _need(raw, "num_hidden_layers") > _MOST_EXPERTS:
        raise unsupported("num_experts", num_experts)
    return Experts(num_used, _need(raw, "moe_intermediate_size"), bool(raw.get("norm_topk_prob", False)))


def tensor_shapes(config: ModelConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of this configuration in the engine's layout, which is Llama's as Hugging Face names it (``layout.py``
    brings the other families' into it); linear weights are (out, in)."""
    hidden, heads, kv = config.hidden_size, config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    attention = [
        ("self_attn.q_proj", heads, hidden, config.qkv_bias),
        ("self_attn.k_proj", kv, hidden, config.qkv_bias),
        ("self_attn.v_proj", kv, hidden, config.qkv_bias),
        ("self_attn.o_proj", hidden, heads, config.output_bias),
    ]
    yield "model.embed_tokens.weight", (config.vocab_size, hidden)
    for number, layer in enumerate(config.layers):
        prefix = f"model.layers.{number}."
        yield f"{prefix}input_layernorm.weight", (hidden,)
        for name, out_size, in_size, biased in [*attention, *_mlps(config, layer)]:
            yield f"{prefix}{name}.weight", (out_size, in_size)
            if biased:
                yield f"{prefix}{name}.bias", (out_size,)
        if config.qk_norm:
            yield f"{prefix}self_attn.q_norm.weight", (config.head_dim,)
            yield f"{prefix}self_attn.k_norm.weight", (config.head_dim,)
        yield f"{prefix}post_attention_layernorm.weight", (hidden,)
        if config.post_norms:
            yield f"{prefix}post_self_attn_layernorm.weight", (hidden,)
            yield f"{prefix}post_mlp_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not config.tied:
        yield "lm_head.weight", (config.vocab_size, hidden)


def _mlps(config: ModelConfig, layer: LayerConfig) -> Iterator[tuple[str, int, int, bool]]:
    hidden, width = config.hidden_size, config.intermediate_size
    places = ["mlp"]
    if layer.num_experts and config.experts:
        yield "mlp.gate", layer.num_experts, hidden, False
        width, places = config.experts.intermediate_size, [f"mlp.experts.{i}" for i in range(layer.num_experts)]
    for place in places:
        yield f"{place}.gate_proj", width, hidden, config.mlp_bias
        yield f"{place}.up_proj", width, hidden, config.mlp_bias
        yield f"{place}.down_proj", hidden, width, config.mlp_bias
