"""``memory``: keep a fact that a person tells, for later conversations (see ``agents.memory``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from zhilu.messages import T
from zhilu.tools import Tool, tool_from

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MEMORY", "MemorySource"]


class MemorySource:
    title = T("Memory: keep a fact that the user tells about themselves", "记忆：记住用户告诉你的关于他自己的事")
    usage = "memory"
    is_local = True  # the facts are of this machine's owner
    example = "memory"

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        from zhilu.agents.memory import Memory

        def remember(fact: str) -> str:
            """Keep a fact that the user tells, for later conversations. Only what the user says of themselves and asks to remember.

            Args:
                fact: one whole sentence in the user's words, such as who, what, when; with every name and number.
            """
            return f"kept: {Memory(context).keep(fact, 'model').text}"

        # Asked for: else a page that was read could leave something behind that speaks in every later conversation.
        yield [tool_from(remember, effect="write", repeatable=True, title=T("Remember a fact", "记住一件事"))]


MEMORY = MemorySource()
