"""What ``config.json`` in a model folder says, in our own terms.

Three dense families share one block layout: Llama, Qwen2 (adds a bias to q, k, v) and Qwen3 (adds RMS norms on the heads of q
and k). Anything else is refused by name, because a wrong guess here would produce fluent but wrong answers. Field names follow
transformers 5 (``rope_parameters``); older spellings (``rope_theta``, ``rope_scaling``) are read as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.gguf_model import gguf_config
from zhilu.errors import InputError, NotFoundError, UnsupportedError
from zhilu.messages import T

__all__ = ["FAMILIES", "ModelConfig", "RopeConfig", "read_config", "read_json", "tensor_shapes"]


@dataclass(frozen=True)
class Family:
    """How one architecture differs from Llama. A flag may also name the ``config.json`` key that decides it."""

    qkv_bias: bool | str
    output_bias: bool | str
    mlp_bias: bool | str
    qk_norm: bool
    head_dim: int | None = None  # transformers' default where config.json has none; None: hidden_size / num_heads


FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": Family("attention_bias", "attention_bias", "mlp_bias", qk_norm=False),
    "Qwen2ForCausalLM": Family(qkv_bias=True, output_bias=False, mlp_bias=False, qk_norm=False),
    "Qwen3ForCausalLM": Family("attention_bias", "attention_bias", False, qk_norm=True, head_dim=128),
}


@dataclass(frozen=True)
class RopeConfig:
    """Rotary positions (RoFormer, arXiv 2104.09864); ``factor`` to ``original_max_positions`` belong to scalings."""

    theta: float = 10000.0
    kind: str = "default"  # default | linear | llama3 | factors
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_positions: int = 8192
    factors: tuple[float, ...] = ()  # by which each frequency is divided (GGUF states Llama 3's scaling so)


@dataclass(frozen=True)
class ModelConfig:
    architecture: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
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
    rope: RopeConfig
    dtype: str | None  # of the stored weights, as config.json states it
    eos_ids: tuple[int, ...]

    def kv_bytes_per_token(self, bytes_per_value: int) -> int:
        """Keys and values of one token over all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * bytes_per_value


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; NotFoundError or InputError with the path."""
    if not path.is_file():
        raise NotFoundError(T(f"no {path.name} in {str(path.parent)!r}", f"{str(path.parent)!r} 中没有 {path.name}"))
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(T(f"{str(path)!r} is not JSON: {error}", f"{str(path)!r} 不是 JSON：{error}")) from None
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
    architecture = (raw.get("architectures") or ["(none)"])[0]
    family = FAMILIES.get(architecture)
    if family is None:
        known = ", ".join(FAMILIES)
        raise UnsupportedError(
            T(
                f"architecture {architecture!r} is not supported by the embedded engine; it runs {known}",
                f"内置引擎不支持架构 {architecture!r}；它能运行 {known}",
            ),
            code="unsupported_model",
            fix=_OTHER_ENGINE,
        )
    _refuse_what_changes_the_arithmetic(raw)

    def need(key: str) -> int:
        if not isinstance(raw.get(key), int):
            raise InputError(
                T(
                    f"config.json: {key} is missing or no integer: {raw.get(key)!r}",
                    f"config.json：{key} 缺失或不是整数：{raw.get(key)!r}",
                )
            )
        return int(raw[key])

    def flag(value: bool | str) -> bool:
        return bool(raw.get(value, False)) if isinstance(value, str) else value

    num_heads = need("num_attention_heads")
    num_kv_heads = raw.get("num_key_value_heads") or num_heads
    if num_heads % num_kv_heads:
        raise InputError(
            T(
                f"config.json: {num_heads} heads cannot share {num_kv_heads} key-value heads evenly",
                f"config.json：{num_heads} 个头无法平分 {num_kv_heads} 个键值头",
            )
        )
    eos = raw.get("eos_token_id")
    return ModelConfig(
        architecture=architecture,
        vocab_size=need("vocab_size"),
        hidden_size=need("hidden_size"),
        intermediate_size=need("intermediate_size"),
        num_layers=need("num_hidden_layers"),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=raw.get("head_dim") or family.head_dim or need("hidden_size") // num_heads,
        norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
        max_positions=int(raw.get("max_position_embeddings", 2048)),
        tied=bool(raw.get("tie_word_embeddings", False)),
        qkv_bias=flag(family.qkv_bias),
        output_bias=flag(family.output_bias),
        mlp_bias=flag(family.mlp_bias),
        qk_norm=family.qk_norm,
        rope=_read_rope(raw),
        dtype=raw.get("dtype") or raw.get("torch_dtype"),
        eos_ids=tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),),
    )


_OTHER_ENGINE = "zhilu engine install vllm, then --engine vllm; or --engine llamacpp"


def _refuse_what_changes_the_arithmetic(raw: Mapping[str, Any]) -> None:
    windowed = raw.get("use_sliding_window") and raw.get("sliding_window")
    windowed = windowed or any(kind != "full_attention" for kind in raw.get("layer_types") or ())
    found = {
        "hidden_act": raw.get("hidden_act", "silu") not in ("silu", "swish") and raw.get("hidden_act"),
        "quantization_config": raw.get("quantization_config"),
        "sliding_window": windowed and raw.get("sliding_window"),
        "pretraining_tp": raw.get("pretraining_tp", 1) not in (None, 1) and raw.get("pretraining_tp"),
    }
    for key, value in found.items():
        if value:
            raise UnsupportedError(
                T(
                    f"config.json: {key}={value!r} is not supported by the embedded engine",
                    f"内置引擎不支持 config.json 中的 {key}={value!r}",
                ),
                param=key,
                code="unsupported_model",
                fix=_OTHER_ENGINE,
            )


def _read_rope(raw: Mapping[str, Any]) -> RopeConfig:
    given = {**(raw.get("rope_scaling") or {}), **(raw.get("rope_parameters") or {})}
    kind = given.get("rope_type") or given.get("type") or "default"
    partial = given.get("partial_rotary_factor", raw.get("partial_rotary_factor", 1.0))
    if kind not in ("default", "linear", "llama3", "factors") or partial != 1.0:
        shown = kind if partial == 1.0 else f"partial_rotary_factor={partial}"
        raise UnsupportedError(
            T(
                f"config.json: RoPE kind {shown!r} is not supported; default, linear and llama3 are",
                f"不支持 config.json 中的 RoPE 类型 {shown!r}；支持 default、linear 和 llama3",
            ),
            param="rope_parameters",
            code="unsupported_model",
        )
    old_length = given.get("original_max_position_embeddings") or raw.get("max_position_embeddings", 2048)
    return RopeConfig(
        theta=float(given.get("rope_theta") or raw.get("rope_theta") or 10000.0),
        kind=kind,
        factor=float(given.get("factor", 1.0)),
        low_freq_factor=float(given.get("low_freq_factor", 1.0)),
        high_freq_factor=float(given.get("high_freq_factor", 4.0)),
        original_max_positions=int(old_length),
        factors=tuple(given.get("factors", ())),
    )


def tensor_shapes(config: ModelConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor that a checkpoint of this configuration holds, in Hugging Face's names; linear weights are (out, in)."""
    hidden, heads, kv = config.hidden_size, config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    linears = [
        ("self_attn.q_proj", heads, hidden, config.qkv_bias),
        ("self_attn.k_proj", kv, hidden, config.qkv_bias),
        ("self_attn.v_proj", kv, hidden, config.qkv_bias),
        ("self_attn.o_proj", hidden, heads, config.output_bias),
        ("mlp.gate_proj", config.intermediate_size, hidden, config.mlp_bias),
        ("mlp.up_proj", config.intermediate_size, hidden, config.mlp_bias),
        ("mlp.down_proj", hidden, config.intermediate_size, config.mlp_bias),
    ]
    yield "model.embed_tokens.weight", (config.vocab_size, hidden)
    for layer in range(config.num_layers):
        prefix = f"model.layers.{layer}."
        yield f"{prefix}input_layernorm.weight", (hidden,)
        for name, out_size, in_size, biased in linears:
            yield f"{prefix}{name}.weight", (out_size, in_size)
            if biased:
                yield f"{prefix}{name}.bias", (out_size,)
        if config.qk_norm:
            yield f"{prefix}self_attn.q_norm.weight", (config.head_dim,)
            yield f"{prefix}self_attn.k_norm.weight", (config.head_dim,)
        yield f"{prefix}post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not config.tied:
        yield "lm_head.weight", (config.vocab_size, hidden)
