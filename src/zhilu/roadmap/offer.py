"""Gates as tools of the MCP server: which there are, what came of each the last time, what to do about it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zhilu.errors import NotFoundError
from zhilu.messages import T

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from zhilu.context import Context

__all__ = ["offer"]


def offer(server: MCPServer[Any], context: Context) -> None:
    """Add the tools. They read the evidence that is stored; running a gate is a person's to start (``zhilu check``)."""
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp_types import ToolAnnotations

    from zhilu.roadmap.evidence import EvidenceStore
    from zhilu.roadmap.state import roadmap_state

    async def list_gates() -> list[dict[str, Any]]:
        """The tasks of the roadmap with the latest verdict of each gate: passed, failed, not_yet, cannot_run_here or unchecked."""
        state = await asyncio.to_thread(roadmap_state, context)
        return [
            {"task": task["id"], "title": task["title"], "status": task["status"], "checked_at": task["checked_at"]}
            for stage in state["stages"]
            for task in stage["tasks"]
        ]

    async def gate_result(task: str) -> dict[str, Any]:
        """What came of the gate of a task (such as 4.1) the last time: verdict, reason, figures, the command that mends it."""
        found = await asyncio.to_thread(EvidenceStore(context.home).latest, task)
        if found is None:
            error = NotFoundError(
                T(f"The gate of {task!r} has not been run here.", f"{task!r} 的关卡还没有运行过。"),
                fix=f"zhilu check {task}",
            )
            raise ToolError(f"{error.message.say()} {error.fix}")
        return found.data()

    for tool in (list_gates, gate_result):
        server.add_tool(tool, annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
