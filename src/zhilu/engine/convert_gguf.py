"""Writes a safetensors folder of a Llama, Qwen2 or Qwen3 model as a GGUF file, tokenizer included, then starts a server on it.

    python convert_gguf.py FOLDER CACHE PRECISION [-- COMMAND... --model]

The file is made once for these weights and this precision, and appears whole or not at all. ``COMMAND`` then replaces this
process, with the file's path as its last argument. Needs ``numpy`` and ``gguf`` and nothing of ours, because it runs in the
engine's environment. Tensor names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

__all__ = ["convert", "target_of"]

_ARCHITECTURES = {"Qwen3ForCausalLM": "qwen3", "Qwen2ForCausalLM": "qwen2", "LlamaForCausalLM": "llama"}
# llama.cpp knows pre-tokenizers by name, not by pattern. These are the patterns that the names stand for there; a
# pattern of its own is given the name that splits the text below most alike (see _closest).
_CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PATTERNS = {
    "qwen2": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _REST,
    "llama-bpe": _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _REST,
    "gpt-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
}
_SAMPLE = (
    "The port is 8080, isn't it? 'Yes' said `pip`'s author (v2.13).\n\nNext: a_b = c['the key'] + 12345 ... done!\n"
    "默认端口是8642。请在 settings.toml 里修改“端口”，然后重启：zhilu up（需要 Python 3.10）。\n\n    缩进\t制表符  两个空格"
)


class CannotConvert(Exception):
    """Said in one line on standard error: the supervisor shows the log's end."""


def main() -> None:
    folder, cache, precision = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    try:
        file = target_of(folder, cache, precision)
        if not file.exists():
            convert(folder, file, precision)
    except CannotConvert as error:
        sys.exit(f"{folder}: {error}")
    if "--" in sys.argv:
        command = [*sys.argv[sys.argv.index("--") + 1 :], str(file)]
        os.execvp(command[0], command)
    print(file)


def target_of(folder: Path, cache: Path, precision: str) -> Path:
    """The file's place: its name changes with the weights, the tokenizer, the configuration and the precision."""
    digest = hashlib.sha256(precision.encode())
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".jinja"):
            seen = path.stat()
            digest.update(f"{path.resolve()} {seen.st_size} {seen.st_mtime_ns}\n".encode())
    return cache / f"{folder.name}-{precision}-{digest.hexdigest()[:16]}.gguf"


def convert(folder: Path, file: Path, precision: str = "stored") -> None:
    """Write ``file``. Matrices get ``precision`` (``stored`` f32 bf16 f16 q8_0); vectors stay f32, as llama.cpp wants.

    Raises:
        CannotConvert: an architecture, a rotary scaling or a tokenizer that has no counterpart here.
    """
    import gguf

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    named = (config.get("architectures") or ["?"])[0]
    if named not in _ARCHITECTURES:
        raise CannotConvert(f"{named} cannot be converted; only {', '.join(_ARCHITECTURES)}")
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if rope.get("rope_type", rope.get("type", "default")) != "default":
        raise CannotConvert(f"rotary scaling {rope} is not converted; pull a GGUF of this model")
    if config.get("use_sliding_window") and config.get("sliding_window"):
        raise CannotConvert("llama.cpp has no sliding window for this architecture; serve it with --engine zhilu")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    writer = gguf.GGUFWriter(part, _ARCHITECTURES[named])
    try:
        _shape(writer, folder, config, rope)
        _tokenizer(writer, folder, config)
        _tensors(writer, folder, config, _ARCHITECTURES[named], precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def _shape(writer: Any, folder: Path, config: dict[str, Any], rope: dict[str, Any]) -> None:
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_name(folder.name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(float(config.get("rope_theta") or rope.get("rope_theta") or 10000.0))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _tokenizer(writer: Any, folder: Path, config: dict[str, Any]) -> None:
    """Byte-level BPE only: the family of Qwen, Llama 3 and zhilu-nano."""
    stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    model = stored["model"]
    if model["type"] != "BPE" or '"ByteLevel"' not in json.dumps(stored.get("pre_tokenizer")):
        raise CannotConvert("only byte-level BPE tokenizers are converted; pull a GGUF of this model")
    tokens = [f"[PAD{number}]" for number in range(config["vocab_size"])]
    kinds = [5] * len(tokens)  # unused
    for text, number in model["vocab"].items():
        tokens[number], kinds[number] = text, 1
    for added in stored.get("added_tokens") or []:
        tokens[added["id"]], kinds[added["id"]] = (
            added["content"],
            3 if added["special"] else 4,
        )  # control, user-defined
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(stored))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    for name, add in (
        ("eos", writer.add_eos_token_id),
        ("bos", writer.add_bos_token_id),
        ("pad", writer.add_pad_token_id),
    ):
        number = config.get(f"{name}_token_id")
        number = number[0] if isinstance(number, list) else number
        if number is not None:
            add(number)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    writer.add_add_bos_token(bool(settings.get("add_bos_token", False)))
    template = folder / "chat_template.jinja"
    text = template.read_text(encoding="utf-8") if template.is_file() else settings.get("chat_template")
    if isinstance(text, str):
        writer.add_chat_template(text)


def _pre_tokenizer(stored: dict[str, Any]) -> str:
    """llama.cpp's name for the way this tokenizer cuts text before it merges."""
    pre = stored["pre_tokenizer"]
    parts = pre.get("pretokenizers") or [pre]
    patterns = [part["pattern"].get("Regex", "") for part in parts if part["type"] == "Split"]
    if not patterns:
        return "gpt-2"  # ByteLevel with its own pattern
    for name, pattern in _PATTERNS.items():
        if patterns[0].replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)", _CONTRACTIONS) == pattern:
            return name
    return _closest(stored)


def _closest(stored: dict[str, Any]) -> str:
    """The known way of cutting that leads to the same tokens most often; ``qwen2`` where that cannot be tried.

    A pattern of its own cannot be written into GGUF, so a few texts are cut into other tokens by llama.cpp than by
    tokenizer.json: whoever compares engines token by token sends the prompt as token ids.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return "qwen2"
    want = Tokenizer.from_str(json.dumps(stored)).encode(_SAMPLE, add_special_tokens=False).ids
    wrong = {}
    for name, pattern in _PATTERNS.items():
        cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
        other = {**stored, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [cut, bytes_only]}}
        got = Tokenizer.from_str(json.dumps(other)).encode(_SAMPLE, add_special_tokens=False).ids
        wrong[name] = sum(a != b for a, b in zip(want, got)) + abs(len(want) - len(got))  # noqa: B905 - lengths counted
    return min(wrong, key=lambda name: wrong[name])


def _tensors(writer: Any, folder: Path, config: dict[str, Any], arch: str, precision: str) -> None:
    import gguf

    number = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == arch)
    names = gguf.get_tensor_name_map(number, config["num_hidden_layers"])
    heads = config["num_attention_heads"]
    kv_heads = config.get("num_key_value_heads") or heads
    for name, dtype, values in _read(folder):
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        if name.endswith("rotary_emb.inv_freq"):
            continue
        there = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if there is None:
            raise CannotConvert(f"the tensor {name!r} has no place in a GGUF file")
        if arch == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            values = _interleave(values, heads if "q_proj" in name else kv_heads)
        wanted = {"stored": dtype}.get(precision, precision)
        kind = "f32" if values.ndim == 1 else wanted
        quantized = {"f32": "F32", "bf16": "BF16", "f16": "F16", "q8_0": "Q8_0"}[kind]
        if kind == "q8_0" and values.shape[-1] % 32:
            quantized = "F16"  # blocks of 32 values do not fit into its rows
        of = gguf.GGMLQuantizationType[quantized]
        writer.add_tensor(there, gguf.quants.quantize(values, of), raw_dtype=of)


def _interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbouring values of Llama's queries and keys, transformers the halves of a head."""
    rows, width = values.shape
    return values.reshape(heads, 2, rows // heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def _read(folder: Path) -> Any:
    """Name, dtype word and float32 values of every tensor."""
    import numpy as np

    kinds = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            length = struct.unpack("<Q", file.read(8))[0]
            header = json.loads(file.read(length))
        mapped = np.memmap(path, dtype=np.uint8, mode="r")
        for name, info in header.items():
            if name == "__metadata__":
                continue
            if info["dtype"] not in kinds:
                raise CannotConvert(f"{name!r} is stored as {info['dtype']}; only F32, F16 and BF16 are converted")
            start, end = (8 + length + offset for offset in info["data_offsets"])
            raw = mapped[start:end].view(kinds[info["dtype"]]).reshape(info["shape"])
            if info["dtype"] == "BF16":  # the upper half of a float32
                values = (raw.astype(np.uint32) << 16).view(np.float32)
            else:
                values = raw.astype(np.float32)
            yield name, info["dtype"].lower(), values


if __name__ == "__main__":
    main()
