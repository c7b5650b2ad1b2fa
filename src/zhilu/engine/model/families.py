"""The architectures that the engine computes, as data: what each adds to Llama's block.

Every value here is from transformers' configuration and modelling files of the family (MiniCPM: from the files that its maker
publishes with the weights). Whatever is not in this table is refused by name, because a wrong guess would produce fluent but
wrong answers. tests/parity compares the tokens of each family with those of transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from zhilu.errors import UnsupportedError
from zhilu.messages import T

__all__ = ["FAMILIES", "Family", "family_of", "unsupported"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Family:
    """How one architecture differs from Llama. A bias may also name the ``config.json`` key that decides it.

    Attributes:
        qk_norm: RMS norms on the heads of q and k.
        norm_plus_one: a norm multiplies by ``1 + weight``.
        post_norms: what attention and MLP give is normed before it is added.
        norms: the family's names of norms that Llama calls otherwise.
        fused: projections stored as one matrix.
        pairs: neighbours (2i, 2i + 1) of a head are turned together, not (i, i + dim/2).
        window: which layers look back over ``sliding_window`` tokens only: the family has none; ``every`` layer; those
            behind ``max_window_layers``; all but each n-th; or what ``layer_types`` says.
        scales: which constants multiply embeddings, attention, residuals and logits.
        defaults: what a ``config.json`` may leave out.
        aliases: other spellings of keys of ``config.json``.
        text_of: the weights are the language model of one that also sees; its tensors are named so, the rest is not read.
    """

    qkv_bias: bool | str = False
    output_bias: bool | str = False
    mlp_bias: bool | str = False
    qk_norm: bool = False
    norm_plus_one: bool = False
    post_norms: bool = False
    norms: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    fused: frozenset[str] = frozenset()
    pairs: bool = False
    window: Literal["none", "every", "behind", "pattern"] = "none"
    scales: Literal["none", "gemma", "granite", "minicpm"] = "none"
    experts: bool = False
    defaults: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    aliases: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    text_of: tuple[str, ...] = ()


# Gemma's names of the four norms of a block. The engine's own are GLM-4's, which say where each one stands.
_GEMMA_NORMS = {
    "post_attention_layernorm": "post_self_attn_layernorm",
    "pre_feedforward_layernorm": "post_attention_layernorm",
    "post_feedforward_layernorm": "post_mlp_layernorm",
}
_GEMMA: dict[str, Any] = {
    "vocab_size": 262208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 131072,
    "hidden_activation": "gelu_pytorch_tanh",
    "tie_word_embeddings": True,
    "eos_token_id": 1,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "sliding_window_pattern": 6,
    "rope_theta": 1000000.0,
    "rope_local_base_freq": 10000.0,
}
_GEMMA2 = {key: value for key, value in _GEMMA.items() if not key.startswith("rope")} | {
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
    "sliding_window_pattern": 2,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}
_GEMMA_FAMILY = Family(
    qkv_bias="attention_bias",
    output_bias="attention_bias",
    norm_plus_one=True,
    post_norms=True,
    norms=_GEMMA_NORMS,
    window="pattern",
    scales="gemma",
    defaults=_GEMMA2,
)
_GEMMA3_FAMILY = replace(_GEMMA_FAMILY, qk_norm=True, defaults=_GEMMA)
_GLM = {
    "head_dim": 128,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1.5625e-07,
    "max_position_embeddings": 131072,
    "partial_rotary_factor": 0.5,
    "attention_bias": True,
}
_QWEN = {"max_position_embeddings": 32768, "use_sliding_window": False, "max_window_layers": 28}

FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": Family("attention_bias", "attention_bias", "mlp_bias"),
    "InternLM3ForCausalLM": Family(
        "qkv_bias",
        "bias",
        "bias",
        aliases={"attention_bias": "qkv_bias", "mlp_bias": "bias"},
        defaults={"rms_norm_eps": 1e-5, "head_dim": 128, "max_position_embeddings": 32768},
    ),
    "MistralForCausalLM": Family(
        window="every",
        defaults={"num_key_value_heads": 8, "sliding_window": 4096, "max_position_embeddings": 131072},
    ),
    "Qwen2ForCausalLM": Family(qkv_bias=True, window="behind", defaults={**_QWEN, "sliding_window": 4096}),
    "Qwen3ForCausalLM": Family(
        "attention_bias",
        "attention_bias",
        qk_norm=True,
        window="behind",
        defaults={**_QWEN, "head_dim": 128, "sliding_window": 4096},
    ),
    "Qwen3MoeForCausalLM": Family(
        "attention_bias",
        "attention_bias",
        qk_norm=True,
        window="every",
        experts=True,
        aliases={"num_local_experts": "num_experts"},
        defaults={
            "num_key_value_heads": 4, "max_position_embeddings": 32768, "use_sliding_window": False,
            "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "decoder_sparse_step": 1,
        },
    ),
    "Gemma2ForCausalLM": _GEMMA_FAMILY,
    "Gemma3ForCausalLM": _GEMMA3_FAMILY,
    "Gemma3ForConditionalGeneration": replace(
        _GEMMA3_FAMILY, text_of=("model.language_model.", "language_model.model.", "language_model.")
    ),
    "Phi3ForCausalLM": Family(
        window="every",
        fused=frozenset({"qkv_proj", "gate_up_proj"}),
        defaults={
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 4096,
            "original_max_position_embeddings": 4096,
            "partial_rotary_factor": 1.0,
            "sliding_window": None,
        },
    ),
    "SmolLM3ForCausalLM": Family(
        "attention_bias",
        "attention_bias",
        "mlp_bias",
        window="pattern",
        defaults={
            "num_key_value_heads": 4, "max_position_embeddings": 32768, "tie_word_embeddings": True,
            "rope_theta": 2000000.0, "no_rope_layer_interval": 4, "use_sliding_window": False,
        },
    ),
    "GlmForCausalLM": Family("attention_bias", pairs=True, fused=frozenset({"gate_up_proj"}), defaults=_GLM),
    "Glm4ForCausalLM": Family(
        "attention_bias", pairs=True, fused=frozenset({"gate_up_proj"}), post_norms=True, defaults=_GLM
    ),
    "GraniteForCausalLM": Family("attention_bias", "attention_bias", "mlp_bias", scales="granite"),
    "MiniCPMForCausalLM": Family(scales="minicpm", defaults={"tie_word_embeddings": True}),
    "Ernie4_5ForCausalLM": Family(
        "use_bias",
        "use_bias",
        "use_bias",
        pairs=True,
        defaults={
            "num_key_value_heads": 2, "head_dim": 128, "rms_norm_eps": 1e-5, "max_position_embeddings": 131072,
            "rope_theta": 500000.0, "tie_word_embeddings": True,
        },
    ),
    "SeedOssForCausalLM": Family(
        "attention_bias",
        "attention_out_bias",
        "mlp_bias",
        defaults={
            "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 524288, "attention_bias": True
        },
    ),
}  # fmt: skip

# What people pull beside those, by the beginning of the architecture's name, and what of it this engine does not have.
_KNOWN_ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "Qwen3_5": ("linear attention (gated delta net)", "线性注意力（gated delta net）"),
    "Qwen3Next": ("linear attention (gated delta net)", "线性注意力（gated delta net）"),
    "KimiLinear": ("linear attention", "线性注意力"),
    "MiniMax": ("linear attention or its own experts", "线性注意力或专用的专家层"),
    "Gemma4": ("layers with heads of different sizes and embeddings of their own", "各层大小不同的注意力头和逐层嵌入"),
    "Gemma3n": ("embeddings of their own in each layer", "逐层嵌入"),
    "Llama4": ("chunked attention and its experts", "分块注意力和专用的专家层"),
    "GptOss": ("attention sinks and MXFP4 experts", "注意力汇点和 MXFP4 专家"),
    "Deepseek": ("latent attention (MLA)", "潜在注意力（MLA）"),
    "MiniCPM3": ("latent attention (MLA)", "潜在注意力（MLA）"),
    "Glm4Moe": ("shared experts and its router", "共享专家和专用路由"),
    "GlmMoe": ("latent attention and its router", "潜在注意力和专用路由"),
    "GraniteMoe": ("state-space layers or its experts", "状态空间层或专用的专家层"),
    "Ministral3": ("scales of the query that grow with the position", "随位置增大的查询缩放"),
    "Mistral3": ("the vision tower, and queries whose scale grows with the position", "视觉部分，以及随位置增大的查询缩放"),
    "Lfm2": ("convolution layers", "卷积层"),
    "Mamba": ("state-space layers", "状态空间层"),
    "FalconH1": ("state-space layers", "状态空间层"),
    "NemotronH": ("state-space layers", "状态空间层"),
    "Mixtral": ("its experts", "专用的专家层"),
    "Qwen2Moe": ("shared experts", "共享专家"),
    "Olmo": ("norms over all heads at once", "跨全部注意力头的归一化"),
    "Cohere": ("layers whose attention and MLP run side by side", "注意力与 MLP 并行的层"),
    "ChatGLM": ("the older GLM layout (take the model whose name ends in -hf)", "旧版 GLM 权重布局：请使用名称以 -hf 结尾的模型"),
    "Qwen2_5_VL": ("the vision tower", "视觉部分"),
    "Qwen2VL": ("the vision tower", "视觉部分"),
    "Qwen3VL": ("the vision tower", "视觉部分"),
}  # fmt: skip

_OTHER_ENGINE = "zhilu engine install vllm, then --engine vllm; or --engine llamacpp with a GGUF file"


def family_of(architecture: str) -> Family:
    """UnsupportedError where it is none of ours: it says what is missing, and which engines have it."""
    if architecture in FAMILIES:
        return FAMILIES[architecture]
    known = ", ".join(FAMILIES)
    prefix = max((name for name in _KNOWN_ELSEWHERE if architecture.startswith(name)), key=len, default=None)
    en, zh = _KNOWN_ELSEWHERE[prefix] if prefix else ("", "")
    raise UnsupportedError(
        T(
            f"architecture {architecture[:80]!r} is not supported by the embedded engine"
            + (f", which does not have {en}" if en else "")
            + f"; it runs {known}. llama.cpp (with a GGUF file) and vLLM run more",
            f"内置引擎不支持架构 {architecture[:80]!r}"
            + (f"（缺少：{zh}）" if zh else "")
            + f"；它能运行 {known}。llama.cpp（使用 GGUF 文件）和 vLLM 支持得更多",
        ),
        code="unsupported_model",
        fix=_OTHER_ENGINE,
    )


def unsupported(key: str, value: object) -> UnsupportedError:
    """What a ``config.json`` asks for and the engine does not compute."""
    shown = repr(value)[:200]
    return UnsupportedError(
        T(
            f"config.json: {key}={shown} is not supported by the embedded engine",
            f"内置引擎不支持 config.json 中的 {key}={shown}",
        ),
        param=key,
        code="unsupported_model",
        fix=_OTHER_ENGINE,
    )
