"""What the gateway does about tools where an engine does it not, or not reliably: a call that must be made is held by a
JSON schema, and an answer's calls are read in whatever dress they come. And errors, in the words that OpenAI's clients know.
"""

from __future__ import annotations

import json
from typing import Any

from zhilu import wire
from zhilu.serving.facts import EngineFacts
from zhilu.wire.toolcalls import calls_schema
from zhilu.wire.toolreplies import ToolReplies

__all__ = ["enforced", "openai_error", "replies_for"]


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


# By an engine's own word for an error, and by HTTP status: OpenAI's code and type.
_KINDS = {"exceed_context_size_error": ("context_length_exceeded", "invalid_request_error")}
_STATUS = {
    400: ("invalid_request", "invalid_request_error"),
    404: ("not_found", "invalid_request_error"),
    429: ("busy", "rate_limit_error"),
    501: ("unsupported", "invalid_request_error"),
    503: ("unavailable", "server_error"),
}


def openai_error(reply: Any, status: int) -> dict[str, Any]:
    """An engine's error with the fields that OpenAI's has: a code that is a word, a type, and a parameter or null."""
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    if not isinstance(error, dict):
        error = {"message": str(error)}
    code, kind = _STATUS.get(status, ("engine_error", "server_error"))
    code, kind = _KINDS.get(str(error.get("type")), (code, str(error.get("type") or kind)))
    said = error.get("code")
    message = error.get("message")
    if not isinstance(message, str):
        message = json.dumps(error, ensure_ascii=False)
    code = said if isinstance(said, str) and not said.isdigit() else code
    return {"error": {**error, "message": message, "type": kind, "param": error.get("param"), "code": code}}
