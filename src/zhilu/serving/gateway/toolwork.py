"""How an answer is read on its way to the client: thoughts are told apart first, then the calls in what is left.

Also what the gateway does about tools if an engine does not, or not reliably: a JSON schema enforces a call that must be made,
and tool calls are recognised in whatever form an answer writes them.
"""

from __future__ import annotations

from typing import Any, Protocol

from zhilu import wire
from zhilu.serving.facts import EngineFacts
from zhilu.serving.served import Served
from zhilu.wire.thoughts import ThoughtReplies
from zhilu.wire.toolcalls import calls_schema
from zhilu.wire.toolreplies import ToolReplies

__all__ = ["Reading", "enforced", "reading_for", "replies_for"]


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


class _Stage(Protocol):
    def whole(self, reply: dict[str, Any]) -> dict[str, Any]: ...

    def chunk(self, chunk: dict[str, Any]) -> list[dict[str, Any]]: ...


class Reading:
    """Stages, one after the other; ``whole`` for a reply, ``chunk`` for each chunk of a stream."""

    def __init__(self, stages: list[_Stage]) -> None:
        self._stages = stages

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        for stage in self._stages:
            reply = stage.whole(reply)
        return reply

    def chunk(self, chunk: dict[str, Any]) -> list[dict[str, Any]]:
        chunks = [chunk]
        for stage in self._stages:
            chunks = [told for one in chunks for told in stage.chunk(one)]
        return chunks


def reading_for(served: Served, request: wire.Request) -> Reading | None:
    """None where the answer can pass as it comes: most models neither think nor were offered tools."""
    stages: list[_Stage] = []
    if (thoughts := _thoughts_for(served, request)) is not None:
        stages.append(thoughts)
    if (tools := replies_for(served.facts, request)) is not None:
        stages.append(tools)
    return Reading(stages) if stages else None


def _thoughts_for(served: Served, request: wire.Request) -> ThoughtReplies | None:
    if not isinstance(request, wire.ChatRequest):
        return None
    if served.thinking is None:  # of a model that lives elsewhere nobody knows
        return ThoughtReplies() if served.model.path is None else None
    wish = (request.chat_template_kwargs or {}).get("enable_thinking")
    is_off = served.thinking.kind == "switch" and (wish is False or request.reasoning_effort == "none")
    goes_on = bool(getattr(request, "continue_final_message", False))
    return ThoughtReplies(served.thinking.opens and not (served.facts.tells_thoughts or is_off or goes_on))
