"""``mcp:COMMAND`` and ``mcp:URL``: the tools, resources and prompts of a server of the Model Context Protocol.

A server is a stranger's program, and what it says of its tools (``readOnlyHint``) is a hint that nobody checks; the specification
itself warns to decide by it. So every call is asked for: ``send`` where the server says that it only reads, since the arguments
leave Zhilu for a program that may do with them what it likes, and ``write`` otherwise. A person who trusts a server allows its tools
by name for a run (``--allow mcp_search``). No call is taken to be repeatable.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from zhilu.agents.sources.mcp_more import Extra, extras_of
from zhilu.agents.sources.strangers import clipped, names_of, parameters_of
from zhilu.errors import MissingComponentError, NotFoundError, UnreachableError, UpstreamError, ZhiluError
from zhilu.messages import T
from zhilu.tools import Tool, ToolCall, ToolFacts, ToolResult
from zhilu.tools.check import checked
from zhilu.tools.source import words_of

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult
    from mcp_types import Tool as TheirTool

    from zhilu.context import Context

__all__ = ["MCP", "McpSource", "McpTool"]

_PREFIX = "mcp_"  # not the server's name: that is the server's to choose
_START_SECONDS = 30.0  # until a server has said what it offers
_END_SECONDS = 10.0  # the SDK waits, asks and kills within six
_MOST_TOOLS = 200
_MOST_DATA = 20_000  # characters of a structured result that is kept beside its text


class McpTool:
    """One tool of a server, or what is done with its resources and prompts (``extra``). A server that has ended says so at once; one
    that hangs is given up by ``wrappers.Limited``."""

    def __init__(
        self, client: Client, theirs: str, facts: ToolFacts, last_words: TextIO, extra: Extra | None = None
    ) -> None:
        self._client, self._theirs, self._facts, self._last_words = client, theirs, facts, last_words
        self._extra = extra

    @property
    def facts(self) -> ToolFacts:
        return self._facts

    async def call(self, call: ToolCall) -> ToolResult:
        from mcp.shared.exceptions import MCPError
        from mcp_types import CONNECTION_CLOSED

        arguments = checked(self._facts, call.arguments)
        try:
            if self._extra is not None:
                return ToolResult(await self._extra.work(self._client, arguments) or "(it said nothing)")
            return _result(await self._client.call_tool(self._theirs, arguments))
        except MCPError as error:
            if error.error.code == CONNECTION_CLOSED:
                raise _ended(self._theirs, self._last_words) from error
            said = clipped(error.error.message, "?", 500)
            raise UpstreamError(
                T(f"The MCP server refused {self._theirs}: {said}", f"MCP 服务器拒绝了 {self._theirs}：{said}")
            ) from error
        except Exception as error:  # the SDK's many ways to say that an answer is not what was promised
            said = clipped(str(error), type(error).__name__, 300)
            raise UpstreamError(
                T(
                    f"What the MCP server answered to {self._theirs} is not what it promised: {said}",
                    f"MCP 服务器对 {self._theirs} 的回答与它的说明不符：{said}",
                )
            ) from error


class McpSource:
    title = T("The tools, resources and prompts of an MCP server", "MCP 服务器的工具、资源和提示")
    usage = "mcp:COMMAND|URL"
    is_local = True
    example = 'mcp:"zhilu mcp"'

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        """Starts the command, or connects to the address; the command's process ends with the block.

        Only what a person typed comes here: no tool of ours takes a name of tools.

        Raises:
            MissingComponentError: the SDK is not installed. NotFoundError: no such program. InputError: no command line.
            UnreachableError: nothing answers in time, or it ended. UpstreamError: what it offers cannot be used.
        """
        with (
            tempfile.TemporaryDirectory(prefix="mcp-", ignore_cleanup_errors=True) as folder,
            Path(folder, "stderr").open("w", encoding="utf-8") as last_words,
        ):
            async with _connected(_server(argument, last_words), last_words) as client:
                extras = extras_of(client.server_capabilities)
                theirs = await _tools_of(client, last_words, may_be_none=bool(extras))
                names = names_of(_PREFIX, [tool.name for tool in theirs])
                # A tool of the server's keeps its name; ours gives way.
                free = [extra for extra in extras if f"{_PREFIX}{extra.name}" not in names]
                yield [
                    *(
                        McpTool(client, t.name, _facts(name, t), last_words)
                        for name, t in zip(names, theirs, strict=True)
                    ),
                    *(McpTool(client, e.name, e.facts(f"{_PREFIX}{e.name}"), last_words, e) for e in free),
                ]


def _server(argument: str, last_words: TextIO) -> Any:
    """What the SDK's client connects to."""
    try:
        from mcp import StdioServerParameters
        from mcp.client.stdio import stdio_client
    except ImportError as error:
        raise MissingComponentError(
            T("The MCP SDK is not installed here.", "本机没有安装 MCP SDK。"), fix="pip install 'mcp>=2.3,<3'"
        ) from error
    if argument.startswith(("http://", "https://")):
        return argument
    words = words_of(argument)
    if len(words) == 1 and " " in words[0] and shutil.which(words[0]) is None:
        words = words_of(words[0])
    program = words[0]
    if shutil.which(program) is None:
        raise NotFoundError(
            T(
                f"There is no program {program!r} to start an MCP server with. Give its whole path.",
                f"没有用于启动 MCP 服务器的程序 {program!r}。请给出完整路径。",
            ),
            param="tools",
            fix=f"command -v {shlex.quote(program)}",
        )
    # The SDK hands on PATH and HOME and little else: no key of this process reaches a stranger's program.
    return stdio_client(StdioServerParameters(command=program, args=words[1:]), errlog=last_words)


@asynccontextmanager
async def _connected(server: Any, last_words: TextIO) -> AsyncIterator[Client]:
    """A client that lives in a task of its own: the SDK's tasks must end where they began, and must be left to wind down when the
    run is cancelled, or the server's process would stay."""
    import anyio
    from mcp import Client

    ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    leave, giving_up = asyncio.Event(), anyio.CancelScope()

    async def keep() -> None:
        try:
            with giving_up:
                async with Client(server) as client:
                    ready.set_result(client)
                    await leave.wait()
        except Exception as error:  # told of the start; at the end nobody is left who could do anything about it
            if not ready.done():
                ready.set_exception(error)

    keeper = asyncio.create_task(keep())
    try:
        try:
            client = await asyncio.wait_for(asyncio.shield(ready), _START_SECONDS)
        except asyncio.TimeoutError as error:
            raise _silent(last_words) from error
        except Exception as error:
            raise _not_begun(error, last_words) from error
        yield client
    finally:
        leave.set()
        if not ready.done():
            giving_up.cancel()
        await asyncio.wait([keeper], timeout=_END_SECONDS)
        if ready.done() and not ready.cancelled():
            ready.exception()  # seen, also where the start was given up meanwhile


async def _tools_of(client: Client, last_words: TextIO, *, may_be_none: bool) -> list[TheirTool]:
    """All of them, page by page. ``may_be_none``: the server has something else to offer."""
    if may_be_none and client.server_capabilities.tools is None:
        return []

    async def read() -> list[TheirTool]:
        found: dict[str, TheirTool] = {}
        cursor: str | None = None
        for _ in range(_MOST_TOOLS):  # a page may be empty and still name a next one
            page = await client.list_tools(cursor=cursor)
            found.update((tool.name, tool) for tool in page.tools if tool.name not in found)
            cursor = page.next_cursor
            if cursor is None or len(found) > _MOST_TOOLS:
                break
        return list(found.values())

    try:
        tools = await asyncio.wait_for(read(), _START_SECONDS)
    except asyncio.TimeoutError as error:
        raise _silent(last_words) from error
    except Exception as error:
        raise _not_begun(error, last_words) from error
    if not (len(tools) > 0 or may_be_none) or len(tools) > _MOST_TOOLS:
        raise UpstreamError(
            T(
                f"The MCP server offers {len(tools) or 'no'} tools; 1 to {_MOST_TOOLS} can be used.",
                f"MCP 服务器提供了 {len(tools)} 个工具；可用 1 到 {_MOST_TOOLS} 个。",
            )
        )
    return tools


def _facts(name: str, theirs: TheirTool) -> ToolFacts:
    only_reads = theirs.annotations is not None and theirs.annotations.read_only_hint is True
    return ToolFacts(
        name,
        clipped(theirs.description, f"The tool {clipped(theirs.name, '?', 64)} of an MCP server."),
        parameters_of(theirs.name, theirs.input_schema),
        "send" if only_reads else "write",
    )


def _result(came: CallToolResult) -> ToolResult:
    parts = [_words(block) for block in came.content]
    data = came.structured_content
    kept = None
    if data is not None:
        written = json.dumps(data, ensure_ascii=False)
        kept = data if len(written) <= _MOST_DATA else None
        if not any(parts):
            parts = [written]
    return ToolResult("\n".join(parts).strip() or "(it said nothing)", data=kept, is_error=came.is_error)


def _words(block: Any) -> str:
    """A block of content as text: what a model that reads only text can make of it."""
    if block.type == "text":
        return str(block.text)
    if block.type == "resource_link":
        return f"[{block.name}: {block.uri}]"
    if block.type == "resource":
        text = getattr(block.resource, "text", None)
        return str(text) if text is not None else f"[{block.resource.uri}: no text]"
    return f"[{block.type}, {block.mime_type}: not shown]"


def _silent(last_words: TextIO) -> UnreachableError:
    tail = _tail(last_words)
    return UnreachableError(
        T(
            f"The MCP server did not say what it offers in {_START_SECONDS:g} s.{tail}",
            f"MCP 服务器在 {_START_SECONDS:g} 秒内没有说明它提供什么。{tail}",
        ),
        code="mcp_unreachable",
    )


def _not_begun(error: BaseException, last_words: TextIO) -> ZhiluError:
    if isinstance(error, ZhiluError):
        return error
    while inside := getattr(error, "exceptions", None):  # what a group of tasks failed with
        error = inside[0]
    said, tail = clipped(str(error), type(error).__name__, 300), _tail(last_words)
    return UnreachableError(
        T(f"The MCP server cannot be used: {said}.{tail}", f"无法使用 MCP 服务器：{said}。{tail}"),
        code="mcp_unreachable",
    )


def _ended(name: str, last_words: TextIO) -> UnreachableError:
    tail = _tail(last_words)
    return UnreachableError(
        T(
            f"The MCP server ended during {name}; whether it was done is not known.{tail}",
            f"MCP 服务器在执行 {name} 时结束了；不知道是否已经完成。{tail}",
        ),
        code="mcp_ended",
    )


def _tail(last_words: TextIO) -> str:
    """The end of what the server wrote to its standard error, which says most about why it ended."""
    # Opened anew: the server writes at the position that the other one has.
    with open(last_words.name, "rb") as again:
        again.seek(max(again.seek(0, os.SEEK_END) - 600, 0))
        text = again.read(600).decode("utf-8", "replace").strip()
    return f"\n{text}" if text else ""


MCP = McpSource()
