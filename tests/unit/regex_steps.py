"""A regular expression's work, counted: a backtracking matcher over Python's own parse of the pattern, one step a try.

``sre`` does much the same with shortcuts. What counts is how the steps grow when the text doubles: twice for a linear
expression, four times for a quadratic one, without end for an exponential one. Where ``LIMIT`` is reached, that is the answer.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as c  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as c
    import sre_parse as parser

LIMIT = 400_000
_CLASS = {
    c.CATEGORY_DIGIT: r"\d", c.CATEGORY_NOT_DIGIT: r"\D", c.CATEGORY_SPACE: r"\s", c.CATEGORY_NOT_SPACE: r"\S",
    c.CATEGORY_WORD: r"\w", c.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


class TooMuch(Exception):
    """The limit is reached."""


_ONE = (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN)
_REPEATS = (c.MAX_REPEAT, c.MIN_REPEAT)
Items = list[
    tuple[Any, Any, dict[str, bool]]
]  # operation, argument with its parts as Items, and what is known of characters


class Steps:
    """One pattern. ``count(text)``: steps of ``search`` (every beginning is tried, as ``sub`` and ``findall`` do)."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.tree = parser.parse(pattern, flags)
        self.flags = self.tree.state.flags
        self.items = self._prepared(self.tree)
        self.steps = 0

    def _prepared(self, tree: Any) -> Items:
        """The parsed pattern, its parts prepared once and not at each try."""
        items: Items = []
        for op, arg in tree:
            if op is c.BRANCH:
                arg = [self._prepared(branch) for branch in arg[1]]
            elif op is c.SUBPATTERN:
                arg = self._prepared(arg[-1])
            elif op in _REPEATS:
                arg = (arg[0], arg[1], self._prepared(arg[2]))
            elif op in (c.ASSERT, c.ASSERT_NOT):
                arg = (arg[0], self._prepared(arg[1]), arg[1].getwidth())
            elif op is not c.AT and op not in _ONE:
                raise NotImplementedError(str(op))
            items.append((op, arg, {}))
        return items

    def count(self, text: str, anchored: bool = False) -> int:
        self.steps, at = 0, 0
        try:
            while at <= len(text):
                end = next(self._run(self.items, 0, text, at), None)
                if anchored:
                    break
                at = max(end, at + 1) if end is not None else at + 1
        except TooMuch:
            pass
        return self.steps

    def _step(self) -> None:
        self.steps += 1
        if self.steps >= LIMIT:
            raise TooMuch

    def _run(self, items: Items, first: int, text: str, at: int) -> Iterator[int]:
        """Every end of a match of ``items`` from ``first`` on at ``at``, in the order in which a backtracking matcher finds
        them."""
        for number in range(first, len(items)):
            self._step()
            op, arg, known = items[number]
            if op in _ONE:
                if at >= len(text) or not self._is(op, arg, known, text[at]):
                    return
                at += 1
            elif op is c.AT:
                if not self._anchor(arg, text, at):
                    return
            elif op in (c.ASSERT, c.ASSERT_NOT):
                if self._looks(arg, text, at) is not (op is c.ASSERT):
                    return
            elif op in _REPEATS:
                yield from self._repeat(arg, items, number + 1, text, at, greedy=op is c.MAX_REPEAT)
                return
            else:
                for branch in arg if op is c.BRANCH else (arg,):
                    for end in self._run(branch, 0, text, at):
                        yield from self._run(items, number + 1, text, end)
                return
        yield at

    def _looks(self, arg: Any, text: str, at: int) -> bool:
        direction, inner, (low, high) = arg
        if direction > 0:
            return next(self._run(inner, 0, text, at), None) is not None
        return any(at in self._run(inner, 0, text, start) for start in range(max(0, at - high), at - low + 1))

    def _repeat(self, arg: Any, items: Items, rest: int, text: str, at: int, *, greedy: bool) -> Iterator[int]:
        low, high, inner = arg
        if len(inner) == 1 and inner[0][0] in _ONE:  # as sre does: count, then give back one by one
            op, what, known = inner[0]
            length = 0
            while length < high and at + length < len(text) and self._is(op, what, known, text[at + length]):
                self._step()
                length += 1
            for taken in range(length, low - 1, -1) if greedy else range(low, length + 1):
                yield from self._run(items, rest, text, at + taken)
            return
        yield from self._more(inner, low, high, items, rest, text, at, greedy, 0)

    def _more(
        self, inner: Items, low: int, high: Any, items: Items, rest: int, text: str, at: int, greedy: bool, done: int
    ) -> Iterator[int]:
        if done >= low and not greedy:
            yield from self._run(items, rest, text, at)
        if done < high:
            for end in self._run(inner, 0, text, at):
                if end > at or done < low:
                    yield from self._more(inner, low, high, items, rest, text, end, greedy, done + 1)
        if done >= low and greedy:
            yield from self._run(items, rest, text, at)

    def _is(self, op: Any, arg: Any, known: dict[str, bool], character: str) -> bool:
        if (answer := known.get(character)) is None:
            answer = known[character] = self._is_one(op, arg, character)
        return answer

    def _is_one(self, op: Any, arg: Any, character: str) -> bool:
        if self.flags & re.IGNORECASE:
            return any(self._is_exactly(op, arg, form) for form in {character, character.lower(), character.upper()})
        return self._is_exactly(op, arg, character)

    def _is_exactly(self, op: Any, arg: Any, character: str) -> bool:
        if op is c.ANY:
            return character != "\n" or bool(self.flags & re.DOTALL)
        code = ord(character) if len(character) == 1 else -1
        if op is c.LITERAL:
            return bool(code == arg)
        if op is c.NOT_LITERAL:
            return bool(code != arg)
        negate, found = False, False
        for kind, value in arg:
            if kind is c.NEGATE:
                negate = True
            elif kind is c.LITERAL:
                found |= code == value
            elif kind is c.RANGE:
                found |= value[0] <= code <= value[1]
            else:
                found |= re.match(_CLASS[value], character) is not None
        return found != negate

    def _anchor(self, kind: Any, text: str, at: int) -> bool:
        before, after = text[at - 1 : at] if at else "", text[at : at + 1]
        if kind in (c.AT_BEGINNING, c.AT_BEGINNING_STRING):
            return at == 0 or (kind is c.AT_BEGINNING and bool(self.flags & re.MULTILINE) and before == "\n")
        if kind in (c.AT_END, c.AT_END_STRING):
            ends = at == len(text) or (kind is c.AT_END and at == len(text) - 1 and after == "\n")
            return ends or (kind is c.AT_END and bool(self.flags & re.MULTILINE) and after == "\n")
        is_word = [bool(x) and re.match(r"\w", x) is not None for x in (before, after)]
        return (is_word[0] != is_word[1]) is (kind is c.AT_BOUNDARY)


def alphabet(pattern: str, flags: int = 0) -> list[str]:
    """Characters that the pattern tells apart: one of each literal and class in it, and one that is in none."""
    found: dict[str, None] = {}

    def walk(items: Any) -> None:
        for op, arg in items:
            if op in (c.LITERAL, c.NOT_LITERAL):
                found.setdefault(chr(arg))
            elif op is c.IN:
                for kind, value in arg:
                    if kind is c.LITERAL:
                        found.setdefault(chr(value))
                    elif kind is c.RANGE:
                        found.setdefault(chr(value[0]))
                    elif kind is c.CATEGORY:
                        found.setdefault({c.CATEGORY_SPACE: " ", c.CATEGORY_DIGIT: "7"}.get(value, "a"))
            elif op is c.BRANCH:
                for branch in arg[1]:
                    walk(branch)
            elif op is c.SUBPATTERN:
                walk(arg[-1])
            elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
                walk(arg[2])
            elif op in (c.ASSERT, c.ASSERT_NOT):
                walk(arg[1])

    walk(parser.parse(pattern, flags))
    for extra in (" ", "a", "\n", "\ue000"):
        found.setdefault(extra)
    return list(found)


def runs(pattern: str, flags: int = 0) -> list[str]:
    """Fixed texts of two and more characters in the pattern, wherever: ``<!--`` and ``-->`` of ``(<!--.*?-->)*``."""
    found: dict[str, None] = {}

    def walk(items: Any) -> None:
        text = ""
        for op, arg in [*items, (c.ANY, None)]:
            if op is c.LITERAL:
                text += chr(arg)
                continue
            if len(text) > 1:
                found.setdefault(text)
            text = ""
            if op is c.BRANCH:
                for branch in arg[1]:
                    walk(branch)
            elif op is c.SUBPATTERN:
                walk(arg[-1])
            elif op in (c.MAX_REPEAT, c.MIN_REPEAT):
                walk(arg[2])

    walk(parser.parse(pattern, flags))
    return list(found)[:4]


def beginnings(pattern: str, flags: int = 0) -> list[str]:
    """Fixed texts that the pattern can begin with, to get behind them: ``<!--`` of ``<!--.*?-->``."""
    out, text = [""], ""
    for op, arg in parser.parse(pattern, flags):
        if op is c.LITERAL:
            text += chr(arg)
            out.append(text)
        elif op is not c.AT:
            break
    return list(dict.fromkeys(out[:1] + out[-1:]))
