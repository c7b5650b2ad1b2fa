"""1.1: a text as the tokenizer of a model cuts it, and how the pieces grew together, merge by merge."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError
from zhilu.lens.subject import Subject, token_text
from zhilu.messages import T

__all__ = ["Guess", "Merge", "Token", "TokensOut", "boundaries", "judge", "look", "replay"]

_MOST_CHARACTERS = 4_000
_MOST_PIECES = 400  # whose merges are told


class Token(BaseModel):
    """``start`` to ``end``: its characters of the text; two tokens may be parts of one character. ``hex``: its bytes."""

    id: int
    text: str
    hex: str
    start: int
    end: int
    special: bool


class Merge(BaseModel):
    """One piece of the text: its parts at the beginning, and after each merge."""

    piece: str
    steps: list[list[str]]


class TokensOut(BaseModel):
    model: str
    text: str
    characters: int
    bytes: int
    vocabulary: int
    tokens: list[Token]
    merges: list[Merge]
    lossless: bool  # the tokens' bytes, one after the other, are the text's own
    replayed: bool  # the merges, replayed one by one, end at the same tokens


class Guess(BaseModel):
    """How near a prediction came. ``right``: boundaries that are where they were expected."""

    count: int
    truth: int
    cuts: list[int]
    true_cuts: list[int]
    right: int
    score: float  # F1 of the boundaries, 1 where there are none and none were expected
    passed: bool


def look(subject: Subject, text: str) -> TokensOut:
    """
    Raises:
        InputError: no text, or too long a one.
    """
    if not text or len(text) > _MOST_CHARACTERS:
        raise InputError(
            T(
                f"a text of 1 to {_MOST_CHARACTERS} characters can be shown; this one has {len(text)}",
                f"可以显示 1 到 {_MOST_CHARACTERS} 个字符的文本；给出的有 {len(text)} 个",
            ),
            param="text",
        )
    tokenizer = subject.tokenizer
    ids, spans = tokenizer.encode_with_offsets(text)
    raw = [tokenizer.token_bytes(id) for id in ids]
    merges, ends = _merges(tokenizer, text, ids, spans)
    return TokensOut(
        model=subject.name,
        text=text,
        characters=len(text),
        bytes=len(text.encode()),
        vocabulary=tokenizer.vocab_size,
        tokens=[
            Token(
                id=id,
                text=token_text(part),
                hex=part.hex(" "),
                start=start,
                end=end,
                special=id in tokenizer.special_ids,
            )
            for id, part, (start, end) in zip(ids, raw, spans, strict=True)
        ],
        merges=merges,
        lossless=b"".join(raw) == text.encode(),
        replayed=ends == [tokenizer.name_of(id) for id in ids],
    )


def boundaries(tokens: Sequence[Token]) -> list[int]:
    """The places between characters at which one token ends and the next begins."""
    return sorted({token.start for token in tokens if token.start > 0})


def judge(seen: TokensOut, cuts: Sequence[int], count: int | None = None) -> Guess:
    """A prediction against the truth. Passed: seven of ten boundaries, and the count to a fifth (or by one).

    Args:
        cuts: places where a token is expected to begin, 0 left out.
        count: how many tokens are expected; by default what the cuts say.
    """
    true_cuts, expected = boundaries(seen.tokens), sorted({cut for cut in cuts if 0 < cut < seen.characters})
    right = len(set(true_cuts) & set(expected))
    among = len(true_cuts) + len(expected)
    score = 2 * right / among if among else 1.0
    guessed, truth = count if count is not None else len(expected) + 1, len(seen.tokens)
    near = abs(guessed - truth) <= max(1, truth // 5)
    return Guess(
        count=guessed,
        truth=truth,
        cuts=expected,
        true_cuts=true_cuts,
        right=right,
        score=round(score, 3),
        passed=near and score >= 0.7,
    )


def replay(
    piece: str, ranks: Mapping[tuple[str, str], int], vocabulary: Mapping[str, int], whole: bool
) -> list[list[str]]:
    """Byte-pair encoding by hand: of all neighbours the pair that was learned first grows together, until none is left.

    Args:
        ranks: when each pair was learned; the lowest goes first.
        whole: a piece that is a token is taken at once (``ignore_merges``).
    """
    parts = list(piece)
    if any(
        part not in vocabulary for part in parts
    ):  # SentencePiece: a character nobody learned is spelled by its bytes
        parts = [
            unit
            for part in parts
            for unit in ([part] if part in vocabulary else [f"<0x{byte:02X}>" for byte in part.encode()])
        ]
    steps = [parts]
    if whole and piece in vocabulary and len(parts) > 1:
        return [parts, [piece]]
    while len(parts) > 1:
        rank, at = min((ranks.get((a, b), len(ranks)), i) for i, (a, b) in enumerate(itertools.pairwise(parts)))
        if rank == len(ranks):
            break
        parts = [*parts[:at], parts[at] + parts[at + 1], *parts[at + 2 :]]
        steps.append(parts)
    return steps


def _merges(
    tokenizer: Tokenizer, text: str, ids: Sequence[int], spans: Sequence[tuple[int, int]]
) -> tuple[list[Merge], list[str]]:
    """The merges of each piece, for showing, and the names of the tokens at which all of them end."""
    model = _model_of(tokenizer)
    if model is None:
        return [], []
    ranks, vocabulary, whole, added = model
    merges: list[Merge] = []
    ends: list[str] = []
    for stretch in _stretches(text, ids, spans, added):
        if isinstance(stretch, int):  # a marked token is found before anything is cut
            ends.append(added[stretch])
            continue
        for piece in tokenizer.pieces(stretch):
            steps = replay(piece, ranks, vocabulary, whole)
            ends += steps[-1]
            if len(merges) < _MOST_PIECES:
                merges.append(Merge(piece=piece, steps=[[_shown(tokenizer, part) for part in step] for step in steps]))
    return merges, ends


def _shown(tokenizer: Tokenizer, part: str) -> str:
    id = tokenizer.id_of(part)
    return part if id is None else token_text(tokenizer.token_bytes(id))


def _stretches(
    text: str, ids: Sequence[int], spans: Sequence[tuple[int, int]], added: Mapping[int, str]
) -> list[str | int]:
    found: list[str | int] = []
    begin = 0
    for id, (start, end) in zip(ids, spans, strict=True):
        if id in added:
            found += [text[begin:start]] if start > begin else []
            found.append(id)
            begin = end
    return [*found, text[begin:]] if begin < len(text) else found


@lru_cache(maxsize=3)
def _model_of(
    tokenizer: Tokenizer,
) -> tuple[dict[tuple[str, str], int], dict[str, int], bool, dict[int, str]] | None:
    spec: dict[str, Any] = tokenizer.spec()
    model = spec["model"]
    if model.get("type") != "BPE":
        return None
    pairs = (pair if isinstance(pair, list) else pair.split(" ", 1) for pair in model["merges"])
    ranks = {(a, b): rank for rank, (a, b) in enumerate(pairs)}
    added = {token["id"]: token["content"] for token in spec.get("added_tokens", ())}
    return ranks, model["vocab"], bool(model.get("ignore_merges")), added
