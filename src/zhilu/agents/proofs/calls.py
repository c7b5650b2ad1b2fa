"""Single turns on a held-out set: 400 requests, 100 each with one tool, several tools, several calls, no tool that fits; en and zh.

The set (``calls.jsonl``, ``tools.json``) was written for this and is shown to no model. A turn is right if it makes exactly the
expected calls, in any order, with exactly the expected arguments; where several values are right, all stand in the set, and
``null`` means that the argument may be left out. Where no tool fits, it is right to call none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zhilu.agents.ask import Asker
from zhilu.agents.loop import AskModel
from zhilu.client import ModelClient
from zhilu.prompts import opening_messages
from zhilu.tools.base import ToolCall, ToolFacts, ToolResult

__all__ = ["KINDS", "Item", "Turn", "is_right", "items", "measure", "rate"]

KINDS = ("single", "multiple", "parallel", "irrelevant")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Item:
    """``calls``: (name, argument → the values that are right)."""

    kind: str
    tools: tuple[str, ...]
    ask: str
    calls: tuple[tuple[str, Mapping[str, list[Any]]], ...]


@dataclass(frozen=True)
class Turn:
    """A model's turn on an item."""

    item: Item
    calls: list[tuple[str, Any]]
    text: str
    right: bool
    tokens: int


class Offered:
    """A tool that is only offered: the set measures what a model wants to call."""

    def __init__(self, facts: ToolFacts) -> None:
        self.facts = facts

    async def call(self, call: ToolCall) -> ToolResult:
        raise AssertionError("nothing is called here")


@cache
def tools() -> dict[str, Offered]:
    read = json.loads((_HERE / "tools.json").read_text(encoding="utf-8"))
    return {t["name"]: Offered(ToolFacts(t["name"], t["description"], t["parameters"])) for t in read}


@cache
def items() -> tuple[Item, ...]:
    lines = (_HERE / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    read = (json.loads(line) for line in lines)
    return tuple(
        Item(i["kind"], tuple(i["tools"]), i["ask"], tuple((name, values) for name, values in i["calls"])) for i in read
    )


def sample(per_kind: int) -> list[Item]:
    """The same items every time, spread over each kind."""
    chosen = []
    for kind in KINDS:
        these = [item for item in items() if item.kind == kind]
        step = max(len(these) // per_kind, 1)
        chosen += these[::step][:per_kind]
    return chosen


def is_right(item: Item, made: Sequence[tuple[str, Any]]) -> bool:
    left = list(item.calls)
    for name, arguments in made:
        match = next((c for c in left if c[0] == name and _fits(c[1], arguments)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _fits(values: Mapping[str, list[Any]], arguments: Any) -> bool:
    if not isinstance(arguments, Mapping) or set(arguments) - set(values):
        return False
    return all(
        any(_same(value, arguments[key]) for value in right) if arguments.get(key) is not None else None in right
        for key, right in values.items()
    )


def _same(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(given, bool):
        return wanted is given
    if isinstance(wanted, str) and isinstance(given, str):
        return wanted.strip().casefold() == given.strip().casefold()
    return type(wanted) in (int, float) and type(given) in (int, float) and abs(wanted - given) < 1e-9


async def measure(
    client: ModelClient,
    model: str,
    chosen: Sequence[Item],
    *,
    help: bool,
    told: Callable[[Turn], None] = lambda _: None,
) -> list[Turn]:
    """One turn an item.

    Raises:
        ZhiluError: from the model's server.
    """
    turns = []
    for item in chosen:
        asker = Asker(client, model, {name: tools()[name] for name in item.tools}, help=help)
        said = await asker.take_turn(AskModel(1, opening_messages(item.ask)))
        turn = Turn(item, said.calls, said.text, is_right(item, said.calls), said.tokens)
        turns.append(turn)
        told(turn)
    return turns


def rate(turns: Sequence[Turn], kind: str | None = None) -> float:
    """Share of the turns (of one kind) that are right."""
    these = [turn for turn in turns if kind is None or turn.item.kind == kind]
    return sum(turn.right for turn in these) / max(len(these), 1)
