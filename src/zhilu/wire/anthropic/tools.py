"""Which of a request's tools are offered, and how a chat completion has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from zhilu.wire.anthropic.blocks import ResultBlock, ToolChangeBlock, ToolReferenceBlock
from zhilu.wire.anthropic.request import MessagesRequest, OfferedTool

__all__ = ["function_of", "offered_tools"]


def offered_tools(request: MessagesRequest) -> list[tuple[int, OfferedTool]]:
    """The tools with their places. One that is to be loaded later is offered once a result or a system message has named it; what a
    system message has withdrawn is not."""
    changed = dict(_changes(request))
    tools = enumerate(request.tools or ())
    return [(number, tool) for number, tool in tools if changed.get(tool.name, not tool.defer_loading)]


def _changes(request: MessagesRequest) -> Iterator[tuple[str, bool]]:
    """Names of tools, and whether they are offered from there on."""
    for turn in request.messages:
        for block in () if isinstance(turn.content, str) else turn.content:
            if isinstance(block, ToolChangeBlock):
                yield block.tool.name, block.type == "tool_addition"
            elif isinstance(block, ResultBlock) and isinstance(block.content, list):
                yield from ((told.tool_name, True) for told in block.content if isinstance(told, ToolReferenceBlock))


def function_of(tool: OfferedTool) -> dict[str, Any]:
    """As chat completions take it; its examples are told to the model with its description."""
    described = tool.description
    if tool.input_examples:
        examples = "\n".join(json.dumps(example, ensure_ascii=False) for example in tool.input_examples)
        described = f"{described or ''}\n\nExamples of its input:\n{examples}".strip()
    function = {"name": tool.name, "description": described, "parameters": tool.input_schema, "strict": tool.strict}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}
