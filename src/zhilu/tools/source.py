"""Where tools come from: a source a kind (``files``, ``sql``, ``kb``, …), registered under the entry points ``zhilu.tools``.

A person names tools as ``kind:argument`` (``files:./notes``, ``kb:handbook``); a kind that needs no argument is its name alone.
"""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zhilu.errors import InputError, ZhiluError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.tools.base import Tool
from zhilu.tools.wrappers import Prefixed

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["ToolSource", "about", "open_tools", "read_name", "tool_sources", "words_of"]


class ToolSource(Protocol):
    """One kind of tools.

    Attributes:
        title: what they are, for a person.
        usage: how a person names them, such as ``files:FOLDER``.
        example: one that could be typed.
        is_local: it reaches folders, files, programs or addresses of this machine's owner, by whatever name it is given: only who
            sits at this machine may name it. Another's key is for models and knowledge bases.
    """

    title: T
    usage: str
    example: str
    is_local: bool

    def open(self, context: Context, argument: str) -> AbstractAsyncContextManager[list[Tool]]:
        """The tools of ``argument`` while the block lasts: connections and processes end with it.

        Raises:
            ZhiluError: there is nothing of that name, or it cannot be used; before anything is offered to a model.
        """


@runtime_checkable
class Describing(Protocol):
    """A source that can say in a line what its argument holds, without opening it for use."""

    def about(self, context: Context, argument: str) -> str:
        """Raises ZhiluError or OSError: it cannot be read."""


def about(context: Context, name: str, most: int = 240) -> str:
    """What the tools of ``name`` are about, such as the tables of a database: a title alone does not tell a model whether a question
    is about them. Empty where nothing is known.

    Raises:
        NotFoundError, InputError: as ``read_name``.
    """
    _, argument, source = read_name(name)
    if not isinstance(source, Describing):
        return ""
    try:
        said = " ".join(source.about(context, argument).split())
    except (ZhiluError, OSError):
        return ""  # what is wrong with it is said when it is opened
    return said if len(said) <= most else f"{said[: most - 1]}…"


def tool_sources() -> Registry[ToolSource]:
    return Registry.from_entry_points("zhilu.tools", T("kind of tools", "工具类型"))


def read_name(name: str) -> tuple[str, str, ToolSource]:
    """``kind:argument`` in its parts, with the source.

    Raises:
        NotFoundError: no such kind. InputError: its argument is missing.
    """
    kind, _, argument = name.strip().partition(":")
    source = tool_sources().get(kind.strip())
    if ":" in source.usage and not argument.strip():
        raise InputError(
            T(f"{kind!r} needs an argument: {source.usage}.", f"{kind!r} 需要参数：{source.usage}。"),
            param="tools",
            fix=f'zhilu agent run "…" --tools {source.example}',
        )
    return kind.strip(), argument.strip(), source


def words_of(argument: str) -> list[str]:
    """The words of an argument that has several, as a shell reads them; at least one.

    Raises:
        InputError: a quote is not closed, or nothing stands there.
    """
    try:
        words = shlex.split(argument)
        if not words:
            raise ValueError("nothing stands there")
    except ValueError as error:
        raise InputError(
            T(f"{argument!r} cannot be read: {error}.", f"无法读取 {argument!r}：{error}。"), param="tools"
        ) from error
    return words


@asynccontextmanager
async def open_tools(context: Context, names: Sequence[str]) -> AsyncIterator[list[Tool]]:
    """The tools of all ``names`` (``kind:argument``), in their order.

    A name that a tool before has already gets the kind in front (``sql_query``, then ``sql2_query``).

    Raises:
        NotFoundError: no such kind. InputError: an argument is missing. Others: as the source says.
    """
    async with AsyncExitStack() as stack:
        offered: dict[str, Tool] = {}
        for name in names:
            kind, argument, source = read_name(name)
            for tool in await stack.enter_async_context(source.open(context, argument)):
                named = tool
                number = 2
                while named.facts.name in offered:
                    named = Prefixed(tool, f"{kind}{number}_")
                    number += 1
                offered[named.facts.name] = named
        yield list(offered.values())
