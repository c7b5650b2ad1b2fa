"""A server that refuses an argument no tool has. The SDK's own drops it, and the caller believes that it was heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zhilu.errors import nearest
from zhilu.messages import T

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context, MCPServer

__all__ = ["strict_server"]


def strict_server(name: str, **about: Any) -> MCPServer[Any]:
    """The SDK's server, made with ``about``, whose tools say in their schema that they take nothing else, and hold to it.

    Raises:
        ImportError: the SDK is not installed.
    """
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    class StrictServer(MCPServer[Any]):
        async def list_tools(self) -> list[Any]:
            tools = await super().list_tools()
            for tool in tools:
                tool.input_schema = {**tool.input_schema, "additionalProperties": False}
            return tools

        async def call_tool(
            self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
        ) -> Any:
            tools = {tool.name: list(tool.input_schema.get("properties", {})) for tool in await self.list_tools()}
            strange = [one for one in arguments if name in tools and one not in tools[name]]
            if strange:
                raise ToolError(_refusal(name, strange[0][:200], tools[name]).say())
            return await super().call_tool(name, arguments, context)

    return StrictServer(name, **about)


def _refusal(tool: str, strange: str, known: list[str]) -> T:
    close = nearest(strange, known)
    meant = (f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else ("", "")
    takes = ", ".join(known)
    return T(
        f"{tool} takes no {strange!r}.{meant[0]} It takes {takes or 'nothing'}.",
        f"{tool} 没有参数 {strange!r}。{meant[1]}它的参数：{takes or '无'}。",
    )
