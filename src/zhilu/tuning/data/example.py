"""A training set to begin with, made by rule in Chinese and English: a support desk's messages, and where each belongs.

The task is a small company's own: which of six queues a message goes to, and by when it wants an answer. No model knows the desk's
wording, so a base says something else; and whether an answer is right can be said letter by letter. Held-out messages speak of things,
and say the day in words, that no training message has.
"""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["HELD_OUT", "NAME", "make_example"]

NAME, HELD_OUT = "support-desk", "support-desk-held-out"
_SEED = 2026
_NEW = 4  # things that no training message names
_DESK = Path(__file__).with_name("support_desk.toml")


def make_example(rows: int = 500, held_out: int = 60) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Training rows and held-out rows (prompt and completion), half of them in each language; the same at every call."""
    taught = list(_messages(held_out=False))
    asked = list(_messages(held_out=True))
    random.Random(_SEED).shuffle(taught)
    random.Random(_SEED).shuffle(asked)  # on its own: what is held out stays as it is when training words are added
    return _even(taught, rows), _even(asked, held_out)


def _even(messages: list[tuple[str, str, dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    """``count`` of them, each language and queue as often as the others."""
    piles: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for language, queue, row in messages:
        piles.setdefault((language, queue), []).append(row)
    order = sorted(piles)
    return [piles[order[at % len(order)]][at // len(order)] for at in range(count)]


def _messages(held_out: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for language, desk in tomllib.loads(_DESK.read_text(encoding="utf-8")).items():
        things = desk["things"][-_NEW:] if held_out else desk["things"][:-_NEW]
        for (queue, sayings), thing in itertools.product(desk["said"].items(), things):
            for saying, (day, words) in itertools.product(sayings, desk["when"].items()):
                for when in words[-1:] if held_out else words[:-1]:
                    row = _row(language, saying.format(it=thing), when, desk["queues"][queue], desk["days"][day])
                    yield language, queue, row


def _row(language: str, said: str, when: str, queue: str, day: str) -> dict[str, Any]:
    if language == "zh":
        return {"prompt": f"{said}。{when}。", "completion": f"转到：{queue}；答复：{day}"}
    return {"prompt": f"{said[0].upper()}{said[1:]}. {when}.", "completion": f"Queue: {queue}; reply: {day}"}
