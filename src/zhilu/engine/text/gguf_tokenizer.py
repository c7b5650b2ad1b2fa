"""The tokenizer inside a GGUF file, as ``tokenizer.json`` and ``tokenizer_config.json`` would describe it.

There are two kinds. Byte-level BPE (``gpt2``: GPT-2, Llama 3, Qwen) splits text before the merges in one of several ways, which
the file names. SentencePiece's BPE (``llama``: Llama 2, Mistral, Gemma) derives its merges from the scores. Token ids equal
llama.cpp's for the same text; therefore there is no Unicode normalisation, which GGUF does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zhilu.engine.model.gguf import Gguf
from zhilu.errors import InputError, UnsupportedError
from zhilu.messages import T

__all__ = ["gguf_tokenizer", "refuse_unknown_tokenizer"]

# Types of tokens, as SentencePiece numbers them.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)

_CONTRACTIONS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_CASED_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"

_QWEN2 = [rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}|{_REST}"]
_LLAMA3 = [rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{{1,3}}|{_REST}"]
_CASED = [
    rf"{_LEAD}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_LEAD}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?|\p{{N}}{{1,3}}|{_CASED_REST}"
]
_WORDS = [_GPT2]
_DIGITS = [r"\p{N}", _GPT2]
_DEEPSEEK3 = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
]

# How a text is cut before the merges, by the file's ``tokenizer.ggml.pre``: expressions applied one after the other, each to
# what the one before has left whole (llama.cpp, src/llama-vocab.cpp). The merges of those marked are skipped where a whole
# piece is a token.
_CUTS: Mapping[str, list[str]] = {
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "megrez", "hunyuan", "stablelm2", "kormo", "solar-open"), _QWEN2),
    "qwen35": [
        rf"{_CONTRACTIONS}|{_LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
    **dict.fromkeys(
        ("llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"), _LLAMA3
    ),
    **dict.fromkeys(("dbrx", "smaug-bpe", "chatglm-bpe", "glm4"), _LLAMA3),
    **dict.fromkeys(("starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b"), _DIGITS),
    **dict.fromkeys(("gpt-2", "phi-2", "olmo", "mpt", "jais", "trillion", "mellum", "a.x-4.0"), _WORDS),
    **dict.fromkeys(("deepseek-v3", "hunyuan-dense"), _DEEPSEEK3),
    "tekken": [rf"{_LEAD}{_UPPER}*{_LOWER}+|{_LEAD}{_UPPER}+{_LOWER}*|\p{{N}}|{_CASED_REST}"],
    **dict.fromkeys(("gpt-4o", "llama4"), _CASED),
    "seed-coder": [
        rf"{_CONTRACTIONS}|{_LEAD}\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
    ],
}
_WHOLE_PIECES = frozenset(
    {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "tekken"}
)
_STARTS = _WHOLE_PIECES - {"tekken"}  # llama.cpp puts the beginning before a text where the file does not say


def gguf_tokenizer(gguf: Gguf) -> tuple[dict[str, Any], dict[str, Any]]:
    """``(tokenizer.json, tokenizer_config.json)``.

    Raises:
        InputError: there is no tokenizer, or it does not belong to the weights.
        UnsupportedError: it is of a kind that is not known here.
    """
    stated = {
        key.removeprefix("tokenizer.ggml."): value
        for key, value in gguf.metadata.items()
        if key.startswith("tokenizer.ggml.")
    }
    tokens = stated.get("tokens")
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, str) for token in tokens):
        raise _bad(gguf, T("it holds no tokenizer", "其中没有分词器"))
    embedding = gguf.tensors.get("token_embd.weight")
    if embedding and embedding.shape[0] != len(tokens):
        raise _bad(
            gguf,
            T(
                f"its tokenizer has {len(tokens)} tokens, its weights have {embedding.shape[0]}",
                f"分词器有 {len(tokens)} 个 token，而权重有 {embedding.shape[0]} 个",
            ),
        )
    types = stated.get("token_type") or [_NORMAL] * len(tokens)
    if len(types) != len(tokens):
        raise _bad(gguf, T("its tokens and their types differ in number", "token 与其类型的数量不一致"))
    refuse_unknown_tokenizer(gguf)
    raw = _KINDS[stated["model"]](gguf, stated, tokens, types)
    raw["added_tokens"] = [
        {
            "id": id,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": type == _CONTROL,
        }
        for id, (token, type) in enumerate(zip(tokens, types, strict=True))
        if type in (_CONTROL, _USER_DEFINED) and token
    ]
    return raw, _names(gguf, stated, tokens)


def refuse_unknown_tokenizer(gguf: Gguf) -> None:
    """UnsupportedError for a tokenizer of a kind that is not known here; making one takes longer than this."""
    kind, pre = (gguf.metadata.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind not in _KINDS:
        raise _unsupported(gguf, "model", kind, _KINDS)
    if kind == "gpt2" and (pre or "default") not in _CUTS:
        raise _unsupported(gguf, "pre", pre, _CUTS)


def _byte_level(gguf: Gguf, stated: Mapping[str, Any], tokens: list[str], types: list[int]) -> dict[str, Any]:
    pre = stated.get("pre", "default")
    merges = [[text[:at], text[at + 1 :]] for text in stated.get("merges") or () if (at := text.find(" ", 1)) > 0]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    cuts = [
        {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        for expression in _CUTS[pre]
    ]
    model = {
        "type": "BPE",
        "vocab": {token: id for id, token in enumerate(tokens)},
        "merges": merges,
        "ignore_merges": pre in _WHOLE_PIECES,
    }
    starts = stated.get("add_bos_token", pre in _STARTS)
    return {
        "version": "1.0",
        "model": model,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*cuts, byte_level]},
        "decoder": byte_level,
        "post_processor": _frame(stated, tokens, starts),
    }


def _sentence_piece(gguf: Gguf, stated: Mapping[str, Any], tokens: list[str], types: list[int]) -> dict[str, Any]:
    scores = stated.get("scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise _bad(gguf, T("its tokenizer has no scores", "分词器缺少分数"))
    vocab = {token: id for id, token in enumerate(tokens)}
    has_prefix = bool(stated.get("add_space_prefix", True))
    space = "\u2581"
    normalizers: list[dict[str, Any]] = [{"type": "Prepend", "prepend": space}] if has_prefix else []
    normalizers.append({"type": "Replace", "pattern": {"String": " "}, "content": space})
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": space}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if has_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    unknown = stated.get("unknown_token_id")
    model = {
        "type": "BPE",
        "vocab": vocab,
        "merges": _merges(vocab, scores, types),
        "byte_fallback": True,
        "fuse_unk": True,
        "unk_token": tokens[unknown] if isinstance(unknown, int) and 0 <= unknown < len(tokens) else None,
    }
    return {
        "version": "1.0",
        "model": model,
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "decoder": {"type": "Sequence", "decoders": decoders},
        "post_processor": _frame(stated, tokens, stated.get("add_bos_token", True)),
    }


_KINDS = {"gpt2": _byte_level, "llama": _sentence_piece}


def _merges(vocab: Mapping[str, int], scores: list[float], types: list[int]) -> list[list[str]]:
    """SentencePiece joins the two neighbours whose union scores highest: every way to cut a piece, best pieces first."""
    found: list[tuple[float, int, int, int, str, str]] = []
    for piece, id in vocab.items():
        if types[id] in (_CONTROL, _UNKNOWN, _BYTE, _UNUSED):
            continue
        ways = []
        for cut in range(1, len(piece)):
            left, right = vocab.get(piece[:cut]), vocab.get(piece[cut:])
            if left is not None and right is not None:
                ways.append((left, right, piece[:cut], piece[cut:]))
        found.extend((-scores[id], id, left, right, one, other) for left, right, one, other in ways)
    return [[one, other] for *_, one, other in sorted(found)]


def _frame(stated: Mapping[str, Any], tokens: list[str], starts: bool) -> dict[str, Any] | None:
    """What stands before and behind every text."""
    first, last = stated.get("bos_token_id"), stated.get("eos_token_id")
    before: list[int] = [first] if starts and _is_id(first, tokens) else []  # type: ignore[list-item]
    behind: list[int] = [last] if stated.get("add_eos_token") and _is_id(last, tokens) else []  # type: ignore[list-item]
    if not (before or behind):
        return None
    single: list[dict[str, Any]] = [{"SpecialToken": {"id": tokens[id], "type_id": 0}} for id in before]
    single.append({"Sequence": {"id": "A", "type_id": 0}})
    single += [{"SpecialToken": {"id": tokens[id], "type_id": 0}} for id in behind]
    special = {tokens[id]: {"id": tokens[id], "ids": [id], "tokens": [tokens[id]]} for id in (*before, *behind)}
    second = {"Sequence": {"id": "B", "type_id": 0}}
    return {"type": "TemplateProcessing", "single": single, "pair": [*single, second], "special_tokens": special}


def _names(gguf: Gguf, stated: Mapping[str, Any], tokens: list[str]) -> dict[str, Any]:
    wanted = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad", "seperator": "sep"}
    named: dict[str, Any] = {}
    for kind, name in wanted.items():
        id = stated.get(f"{kind}_token_id")
        if id is None:
            continue
        if not _is_id(id, tokens):
            raise _bad(
                gguf,
                T(
                    f"{kind}_token_id is {id!r}, of {len(tokens)} tokens",
                    f"{kind}_token_id 为 {id!r}，而 token 只有 {len(tokens)} 个",
                ),
            )
        named[f"{name}_token"] = tokens[id]
    template = gguf.metadata.get("tokenizer.chat_template")
    if isinstance(template, str):
        named["chat_template"] = template
    return named


def _is_id(id: Any, tokens: list[str]) -> bool:
    return isinstance(id, int) and 0 <= id < len(tokens)


def _unsupported(gguf: Gguf, key: str, value: Any, known: Mapping[str, Any]) -> UnsupportedError:
    names = ", ".join(known)
    return UnsupportedError(
        T(
            f"{str(gguf.path)!r}: tokenizer.ggml.{key}={value!r} is not known to the embedded engine; known: {names}",
            f"{str(gguf.path)!r}：内置引擎不认识 tokenizer.ggml.{key}={value!r}；已知：{names}",
        ),
        param="model",
        code="unsupported_model",
        fix="--engine llamacpp",
    )


def _bad(gguf: Gguf, what: T) -> InputError:
    return InputError(
        T(f"{str(gguf.path)!r} cannot be run: {what.en}", f"{str(gguf.path)!r} 无法运行：{what.zh}"),
        param="model",
        code="bad_tokenizer",
    )
