"""Tiny random models for tests: a real folder that transformers, vLLM and our engine all load, made in milliseconds.

    path = make_tiny_model(tmp_path / "tiny")                       # Qwen3, tied, grouped-query attention
    path = make_tiny_model(tmp_path / "tiny", "llama", seed=3, num_hidden_layers=4)

The weights are noise, so the text is noise too. What can be tested is that two engines produce the same noise. Needs neither
torch nor transformers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zhilu.engine.model.config import read_config, tensor_shapes

__all__ = ["CHAT_TEMPLATE", "make_tiny_adapter", "make_tiny_model", "make_tokenizer"]

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TOOL_TOKENS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>")

# ChatML with Qwen's Hermes-style tools, as Qwen2.5 and Qwen3 render it (without Qwen3's thinking block).
CHAT_TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\n" }}
    {{- "You are provided with function signatures within <tools></tools> XML tags:\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within " }}
    {{- "<tool_call></tool_call> XML tags:\\n<tool_call>\\n" }}
    {{- '{"name": <function-name>, "arguments": <args-json-object>}\\n</tool_call><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' + (message.content or '') }}
        {%- for call in message.tool_calls or [] %}
            {%- if message.content or not loop.first %}{{- '\\n' }}{% endif %}
            {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' + (call.function.arguments | tojson) + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

_ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "tie_word_embeddings": False},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "tie_word_embeddings": True},
}


def make_tokenizer(vocab_text: str | None = None, vocab_size: int = 512) -> Any:
    """A byte-level BPE tokenizer (``tokenizers.Tokenizer``). Without text: one token per byte, so nothing is unknown."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size if vocab_text else 256,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([vocab_text or ""], trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in TOOL_TOKENS])
    return tokenizer


def make_tiny_model(
    path: Path,
    arch: str = "qwen3",
    seed: int = 0,
    vocab_text: str | None = None,
    *,
    shards: int = 1,
    **overrides: Any,
) -> Path:
    """Write a model folder and return it.

    Args:
        path: the folder; made if absent.
        arch: ``llama``, ``qwen2`` or ``qwen3``.
        seed: of the random weights; the same seed gives the same file.
        vocab_text: train the BPE merges on this text; by default a token is a byte.
        shards: split the weights over this many files with an index.
        overrides: keys of ``config.json``, such as ``hidden_size`` or ``rope_parameters``.
    """
    import numpy as np
    from safetensors.numpy import save_file

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(vocab_text)
    end_of_turn = tokenizer.token_to_id("<|im_end|>")
    config = {
        **_ARCHITECTURES[arch],
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
        "bos_token_id": None,
        "eos_token_id": end_of_turn,
        "dtype": "float32",
        **overrides,
    }
    _write(path / "config.json", config)
    _write(path / "generation_config.json", {"eos_token_id": end_of_turn})
    _write(
        path / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": config["max_position_embeddings"],
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    )
    tokenizer.save(str(path / "tokenizer.json"))

    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(read_config(path)):
        noise = rng.standard_normal(shape, dtype=np.float32)
        if name.endswith("norm.weight"):
            tensors[name] = 1 + 0.1 * noise
        elif name.endswith(".bias"):
            tensors[name] = 0.1 * noise
        else:
            # Unit gain per layer: the logits then differ enough between tokens for an argmax to be unambiguous.
            tensors[name] = noise / np.float32(np.sqrt(shape[-1]))
    names = list(tensors)
    if shards == 1:
        save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
        return path
    weight_map = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::shards]}
        save_file(part, path / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(part, file))
    _write(path / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    return path


def make_tiny_adapter(
    path: Path,
    model: Path,
    seed: int = 0,
    *,
    rank: int = 4,
    modules: Sequence[str] = ("q_proj", "v_proj"),
    gain: float = 1.0,
    **overrides: Any,
) -> Path:
    """Write a LoRA adapter of noise for a model folder, as PEFT would, and return its folder.

    Args:
        modules: the last parts of the names of the projections, in every layer.
        gain: of the deltas; with 1 they are about as large as what they are added to.
        overrides: keys of ``adapter_config.json``, such as ``use_rslora``.
    """
    import numpy as np
    from safetensors.numpy import save_file

    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": list(modules),
        "bias": "none",
        "inference_mode": True,
        **overrides,
    }
    _write(path / "adapter_config.json", config)
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in tensor_shapes(read_config(model)):
        module = name.removesuffix(".weight")
        if module.endswith(tuple(modules)):
            (size_out, size_in), at = shape, f"base_model.model.{module}"
            a = rng.standard_normal((rank, size_in), dtype=np.float32) / np.sqrt(size_in)
            b = rng.standard_normal((size_out, rank), dtype=np.float32) / np.sqrt(4 * rank)
            tensors[f"{at}.lora_A.weight"] = a.astype(np.float32)
            tensors[f"{at}.lora_B.weight"] = (gain * b).astype(np.float32)
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    return path


def _write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")
