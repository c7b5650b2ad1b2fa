"""What the gateway does about tools where an engine does not, or not reliably.

A JSON schema enforces a call that must be made, and tool calls are recognised in whatever form an answer writes them.
"""

from __future__ import annotations

from typing import Any

from zhilu import wire
from zhilu.serving.facts import EngineFacts
from zhilu.wire.toolcalls import calls_schema
from zhilu.wire.toolreplies import ToolReplies

__all__ = ["enforced", "replies_for"]


def enforced(facts: EngineFacts, request: wire.Request) -> dict[str, Any]:
    """What must change in the request so that the engine cannot but call; empty where nothing must, or it holds that itself."""
    forced = getattr(request, "forced_tools", None)
    if not forced or "tool_choice" not in facts.enforced:
        return {}
    tools = [tool.function.model_dump(exclude_none=True) for tool in forced]
    schema = {"name": "tool_call", "schema": calls_schema(tools), "strict": True}
    # "none": the engine shows the tools to the model and leaves the answer's form to the schema.
    return {"tool_choice": "none", "response_format": {"type": "json_schema", "json_schema": schema}}


def replies_for(facts: EngineFacts, request: wire.Request) -> ToolReplies | None:
    """The reading of the answer's calls; None where no call may come."""
    if not getattr(request, "may_call_tools", False):
        return None
    names = [
        tool.function.name for tool in getattr(request, "forced_tools", None) or getattr(request, "tools", None) or ()
    ]
    single = getattr(request, "parallel_tool_calls", None) is False
    return ToolReplies(names, max_calls=1 if single else None, hold="tool_choice" in facts.enforced)
