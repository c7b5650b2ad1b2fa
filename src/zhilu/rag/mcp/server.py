"""The server: tools for knowledge bases (which there are, searching one, asking one, reading a document), and what ``more`` and the
entry points ``zhilu.mcp`` add. All of them only read."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from zhilu import __version__
from zhilu.errors import MissingComponentError, ZhiluError
from zhilu.messages import T
from zhilu.rag.mcp.knowledge import KnowledgeTools
from zhilu.rag.mcp.more import ModelTools, add_prompts, add_resources, offers
from zhilu.rag.mcp.strict import strict_server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from mcp.server.mcpserver import MCPServer

    from zhilu.context import Context

__all__ = ["KnowledgeTools", "mcp_server"]

_INSTRUCTIONS = (
    "Knowledge bases of this person's own documents. Search or ask before answering from memory, and name the document that an "
    "answer comes from. What the documents do not say is refused: do not fill it in."
)


def mcp_server(context: Context, only: Collection[str] = ()) -> MCPServer[Any]:
    """A server with these tools; with models and gates as well, where no knowledge base is named.

    Raises:
        MissingComponentError: the SDK is not installed here. NotFoundError: ``only`` names what is not there.
    """
    try:
        from mcp_types import ToolAnnotations
    except ImportError as error:
        raise MissingComponentError(
            T("The MCP SDK is not installed here.", "本机没有安装 MCP SDK。"), fix="pip install 'mcp>=2.3,<3'"
        ) from error
    tools = KnowledgeTools(context, only)
    server = strict_server(
        "zhilu", title="Zhilu 指路", instructions=_INSTRUCTIONS, version=__version__, log_level="WARNING"
    )
    for tool in (
        tools.list_knowledge_bases, tools.search_knowledge_base, tools.ask_knowledge_base, tools.read_document,
    ):  # fmt: skip
        server.add_tool(_told(tool), annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
    add_resources(server, tools)
    add_prompts(server, tools)
    if only:  # who names knowledge bases offers these and nothing else
        return server
    models = ModelTools(context)
    for work in (models.list_models, models.ask_model):
        server.add_tool(
            _told(work), annotations=ToolAnnotations(read_only_hint=True, open_world_hint=work == models.ask_model)
        )
    registry = offers()
    for name in registry.names():
        registry.get(name)(server, context)
    return server


def _told(tool: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The tool, whose refusals reach the client in our own words: of other exceptions the SDK tells only the tool's name."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(tool)
    async def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return await tool(*args, **kwargs)
        except ZhiluError as error:
            raise ToolError(f"{error.message.say()} {error.fix or ''}".strip()) from error

    return called
