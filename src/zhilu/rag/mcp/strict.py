"""A server that refuses an argument no tool has. The SDK's own drops it, and the caller believes that it was heard."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from zhilu.errors import nearest
from zhilu.messages import T

__all__ = ["StrictServer"]


class StrictServer(MCPServer[Any]):
    """The SDK's server, whose tools say in their schema that they take nothing else, and hold to it."""

    async def list_tools(self) -> list[Any]:
        tools = await super().list_tools()
        for tool in tools:
            tool.input_schema = {**tool.input_schema, "additionalProperties": False}
        return tools

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None) -> Any:
        """
        Raises:
            ToolError: no such tool, or an argument that it does not have; the message names those that it has.
        """
        known = next(
            (list(t.input_schema.get("properties", {})) for t in await self.list_tools() if t.name == name), None
        )
        strange = [one for one in arguments if known is not None and one not in known]
        if known is not None and strange:
            raise ToolError(_refusal(name, strange[0][:200], known).say())
        return await super().call_tool(name, arguments, context)


def _refusal(tool: str, strange: str, known: list[str]) -> T:
    close = nearest(strange, known)
    meant = (f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else ("", "")
    takes = ", ".join(known)
    return T(
        f"{tool} takes no {strange!r}.{meant[0]} It takes {takes or 'nothing'}.",
        f"{tool} 没有参数 {strange!r}。{meant[1]}它的参数：{takes or '无'}。",
    )
