"""A summary of a text that does not fit, each sentence with the place it rests on, or with the note that it rests on none."""

from __future__ import annotations

import re

from pydantic import BaseModel

from zhilu.longtext.asking import Asker, LongtextStep, TextPlace, place_of
from zhilu.longtext.methods import BATCH, Call
from zhilu.longtext.pieces import cut, own_tokens
from zhilu.longtext.room import Room
from zhilu.messages import T
from zhilu.prompts import join_summary_messages, part_summary_messages
from zhilu.text.sentences import sentences

__all__ = ["LongtextSummary", "SummarySentence", "summarise"]

SENTENCES = 6
_RESTS = 0.5  # of a sentence's words must stand at its place
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")


class SummarySentence(BaseModel):
    """``supported``: most of its words stand at ``place``, and all of its numbers do."""

    text: str
    place: TextPlace | None
    supported: bool


class LongtextSummary(BaseModel):
    sentences: list[SummarySentence]
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cut: int
    steps: list[LongtextStep]


async def summarise(text: str, room: Room, asker: Asker, most: int | None = None) -> LongtextSummary:
    """Every piece by itself, then all of them together, as often as it takes until one remains.

    Raises:
        InputError: nothing fits. ZhiluError: of the model's server.
    """
    steps: list[LongtextStep] = []
    pieces = cut(text, room.piece(most=most))
    parts: list[str] = []
    for start in range(0, len(pieces), BATCH):
        together = pieces[start : start + BATCH]
        calls = [
            Call(part_summary_messages(text[piece.start : piece.end]), [piece],
                 T(f"piece {start + n} of {len(pieces)}", f"第 {start + n} 段，共 {len(pieces)} 段"))
            for n, piece in enumerate(together, start=1)
        ]  # fmt: skip
        done = await asker.ask("summary", calls)
        steps += done
        parts += [step.said for step in done if step.said]
    while len(parts) > 1:
        groups = _groups(parts, room.piece(most=most))
        what = T(f"{len(parts)} summaries put together", f"合并 {len(parts)} 份概括")
        done = await asker.ask("summary", [Call(join_summary_messages(group, SENTENCES), [], what) for group in groups])
        steps += done
        parts = [step.said for step in done if step.said]
        if len(groups) == 1:
            break
    said = parts[0] if parts else ""
    return LongtextSummary(
        sentences=[_cited(said[start:end], text) for start, end in sentences(said)], calls=len(steps),
        prompt_tokens=sum(s.prompt_tokens for s in steps), completion_tokens=sum(s.completion_tokens for s in steps),
        cut=sum(s.cut is True for s in steps), steps=steps,
    )  # fmt: skip


def _cited(sentence: str, text: str) -> SummarySentence:
    place = place_of(text, sentence)
    if place is None:
        return SummarySentence(text=sentence, place=None, supported=False)
    has_numbers = set(_NUMBER.findall(sentence)) <= set(_NUMBER.findall(place.quote))
    return SummarySentence(text=sentence, place=place, supported=place.coverage >= _RESTS and has_numbers)


def _groups(parts: list[str], size: int) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for part in parts:
        if len(groups[-1]) >= 2 and sum(map(own_tokens, groups[-1])) + own_tokens(part) > size:
            groups.append([])
        groups[-1].append(part)
    return groups
