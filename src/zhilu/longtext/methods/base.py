"""What a way to answer is: a generator that hands out calls and is handed the replies. It asks no model itself."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zhilu.longtext.pieces import Piece
from zhilu.longtext.room import Room
from zhilu.messages import T
from zhilu.prompts import Message
from zhilu.text.terms import content_terms

__all__ = ["BATCH", "Call", "Method", "Problem", "Steps", "is_supported"]

BATCH = 4  # calls that do not wait for each other
_SUPPORT = 0.5


@dataclass(frozen=True)
class Problem:
    """``most``: tokens of a piece, at most, where a person wants them smaller than what fits."""

    text: str
    question: str
    room: Room
    most: int | None = None

    @property
    def size(self) -> int:
        """Of a piece, by our own measure."""
        return self.room.piece(self.question, self.most)

    def of(self, piece: Piece) -> str:
        return self.text[piece.start : piece.end]


class Call(NamedTuple):
    """``pieces``: which parts of the text stand in it. ``what``: in a few words, for people."""

    messages: list[Message]
    pieces: Sequence[Piece]
    what: T


# Calls out, replies in, the answer at the end; empty: none was found.
Steps = Generator[list[Call], list[str], str]


@dataclass(frozen=True)
class Method:
    name: str
    title: T
    about: T
    run: Callable[[Problem], Steps]


def is_supported(answer: str, question: str, part: str) -> bool:
    """Whether most of what the answer says beyond the question stands in that part: a model also answers where it should not."""
    said = set(content_terms(answer)) - set(content_terms(question))
    return bool(said) and len(said & set(content_terms(part))) >= _SUPPORT * len(said)
