"""The memory a start needs: weights, the cache for the requested context and number of requests, and the engine itself.

The figures come from the model's own files and from ``EngineFacts.memory``. A start that cannot fit is refused with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import InputError, ZhiluError
from zhilu.messages import T
from zhilu.serving.facts import EngineFacts, LaunchOptions, MemoryFacts, ServedModel

if TYPE_CHECKING:
    from zhilu.models.gguf_header import GgufHeader

__all__ = [
    "MemoryNeed",
    "available_memory",
    "cache_bytes",
    "estimate",
    "own_context",
    "refuse_too_large",
    "window_of",
]

# A model may allow a context that nobody asked for here; the engines' caches are then sized for this many tokens a request.
_USUAL_CONTEXT = 4096
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes, but for ``context`` (tokens a request) and ``requests``. ``cache`` is 0 where config.json does not tell."""

    weights: int
    cache: int
    engine: int
    context: int
    requests: int
    per_token: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.engine


def estimate(model: ServedModel, options: LaunchOptions, facts: EngineFacts) -> MemoryNeed | None:
    """What a start needs; None where nothing is loaded here or the files do not tell.

    weights: stored bytes, or values x bits of the asked precision. cache: 2 x layers x key-value heads x head size x
    tokens x requests.
    """
    if facts.memory is None or model.path is None:
        return None
    context, requests = window_of(model, options, facts)
    if model.format == "gguf":
        if not model.path.is_file():
            return None
        size, own = _held_bytes(model.path, options, facts.memory), facts.memory.base_bytes
        head = _head(model.path)
        own += facts.memory.bytes_per_word * (head.vocab_size or 0) if head else 0
        per_token = _per_token(model.path, facts.memory.kv_bits)
        return MemoryNeed(size, per_token * context * requests, own, context, requests, per_token)
    from zhilu.models.inspect import inspect_folder

    try:
        anatomy = inspect_folder(model.path)
    except ZhiluError:
        return None
    word = options.precision or next(iter(facts.memory.precisions))
    bits = facts.memory.precisions.get(word, 0)
    weights = round(anatomy.parameters * bits / 8) if bits else anatomy.size_bytes
    engine = facts.memory.base_bytes + (weights if weights <= facts.memory.twice_up_to else 0)
    per_token = _per_token(model.path, facts.memory.kv_bits)
    return MemoryNeed(weights, per_token * context * requests, engine, context, requests, per_token)


def _held_bytes(file: Path, options: LaunchOptions, memory: MemoryFacts) -> int:
    """The weights of a GGUF file in memory: its own bytes, unless the engine takes its blocks apart."""
    head = _head(file)
    if not memory.block_bits or head is None or not head.multiplied:
        return sum(part.stat().st_size for part in _parts(file))
    rounded = memory.precisions.get(options.precision or "") or 0
    stored = 32.0  # what is no block is widened
    bits = (values * (rounded or memory.block_bits.get(kind, stored)) for kind, values in head.multiplied.items())
    return round(sum(bits) / 8)


def window_of(model: ServedModel, options: LaunchOptions, facts: EngineFacts) -> tuple[int, int]:
    """Tokens of a request, and requests at a time, that an engine is started for: what was asked, else its own defaults,
    never more tokens than the model reads."""
    memory = facts.memory
    assert memory is not None and model.path is not None
    requests = options.concurrency or memory.requests
    own = own_context(model.path)
    usual = memory.context or _USUAL_CONTEXT
    if memory.cache_up_to and _per_token(model.path, memory.kv_bits) * usual * requests > memory.cache_up_to:
        usual //= 2
    return min(options.max_len or usual, own or options.max_len or usual), requests


def cache_bytes(folder: Path, max_len: int | None, requests: int) -> int | None:
    """Bytes of the cache at 16 bits a value, for the model's whole context where ``max_len`` is None."""
    per_token = _per_token(folder, 16)
    context = max_len or _config(folder).get("max_position_embeddings")
    return per_token * context * requests if per_token and isinstance(context, int) else None


def available_memory() -> int:
    """Bytes that a new process may take: the machine's, or what a container's limit leaves."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit, used = _CGROUP_LIMIT.read_text().strip(), int(_CGROUP_USED.read_text())
    except (OSError, ValueError):
        return free
    return min(free, max(int(limit) - used, 0)) if limit.isdigit() else free


def refuse_too_large(
    model: ServedModel,
    options: LaunchOptions,
    facts: EngineFacts,
    available: int | None = None,
    freed: int = 0,
) -> MemoryNeed | None:
    """The estimate, where it fits into ``available`` bytes (None: asked from the machine) and the ``freed`` ones.

    Raises:
        InputError: it cannot fit; names the figures and the context that would.
    """
    need = estimate(model, options, facts)
    if need is None:
        return None
    free = (available_memory() if available is None else available) + freed
    if need.total <= free:
        return need
    raise InputError(
        T(
            f"{model.name!r} does not fit into memory with the engine {facts.name!r}: it needs {_gb(need.total)} "
            f"(weights {_gb(need.weights)}, cache {_gb(need.cache)} for {need.requests} x {need.context} tokens, "
            f"engine {_gb(need.engine)}), and {_gb(free)} are free.",
            f"{model.name!r} 用引擎 {facts.name!r} 放不进内存：需要 {_gb(need.total)}（权重 {_gb(need.weights)}，"
            f"缓存 {_gb(need.cache)}，对应 {need.requests} x {need.context} 个 token，引擎 {_gb(need.engine)}），"
            f"而空闲 {_gb(free)}。",
        ),
        param="model",
        code="out_of_memory",
        fix=_fix(model, options, facts, need, free),
    )


def _fix(model: ServedModel, options: LaunchOptions, facts: EngineFacts, need: MemoryNeed, free: int) -> str:
    """A start that would fit, by the least change: a shorter context, fewer requests, smaller weights, another model."""
    serve = f"zhilu serve {model.name} --engine {facts.name}"
    room = free - need.weights - need.engine
    if need.per_token and room >= need.per_token * 256:
        tokens = room // (need.per_token * need.requests)
        if tokens >= 256:
            return f"{serve} --context {tokens // 256 * 256} --concurrency {need.requests}"
        return f"{serve} --context {room // need.per_token // 256 * 256} --concurrency 1"
    if facts.memory and need.weights and model.format != "gguf":
        given = options.precision or next(iter(facts.memory.precisions))
        bits = facts.memory.precisions
        stored = bits.get(given) or 16.0
        for word, size in sorted(bits.items(), key=lambda item: -item[1]):
            if 0 < size < stored and need.total - need.weights + need.weights * size / stored <= free:
                return f"{serve} --precision {word}"
    return "zhilu serve zhilu-nano"


def _per_token(path: Path, bits: int) -> int:
    """Bytes of cache that a token takes, 0 where the files do not tell."""
    if path.suffix.lower() == ".gguf":
        return _per_token_of_file(path, bits)
    config = _config(path)
    layers, heads = config.get("num_hidden_layers"), config.get("num_attention_heads")
    if not isinstance(layers, int) or not isinstance(heads, int) or heads == 0:
        return 0
    kv_heads = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or (config.get("hidden_size") or 0) // heads
    return int(2 * layers * kv_heads * head_dim * bits // 8)


def _config(folder: Path) -> dict[str, Any]:
    from zhilu.models.check import read_object

    try:
        config = read_object(folder / "config.json")
    except ZhiluError:
        return {}
    nested = config.get("text_config")  # a model that also sees or hears nests its language part
    return {**config, **nested} if isinstance(nested, dict) else config


def _gb(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


def own_context(path: Path) -> int | None:
    """Longest sequence that a model folder or GGUF file allows, in tokens; None where it does not say."""
    if path.suffix.lower() == ".gguf":
        head = _head(path)
        value = head.own("context_length") if head else None
    else:
        value = _config(path).get("max_position_embeddings") if path.is_dir() else None
    return value if isinstance(value, int) else None


def _per_token_of_file(path: Path, bits: int) -> int:
    """Keys and values of every layer; a model whose layers differ in their heads lists them."""
    head = _head(path)
    layers, heads = (head.own(key) for key in ("block_count", "attention.head_count")) if head else (None, None)
    if head is None or not isinstance(layers, int):
        return 0
    kv_heads = head.own("attention.head_count_kv") or heads
    width, most = head.own("embedding_length"), max(heads) if isinstance(heads, list) and heads else heads
    usual = width // most if isinstance(width, int) and isinstance(most, int) and most else 0
    a_head = sum(head.own(f"attention.{part}_length") or usual for part in ("key", "value"))
    num_heads = sum(kv_heads) if isinstance(kv_heads, list) else layers * (kv_heads or 0)
    return int(num_heads * a_head * bits // 8)


def _head(path: Path) -> GgufHeader | None:
    from zhilu.models.gguf_header import read_gguf_header

    try:
        return read_gguf_header(path)
    except ZhiluError:
        return None


def _parts(path: Path) -> list[Path]:
    """All files of a model that is split (``NAME-00001-of-00003.gguf``), or the one."""
    split = re.fullmatch(r"(.*-)\d{5}(-of-\d{5}\.gguf)", path.name)
    return sorted(path.parent.glob(f"{split[1]}?????{split[2]}")) if split else [path]
