"""The same weights for every engine: a random Qwen3 of 30 million parameters, and GGUF for llama.cpp."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import zhilu
from zhilu.engine.model.adapters import read_adapter
from zhilu.engine.model.config import read_config
from zhilu.engine.model.weights import as_float32, map_tensors
from zhilu.engine.testing import make_tiny_adapter, make_tiny_model

NANO = Path(zhilu.__file__).parent / "models" / "shipped" / "nano"

# The shape that the design's table was measured on, but for the vocabulary, which is zhilu-nano's.
SHAPE = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 4096,
}
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def make_model(folder: Path, **shape: Any) -> Path:
    """Random weights under zhilu-nano's tokenizer, so that answers are text (of noise) to every engine."""
    model = make_tiny_model(folder, **{**SHAPE, "vocab_size": read_config(NANO).vocab_size, **shape})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(NANO / name, model / name)
    return model


def make_adapters(folder: Path, model: Path, count: int, rank: int) -> dict[str, Path]:
    return {
        f"lora{number}": make_tiny_adapter(folder / f"lora{number}", model, number, rank=rank, modules=MODULES)
        for number in range(count)
    }


def write_gguf(model: Path, target: Path, kind: str) -> Path:
    """``kind``: F32, F16, BF16, Q8_0 or Q4_0; norms stay F32. Needs the package ``gguf``."""
    import gguf

    config, raw = read_config(model), json.loads((model / "config.json").read_text())
    writer = gguf.GGUFWriter(target, "qwen3")
    writer.add_name(model.name)
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope.theta)
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer, model, config.vocab_size, raw.get("eos_token_id"))
    quant = gguf.GGMLQuantizationType[kind]
    for name, tensor in map_tensors(model, config).items():
        values = as_float32(tensor)
        own = quant if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(_gguf_name(name), gguf.quants.quantize(np.ascontiguousarray(values), own), raw_dtype=own)
    _finish(writer)
    return target


def write_gguf_adapter(model: Path, adapter: Path, target: Path) -> Path:
    import gguf

    writer = gguf.GGUFWriter(target, "qwen3")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    deltas = read_adapter("a", adapter, read_config(model)).deltas
    # The scaling is in B already: alpha / rank must be one.
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(next(iter(deltas.values())).a.shape[1]))
    for module, delta in deltas.items():
        name = _gguf_name(f"{module}.weight")
        writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(delta.a.T))
        writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(delta.b.T))
    _finish(writer)
    return target


def _gguf_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if stem in _NAMES:
        return f"{_NAMES[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{_NAMES[part]}.{kind}"


def _add_tokenizer(writer: Any, model: Path, vocab_size: int, eos: int | None) -> None:
    import gguf

    data = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = [f"[PAD{id}]" for id in range(vocab_size)]
    types = [int(gguf.TokenType.UNUSED)] * vocab_size
    for token, id in data["model"]["vocab"].items():
        tokens[id], types[id] = token, int(gguf.TokenType.NORMAL)
    for added in data["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], int(kind)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(list(_merges(data["model"]["merges"])))
    if eos is not None:
        writer.add_eos_token_id(eos)
    writer.add_add_bos_token(False)


def _merges(stored: list[Any]) -> Iterator[str]:
    for merge in stored:
        yield merge if isinstance(merge, str) else " ".join(merge)


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
