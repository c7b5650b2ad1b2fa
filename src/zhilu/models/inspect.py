"""What is in a model folder, read from its files. No weight is loaded and nothing is guessed from the name."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.errors import InputError, ZhiluError
from zhilu.messages import T
from zhilu.models.check import gguf_files, read_object, weight_files
from zhilu.models.gguf_header import read_gguf_header
from zhilu.models.tensors import BITS, read_header
from zhilu.registry import Registry

__all__ = [
    "Anatomy",
    "MemoryEstimate",
    "Thinking",
    "card_markdown",
    "estimate_memory",
    "gguf_kind",
    "inspect_folder",
    "thinking_of",
    "why_not",
]


class Anatomy(BaseModel):
    """Facts about a model folder. Sizes in bytes; ``parameters`` counts stored values, shared ones once.

    Attributes:
        dtype: of most stored values, in the names of the safetensors format in lower case (``bf16``).
        size_bytes: of the weights files.
        context_length: longest sequence, in tokens, that config.json allows.
        license: as the card's front matter states it.
        card: whether there is a card to read.
    """

    architecture: str | None
    parameters: int
    size_bytes: int
    dtype: str | None
    context_length: int | None
    vocab_size: int | None
    license: str | None
    card: bool


class MemoryEstimate(BaseModel):
    """Bytes needed to run. The cache of keys and values grows with every token that is held; see ``estimate_memory``."""

    weights_bytes: int
    kv_bytes_per_token: int | None
    kv_dtype: str
    full_context_bytes: int | None
    available_bytes: int


def inspect_folder(folder: Path) -> Anatomy:
    """
    Raises:
        InputError: config or weights cannot be read.
    """
    if found := gguf_files(folder):
        return _inspect_gguf(folder, found)
    config = read_object(folder / "config.json")
    text = _text_config(config)
    values: Counter[str] = Counter()
    files = weight_files(folder)
    for file in files:
        for info in read_header(file).values():
            values[info.dtype] += info.num_values
    if not files:
        raise InputError(
            T(
                f"there are no safetensors weights in {str(folder)!r}; pickles (.bin, .pt) are not opened",
                f"{str(folder)!r} 中没有 safetensors 权重；不会打开 pickle 文件（.bin、.pt）",
            ),
            code="broken_model",
        )
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    return Anatomy(
        architecture=str(architecture) if architecture else None,
        parameters=sum(values.values()),
        size_bytes=sum(file.stat().st_size for file in files),
        dtype=values.most_common(1)[0][0].lower() if values else None,
        context_length=_whole(text.get("max_position_embeddings")),
        vocab_size=_whole(text.get("vocab_size")),
        license=_license(folder),
        card=bool(card_markdown(folder)),
    )


def _inspect_gguf(folder: Path, files: list[Path]) -> Anatomy:
    heads = [read_gguf_header(file) for file in files]
    first = heads[0]
    stated = first.facts.get("general.license")
    return Anatomy(
        architecture=first.architecture,
        parameters=sum(head.parameters for head in heads),
        size_bytes=sum(head.size_bytes for head in heads),
        dtype=first.dtype,
        context_length=_whole(first.own("context_length")),
        vocab_size=first.vocab_size,
        license=stated if isinstance(stated, str) and len(stated) <= 40 else _license(folder),
        card=bool(card_markdown(folder)),
    )


# llama.cpp's architectures that give vectors and no text; others say so by the way their vectors are pooled.
_ENCODERS = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "gemma-embedding", "modern-bert")
_RANKED = 4  # llama.cpp's LLAMA_POOLING_TYPE_RANK: one score for a pair of texts


def gguf_kind(file: Path) -> str:
    """What a GGUF model is for, by its head: ``chat``, ``embedder``, ``reranker`` or ``projector`` (a part of one that sees);
    ``chat`` for a file that cannot be read."""
    try:
        head = read_gguf_header(file)
    except ZhiluError:
        return "chat"
    pooling = _whole(head.own("pooling_type"))
    if pooling == _RANKED:
        return "reranker"
    if head.architecture in _ENCODERS or pooling:
        return "embedder"
    return "projector" if head.architecture == "clip" else "chat"


def why_not(folder: Path) -> T | None:
    """Why no engine here can run this model, or None if one can: of safetensors the embedded engine's own reading of
    config.json; a GGUF file is what llama.cpp reads, and what it cannot it says when it starts.

    The engine is asked through the entry points ``zhilu.model_checks``, because models and engine do not import each
    other.
    """
    if gguf_files(folder):
        return None
    if not (folder / "tokenizer.json").is_file():
        return T(f"no tokenizer.json in {str(folder)!r}", f"{str(folder)!r} 中没有 tokenizer.json")
    checks: Registry[Callable[[Path], Any]] = Registry.from_entry_points("zhilu.model_checks", T("check", "检查"))
    objections = (_objection(check, folder) for _, check in checks.items())
    return next((objection for objection in objections if objection is not None), None)


def _objection(check: Callable[[Path], Any], folder: Path) -> T | None:
    try:
        check(folder)
    except ZhiluError as error:
        return error.message
    return None


def estimate_memory(folder: Path) -> MemoryEstimate:
    """Weights as they are stored, plus two vectors a layer and token (keys, values) at 16 bits a value.

    bytes a token = 2 x layers x key-value heads x head size x 2. What the engine needs beside that is small here.
    """
    import psutil

    anatomy = inspect_folder(folder)
    layers, kv_heads, head_dim = _cache_shape(folder)
    per_token = 2 * layers * kv_heads * head_dim * BITS["BF16"] // 8 if layers and kv_heads and head_dim else None
    full = per_token * anatomy.context_length if per_token and anatomy.context_length else None
    return MemoryEstimate(
        weights_bytes=anatomy.size_bytes,
        kv_bytes_per_token=per_token,
        kv_dtype="bf16",
        full_context_bytes=None if full is None else anatomy.size_bytes + full,
        available_bytes=int(psutil.virtual_memory().available),
    )


def _cache_shape(folder: Path) -> tuple[int | None, int | None, int | None]:
    """Layers, key-value heads, values a head."""
    if found := gguf_files(folder):
        head = read_gguf_header(found[0])
        heads, width = _whole(head.own("attention.head_count")), _whole(head.own("embedding_length"))
        kv_heads = _whole(head.own("attention.head_count_kv")) or heads
        head_dim = _whole(head.own("attention.key_length")) or (width // heads if width and heads else None)
        return _whole(head.own("block_count")), kv_heads, head_dim
    text = _text_config(read_object(folder / "config.json"))
    heads = _whole(text.get("num_attention_heads"))
    kv_heads = _whole(text.get("num_key_value_heads")) or heads
    head_dim = _whole(text.get("head_dim")) or ((_whole(text.get("hidden_size")) or 0) // heads if heads else None)
    return _whole(text.get("num_hidden_layers")), kv_heads, head_dim


def card_markdown(folder: Path) -> dict[str, str]:
    """The model card by language, without its front matter; a README in one language stands for both. Empty: none."""
    found = {}
    for lang, names in {"en": ("MODEL_CARD.md", "README.md"), "zh": ("MODEL_CARD.zh-CN.md", "README.zh-CN.md")}.items():
        for name in names:
            if (folder / name).is_file():
                text = _beginning(folder / name, _MAX_CARD)
                found[lang] = _FRONT_MATTER.sub("", text, count=1).lstrip()
                break
    if not found:
        return {}
    some = next(iter(found.values()))
    return {"en": found.get("en", some), "zh": found.get("zh", some)}


_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\n---[ \t\r]*(?:\n|\Z)", re.DOTALL)


_MAX_CARD = 2**20  # bytes


def _beginning(path: Path, most: int) -> str:
    with path.open("rb") as file:
        return file.read(most).decode("utf-8", errors="replace")


def _license(folder: Path) -> str | None:
    for name in ("MODEL_CARD.md", "README.md"):
        if not (folder / name).is_file():
            continue
        head = _FRONT_MATTER.match(_beginning(folder / name, 100_000))
        fields = dict(re.findall(r"^(license|license_name):[ \t]*[\"']?([^\s\"'#]+)", head[1], re.M)) if head else {}
        if fields.get("license") == "other":
            return fields.get("license_name", "other")
        if "license" in fields:
            return fields["license"]
    return None


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The language model's part; models that also see or hear nest it."""
    nested = config.get("text_config")
    return {**config, **nested} if isinstance(nested, dict) else config


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


# The end of a prompt that leaves the mark open: the model goes on with its thoughts and writes only the closing one.
_LEFT_OPEN = re.compile(r"<think>(?:\\n|\s)*['\"}]")


@dataclass(frozen=True)
class Thinking:
    """Whether a model thinks before it answers, read from its chat template: nothing is rendered.

    Attributes:
        kind: ``switch``: the template knows ``enable_thinking``; ``always``: it thinks whatever is asked.
        opens: the prompt ends with the opening mark, unless thinking is switched off.
    """

    kind: Literal["switch", "always"]
    opens: bool


def thinking_of(path: Path | None) -> Thinking | None:
    """Of a model folder or GGUF file; None where its template knows no thoughts, or cannot be read."""
    if path is None:
        return None
    try:
        source = _source_of(path)
        return _read(source, source.stat().st_mtime_ns) if source else None
    except (OSError, ValueError, RecursionError, AttributeError, ZhiluError):
        return None


def _source_of(path: Path) -> Path | None:
    if path.suffix.lower() == ".gguf":
        return path
    if found := gguf_files(path):
        return found[0]
    places = (path / "chat_template.jinja", path / "tokenizer_config.json")
    return next((place for place in places if place.is_file()), None)


@lru_cache(maxsize=64)
def _read(source: Path, _changed: int) -> Thinking | None:
    if source.suffix.lower() == ".gguf":
        template = read_gguf_header(source).facts.get("tokenizer.chat_template")
    elif source.suffix == ".jinja":
        template = source.read_text(encoding="utf-8")
    else:
        template = json.loads(source.read_text(encoding="utf-8")).get("chat_template")
        if isinstance(template, list):  # several by name
            template = next((one.get("template") for one in template if one.get("name") == "default"), None)
    if not isinstance(template, str):
        return None
    # A template that only takes earlier thoughts out of the history has the closing mark alone.
    end = template[template.rfind("add_generation_prompt") :] if "add_generation_prompt" in template else ""
    opens = _LEFT_OPEN.search(end) is not None
    if "enable_thinking" in template:
        return Thinking("switch", opens)
    return Thinking("always", opens) if opens or "<think>" in template else None
