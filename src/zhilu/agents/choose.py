"""Which tools are shown to the model where there are many: those whose words fit the task, by BM25 over names and descriptions.

A model of 1.5 B parameters loses its way among thirty tools, and their schemas fill its window.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from zhilu.tools.base import Tool

__all__ = ["Chooser", "words_of"]

_K1, _B = 1.2, 0.75
_WORD = re.compile(r"[a-z0-9]+|[\u4e00-\u9fff]+")


def words_of(text: str) -> list[str]:
    """Lower-case words, names cut at their underscores and humps; Chinese as single characters and pairs."""
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text).lower()
    found: list[str] = []
    for word in _WORD.findall(text):
        if "\u4e00" <= word[0] <= "\u9fff":
            found += [*word, *(word[i : i + 2] for i in range(len(word) - 1))]
        else:
            found.append(word[:-1] if len(word) > 3 and word.endswith("s") else word)
    return found


class Chooser:
    """``choose`` gives all tools while there are at most ``limit``; else the best for the conversation, in their own order.

    A tool that was used stays: a chain needs its beginning again.
    """

    def __init__(self, tools: Sequence[Tool], limit: int) -> None:
        self._tools, self._limit = list(tools), limit
        self._bags = [Counter(words_of(self._text(tool))) for tool in tools]
        self._mean = sum(sum(bag.values()) for bag in self._bags) / max(len(self._bags), 1)

    def choose(self, messages: Sequence[Mapping[str, Any]]) -> list[Tool]:
        if len(self._tools) <= self._limit:
            return self._tools
        asked = " ".join(str(m.get("content") or "") for m in messages if m["role"] == "user")
        used = {str(m.get("name")) for m in messages if m["role"] == "tool"}
        wanted = set(words_of(asked))
        scores = [
            math.inf if tool.facts.name in used else self._score(bag, wanted)
            for tool, bag in zip(self._tools, self._bags, strict=True)
        ]
        best = sorted(range(len(self._tools)), key=lambda i: -scores[i])[: self._limit]
        return [self._tools[i] for i in sorted(best)]

    def _score(self, bag: Counter[str], wanted: set[str]) -> float:
        size, score = sum(bag.values()), 0.0
        for word in wanted & bag.keys():
            holding = sum(word in other for other in self._bags)
            rarity = math.log(1 + (len(self._bags) - holding + 0.5) / (holding + 0.5))
            score += rarity * bag[word] * (_K1 + 1) / (bag[word] + _K1 * (1 - _B + _B * size / self._mean))
        return score

    @staticmethod
    def _text(tool: Tool) -> str:
        facts = tool.facts
        arguments = " ".join(
            f"{name} {schema.get('description', '') if isinstance(schema, dict) else ''}"
            for name, schema in (facts.parameters.get("properties") or {}).items()
        )
        title = f"{facts.title.en} {facts.title.zh}" if facts.title else ""
        return f"{facts.name} {facts.name} {facts.description} {title} {arguments}"
