"""GGUF files written from a tiny model folder by the ``gguf`` package, as llama.cpp's converter would."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from zhilu.engine.model.quants import FORMATS

_ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3"}
_NAMES = {
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip


def write_gguf(
    path: Path,
    folder: Path,
    kinds: Mapping[str, str] | str = "F32",
    seed: int = 0,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """``kinds``: of all matrices, or by ggml's last name (``attn_q``). Kinds that ``gguf`` cannot make hold random blocks."""
    config = json.loads((folder / "config.json").read_text())
    arch = _ARCHITECTURES[config["architectures"][0]]
    writer = gguf.GGUFWriter(path, arch)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    _add_tokenizer(writer, folder)
    adders: dict[type, Any] = {
        str: writer.add_string, int: writer.add_uint32, bool: writer.add_bool, float: writer.add_float32,
    }  # fmt: skip
    for key, value in (metadata or {}).items():
        adders[type(value)](key, value)
    rng = np.random.default_rng(seed)
    for name, array in load_file(folder / "model.safetensors").items():
        ours = _renamed(name)
        if arch == "llama" and ours.endswith(("attn_q.weight", "attn_k.weight")):
            heads = config["num_attention_heads" if ".attn_q." in ours else "num_key_value_heads"]
            array = array.reshape(heads, 2, -1, array.shape[-1]).swapaxes(1, 2).reshape(array.shape)
        kind = "F32"
        if array.ndim == 2:
            kind = kinds if isinstance(kinds, str) else kinds.get(ours.split(".")[-2], "F32")
        if kind == "F32":
            writer.add_tensor(ours, array)
        else:
            blocks = make_blocks(array, kind, rng)
            writer.add_tensor(ours, blocks, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def make_blocks(array: npt.NDArray[np.float32], kind: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Rows of blocks ``(out, bytes a row)``."""
    if kind in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"):
        made: npt.NDArray[np.uint8] = gguf.quants.quantize(array, gguf.GGMLQuantizationType[kind])
        return made
    form = FORMATS[kind]
    blocks = rng.integers(0, 256, (len(array), array.shape[1] // form.block, form.block_bytes)).astype(np.uint8)
    # The scales are halves of some place; all of those places in a size that a sum of products bears.
    small = np.array([1e-4], np.float16).view(np.uint8)
    places = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}.get(kind, (0,))
    for place in places:
        blocks[..., place : place + 2] = small
    return blocks.reshape(len(array), -1)


def _renamed(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    if not stem.startswith("model.layers."):
        return f"{_NAMES[stem]}.{kind}"
    _, _, layer, inner = stem.split(".", 3)
    return f"blk.{layer}.{_NAMES[inner]}.{kind}"


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path) -> None:
    raw = json.loads((folder / "tokenizer.json").read_text())
    stated = json.loads((folder / "tokenizer_config.json").read_text())
    vocab = dict(raw["model"]["vocab"])
    special = {}
    for token in raw["added_tokens"]:
        vocab[token["content"]] = token["id"]
        special[token["content"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    tokens = sorted(vocab, key=lambda token: vocab[token])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([special.get(token, gguf.TokenType.NORMAL) for token in tokens])
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in raw["model"]["merges"]]
    if merges:
        writer.add_token_merges(merges)
    writer.add_eos_token_id(vocab[stated["eos_token"]])
    writer.add_chat_template(stated["chat_template"])
