"""What a tool, a call and its result are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from zhilu.messages import T
from zhilu.tools.schema import inlined

__all__ = ["EFFECTS", "NAME", "Effect", "Tool", "ToolCall", "ToolFacts", "ToolResult", "as_openai"]

Effect = Literal["read", "write", "run", "send"]
EFFECTS: dict[Effect, T] = {
    "read": T("reads", "读取"),
    "write": T("changes something", "会修改内容"),
    "run": T("runs a program", "会运行程序"),
    "send": T("leaves this machine", "会访问外部网络"),
}
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")  # what every provider's API takes as a name


@dataclass(frozen=True)
class ToolFacts:
    """What is known of a tool before it is called.

    Attributes:
        name: as the model writes it (``NAME``).
        description: for the model: what it does, when to use it, what it gives.
        parameters: JSON schema of an object.
        effect: the strongest thing that any call of it does to the world. ``read`` changes nothing and tells nobody outside this
            machine; all others are asked for (``wrappers.Approved``). When in doubt, not ``read``.
        repeatable: calling it twice with the same arguments leaves the world as calling it once does. Only such a call is made
            again if it is not known whether it happened.
        title: what a person reads on a card.
        composes: one call can do the work of several, as an expression can: steps of a plan that follow each other become one.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    effect: Effect = "read"
    repeatable: bool = False
    title: T | None = None
    composes: bool = False

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise ValueError(f"a tool cannot be called {self.name!r}")


@dataclass(frozen=True)
class ToolCall:
    """One call. ``id`` is unique within a run and the same when the run goes on after a kill."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ToolResult:
    """What came of a call.

    Attributes:
        text: for the model.
        data: the same for a program (rows, passages), JSON-able; None where the text says it all.
        is_error: it did not do what was asked; the text says why, and the model may try otherwise.
    """

    text: str
    data: Any = None
    is_error: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "data": self.data, "is_error": self.is_error}

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> ToolResult:
        return cls(str(value["text"]), value.get("data"), bool(value.get("is_error")))


class Tool(Protocol):
    """Something a model may call. ``facts`` never change; ``call`` may run several times at once."""

    @property
    def facts(self) -> ToolFacts: ...

    async def call(self, call: ToolCall) -> ToolResult:
        """Do it. The arguments may be anything that a model or a stranger writes: check them (``check.checked``).

        Raises:
            ZhiluError: it cannot be done; the message is told to the model and to the person.
        """


@dataclass
class Toolbox:
    """Tools by name, in the order in which they were given. Two of one name are refused."""

    tools: list[Tool] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [tool.facts.name for tool in self.tools]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two tools are called {', '.join(sorted(twice))}: use Prefixed")

    def get(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.facts.name == name), None)

    @property
    def names(self) -> list[str]:
        return [tool.facts.name for tool in self.tools]


def as_openai(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """The ``tools`` field of a chat request."""
    return [
        {
            "type": "function",
            "function": {"name": f.name, "description": f.description, "parameters": inlined(f.parameters)},
        }
        for f in (tool.facts for tool in tools)
    ]
