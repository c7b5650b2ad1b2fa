"""Each piece is asked by itself, and the answers are put together (Dean & Ghemawat 2004, of computations in general)."""

from __future__ import annotations

from zhilu.longtext.methods.base import BATCH, Call, Method, Problem, Steps, is_supported
from zhilu.longtext.pieces import cut, own_tokens
from zhilu.messages import T
from zhilu.prompts import notes_messages, part_messages, says_none

__all__ = ["MAP_REDUCE"]


def _run(problem: Problem) -> Steps:
    pieces = cut(problem.text, problem.size)
    notes: list[str] = []
    for start in range(0, len(pieces), BATCH):
        together = pieces[start : start + BATCH]
        replies = yield [
            Call(part_messages(problem.question, problem.of(piece)), [piece],
                 T(f"piece {start + n} of {len(pieces)}", f"第 {start + n} 段，共 {len(pieces)} 段"))
            for n, piece in enumerate(together, start=1)
        ]  # fmt: skip
        for piece, said in zip(together, replies, strict=True):
            if not says_none(said) and is_supported(said, problem.question, problem.of(piece)):
                notes.append(said.strip())
    while len(notes) > 1:
        groups = _groups(notes, problem.size)
        what = T(f"{len(notes)} notes put together", f"合并 {len(notes)} 条笔记")
        notes = yield [Call(notes_messages(problem.question, group), [], what) for group in groups]
        if len(groups) == 1:
            break
    return notes[0] if notes else ""


def _groups(notes: list[str], size: int) -> list[list[str]]:
    """Notes that fit into one prompt together; at least two in each, so that there are fewer after every round."""
    groups: list[list[str]] = [[]]
    for note in notes:
        if len(groups[-1]) >= 2 and sum(map(own_tokens, groups[-1])) + own_tokens(note) > size:
            groups.append([])
        groups[-1].append(note)
    return groups


MAP_REDUCE = Method(
    "map-reduce",
    T("Map-reduce", "Map-reduce"),
    T(
        "Asks every piece, then puts the answers together. Reads all, several pieces at a time.",
        "逐段提问，再把各段的回答合并。读完全文，可以几段同时进行。",
    ),
    _run,
)
