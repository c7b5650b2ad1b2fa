"""A GGUF file described as Hugging Face would: the keys of config.json and the names of the tensors.

llama.cpp's converter renames tensors and, for the Llama architecture, reorders the rows of q and k from halves (i, i + dim/2)
to pairs (2i, 2i + 1). Both are undone here by the order in which rows are read; the blocks themselves stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu.engine.model.gguf import Gguf
from zhilu.engine.model.quants import Quantized
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T

__all__ = ["gguf_config", "gguf_tensors"]


@dataclass(frozen=True)
class _Family:
    """
    Attributes:
        architecture: transformers' name of it.
        has_paired_rows: the converter has permuted q and k.
        names: tensors of a layer that are called otherwise than in Llama.
    """

    architecture: str
    has_paired_rows: bool = False
    names: Mapping[str, str] = field(default_factory=dict)


_QK_NORMS = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}

_FAMILIES: Mapping[str, _Family] = {
    "llama": _Family("LlamaForCausalLM", has_paired_rows=True),
    "qwen2": _Family("Qwen2ForCausalLM"),
    "qwen3": _Family("Qwen3ForCausalLM", names=_QK_NORMS),
}

_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# Not weights: Llama 3's positions, which gguf_config reads.
_FREQUENCIES = "rope_freqs.weight"

_CONTROL = 3  # a token's type: never part of a text
# By name, as llama.cpp knows them (src/llama-vocab.cpp, tokens that end a generation).
_END_NAMES = frozenset(
    {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "<|end_of_text|>"}
)

_LAYER = re.compile(r"blk\.(\d+)\.(.+)\.(weight|bias)")


def gguf_config(gguf: Gguf) -> dict[str, Any]:
    """What the model's ``config.json`` would say.

    Raises:
        UnsupportedError: another architecture.
        InputError: a key is missing, or keys contradict the tensors.
    """
    family = _family(gguf)
    _refuse_parts(gguf)
    heads = _one(gguf, "attention.head_count")
    embedding = gguf.tensors.get("token_embd.weight")
    if embedding is None or len(embedding.shape) != 2:
        raise _bad(gguf, T("it holds no token embeddings", "其中没有词嵌入"))
    raw = {
        "architectures": [family.architecture],
        "vocab_size": embedding.shape[0],
        "hidden_size": _one(gguf, "embedding_length"),
        "intermediate_size": _one(gguf, "feed_forward_length"),
        "num_hidden_layers": _one(gguf, "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": _one(gguf, "attention.head_count_kv", heads),
        "head_dim": _one(gguf, "attention.key_length", _one(gguf, "embedding_length") // max(1, heads)),
        "rms_norm_eps": gguf.own("attention.layer_norm_rms_epsilon", 1e-6),
        "max_position_embeddings": _one(gguf, "context_length"),
        "tie_word_embeddings": "output.weight" not in gguf.tensors,
        "attention_bias": "blk.0.attn_q.bias" in gguf.tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in gguf.tensors,
        "rope_parameters": _rope(gguf),
        "eos_token_id": _ends(gguf),
        "dtype": None,
    }
    if gguf.own("attention.value_length", raw["head_dim"]) != raw["head_dim"]:
        raise _unsupported(gguf, "attention.value_length", gguf.own("attention.value_length"))
    if gguf.own("attention.sliding_window"):
        raw |= {"sliding_window": gguf.own("attention.sliding_window"), "use_sliding_window": True}
    return raw


def gguf_tensors(gguf: Gguf) -> dict[str, Quantized | npt.NDArray[Any]]:
    """The tensors by Hugging Face's names, as views of the file; those that nobody knows keep ggml's."""
    family = _family(gguf)
    tensors: dict[str, Any] = {}
    for name, stored in gguf.tensors.items():
        if name == _FREQUENCIES:
            continue
        tensor = _tensor(gguf, name)
        if family.has_paired_rows and re.search(r"\.attn_[qk]\.", name):
            count = _one(gguf, "attention.head_count" if ".attn_q." in name else "attention.head_count_kv")
            order = _halves(stored.shape[-2] if len(stored.shape) > 1 else stored.shape[0], count)
            tensor = tensor.reordered(order) if isinstance(tensor, Quantized) else tensor[order]
        tensors[_renamed(family, name)] = tensor
    return tensors


def _family(gguf: Gguf) -> _Family:
    if gguf.architecture not in _FAMILIES:
        known = ", ".join(_FAMILIES)
        raise UnsupportedError(
            T(
                f"{str(gguf.path)!r}: the embedded engine does not run the architecture {gguf.architecture!r}; it runs {known}, "
                "llama.cpp runs more",
                f"{str(gguf.path)!r}：内置引擎不支持架构 {gguf.architecture!r}；它能运行 {known}，llama.cpp 支持得更多",
            ),
            param="model",
            code="unsupported_model",
            fix="--engine llamacpp",
        )
    return _FAMILIES[gguf.architecture]


def _refuse_parts(gguf: Gguf) -> None:
    count = gguf.metadata.get("split.count", 1)
    if count not in (0, 1):
        raise UnsupportedError(
            T(
                f"{str(gguf.path)!r} is one of {count} parts of a model; the embedded engine reads whole files",
                f"{str(gguf.path)!r} 是模型 {count} 个分片中的一个；内置引擎只读取完整文件",
            ),
            param="model",
            code="unsupported_model",
            fix="--engine llamacpp",
        )


def _one(gguf: Gguf, key: str, default: int | None = None) -> int:
    """A whole number; a list of equal ones, by layer, is one as well."""
    value = gguf.own(key, default)
    if isinstance(value, list) and value and len(set(value)) == 1:
        value = value[0]
    if isinstance(value, list):
        raise _unsupported(gguf, key, "another one in each layer")
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise _bad(
            gguf,
            T(
                f"{gguf.architecture}.{key} is missing or out of range: {value!r}",
                f"{gguf.architecture}.{key} 缺失或超出范围：{value!r}",
            ),
        )
    return value


def _rope(gguf: Gguf) -> dict[str, Any]:
    kind = gguf.own("rope.scaling.type", "none")
    stated: dict[str, Any] = {"rope_theta": gguf.own("rope.freq_base", 10000.0), "rope_type": "default"}
    if kind not in ("none", "linear"):
        stated["rope_type"] = kind  # config.py names it and refuses
    elif kind == "linear" and gguf.own("rope.scaling.factor", 1.0) not in (0.0, 1.0):
        stated |= {"rope_type": "linear", "factor": gguf.own("rope.scaling.factor")}
    if _FREQUENCIES in gguf.tensors:
        factors = np.asarray(_tensor(gguf, _FREQUENCIES), np.float32).ravel()
        stated |= {"rope_type": "factors", "factors": factors.tolist()}
    rotated = gguf.own("rope.dimension_count")
    head_dim = gguf.own(
        "attention.key_length", gguf.own("embedding_length", 0) // max(1, _one(gguf, "attention.head_count"))
    )
    if rotated and rotated != head_dim:
        stated["partial_rotary_factor"] = rotated / head_dim
    return stated


def _ends(gguf: Gguf) -> list[int]:
    """Every token that the file calls an end (of text, of a turn, of a message), and those whose names say so.

    A file names one where ``generation_config.json`` lists several: of Qwen2.5 ``<|im_end|>``, not ``<|endoftext|>``.
    """
    found = [gguf.metadata.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("eos", "eot", "eom")]
    tokens, types = (gguf.metadata.get(f"tokenizer.ggml.{key}") for key in ("tokens", "token_type"))
    if isinstance(tokens, list) and isinstance(types, list):
        pairs = enumerate(zip(tokens, types, strict=False))
        found += [id for id, (token, type) in pairs if type == _CONTROL and token in _END_NAMES]
    return sorted({id for id in found if isinstance(id, int)})


def _tensor(gguf: Gguf, name: str) -> Any:
    stored = gguf.tensors[name]
    rows = gguf.bytes_of(name)
    if stored.kind == "BF16":
        return rows.view(np.uint16).reshape(stored.shape)
    if stored.kind in ("F32", "F16"):
        return rows.view(np.float32 if stored.kind == "F32" else np.float16).reshape(stored.shape)
    if len(stored.shape) != 2:
        raise _bad(gguf, T(f"{name!r} is no matrix: {stored.shape}", f"{name!r} 不是矩阵：{stored.shape}"))
    return Quantized(stored.kind, rows, (stored.shape[0], stored.shape[1]))


def _renamed(family: _Family, name: str) -> str:
    if match := _LAYER.fullmatch(name):
        inner = family.names.get(match[2]) or _INNER.get(match[2])
        return f"model.layers.{match[1]}.{inner}.{match[3]}" if inner else name
    stem, _, kind = name.rpartition(".")
    return f"{_OUTER[stem]}.{kind}" if stem in _OUTER else name


def _halves(num_rows: int, num_heads: int) -> npt.NDArray[np.int64]:
    """The stored row of each row: pairs side by side go back to halves (the converter's ``permute``, undone)."""
    return np.arange(num_rows).reshape(num_heads, -1, 2).swapaxes(1, 2).reshape(-1)


def _unsupported(gguf: Gguf, key: str, value: Any) -> UnsupportedError:
    return UnsupportedError(
        T(
            f"{str(gguf.path)!r}: {gguf.architecture}.{key}={value!r} is not supported by the embedded engine",
            f"{str(gguf.path)!r}：内置引擎不支持 {gguf.architecture}.{key}={value!r}",
        ),
        param="model",
        code="unsupported_model",
        fix="--engine llamacpp",
    )


def _bad(gguf: Gguf, what: T) -> InputError:
    return InputError(
        T(f"{str(gguf.path)!r} cannot be run: {what.en}", f"{str(gguf.path)!r} 无法运行：{what.zh}"),
        param="model",
        code="bad_weights",
    )
