"""``agent:NAME TOOLS…``: a sub-agent, an agent with few tools of its own that another one hands a part of its task to.

A small model that has two tools before it and one aim does better than one that has fifteen and three. The sub-agent sees only the part
that it is handed, and its result comes back as that of a tool. Whatever it does is asked for like anything else, under its own name
(``clerk_write_file``); its steps stand in the trace within the call. One level: a sub-agent has none of its own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tools import Tool, ToolResult, open_tools
from zhilu.tools.base import ToolCall, ToolFacts
from zhilu.tools.check import checked
from zhilu.tools.source import about, read_name, words_of

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["TEAM", "HandOver", "SubAgent", "TeamSource"]

_NAME = re.compile(r"[a-z][a-z0-9]{0,23}\Z")
HandOver = Callable[["SubAgent", ToolCall], Awaitable[ToolResult]]


class SubAgent:
    """A tool that is worked on by a model: ``bound`` gives it one (``agents.drive``)."""

    def __init__(self, name: str, tools: Sequence[Tool], held: str, work: HandOver | None = None) -> None:
        self.name, self.tools, self._work, self._held = name, list(tools), work, held
        self.facts = ToolFacts(
            f"ask_{name}",
            f"Hand a part of the task over to {name}, who works on it alone with tools of its own and tells what came of it. {name} has: {held}",
            {
                "type": "object",
                "properties": {"task": {"type": "string", "description": "the part, as a whole sentence with every name and number"}},
                "required": ["task"],
                "additionalProperties": False,
            },
            title=T(f"Ask {name}: {held}", f"交给 {name}：{held}"),
        )  # fmt: skip

    def bound(self, work: HandOver) -> SubAgent:
        return SubAgent(self.name, self.tools, self._held, work)

    async def call(self, call: ToolCall) -> ToolResult:
        """``data``: ``steps``, ``tokens`` and ``stop`` of its work."""
        checked(self.facts, call.arguments)
        if self._work is None:
            raise InputError(T(f"{self.name} has no model to work with.", f"{self.name} 没有可用的模型。"))
        return await self._work(self, call)


class TeamSource:
    title = T("A sub-agent with tools of its own", "子智能体，有自己的工具")
    usage = "agent:NAME TOOLS"
    is_local = True  # as the strongest of what it may be given
    example = "agent:clerk kb:handbook calculator"

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        """Raises InputError where the name is none, no tools are named, or another sub-agent is; and what its tools raise."""
        name, *tools = words_of(argument)
        wrong: Any = None
        if not _NAME.match(name):
            wrong = T(
                f"A sub-agent cannot be called {name!r}: small letters and digits.",
                f"子智能体不能叫 {name!r}：只能用小写字母和数字。",
            )
        elif not tools:
            wrong = T(f"{name!r} has no tools.", f"{name!r} 没有工具。")
        elif any(read_name(tool)[2] is self for tool in tools):
            wrong = T("A sub-agent has no sub-agents of its own.", "子智能体不能再有子智能体。")
        if wrong is not None:
            raise InputError(wrong, param="tools", fix=f'zhilu agent run "…" --tool "{self.example}"')
        held = "; ".join(
            f"{read_name(tool)[2].title.en} {f'({known})' if (known := about(context, tool, 120)) else ''}".strip()
            for tool in tools
        )
        async with open_tools(context, tools) as opened:
            yield [SubAgent(name, opened, held)]


TEAM = TeamSource()
