"""For whoever writes a tool or a source: a fake tool, and the rules that every tool must keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from zhilu.errors import ZhiluError
from zhilu.tools.base import EFFECTS, Effect, Tool, ToolCall, ToolFacts, ToolResult
from zhilu.tools.wrappers import Decision, MemoryJournal

__all__ = ["Counter", "FakeTool", "MemoryJournal", "allow", "check_tool", "deny"]

_TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


class FakeTool:
    """Remembers its calls and answers ``answer``, or what it makes of the arguments."""

    def __init__(
        self,
        name: str = "echo",
        effect: Effect = "read",
        answer: str | Callable[[dict[str, Any]], str] = "ok",
        parameters: Mapping[str, Any] = _TEXT,
        repeatable: bool = False,
    ) -> None:
        self._facts = ToolFacts(name, f"The tool {name}.", dict(parameters), effect, repeatable)
        self._answer = answer
        self.calls: list[ToolCall] = []

    @property
    def facts(self) -> ToolFacts:
        return self._facts

    async def call(self, call: ToolCall) -> ToolResult:
        self.calls.append(call)
        return ToolResult(self._answer if isinstance(self._answer, str) else self._answer(call.arguments))


class Counter(FakeTool):
    """Changes the world at each call: what must not happen twice."""

    def __init__(self) -> None:
        super().__init__("count", "write", parameters={"type": "object", "properties": {}})


async def allow(_facts: ToolFacts, _call: ToolCall) -> Decision:
    return Decision(True)


async def deny(_facts: ToolFacts, _call: ToolCall) -> Decision:
    return Decision(False)


async def check_tool(tool: Tool, good: dict[str, Any]) -> ToolResult:
    """Assert what a loop relies on; ``good`` are arguments that the tool takes. Returns what came of them."""
    from zhilu.tools.check import problems_of

    facts = tool.facts
    assert facts.effect in EFFECTS and facts.description.strip(), "a model chooses by the description"
    assert facts.parameters.get("type") == "object" and isinstance(facts.parameters.get("properties"), dict)
    assert json.loads(json.dumps(facts.parameters)) == facts.parameters, "the schema must be JSON"
    assert not problems_of(facts.parameters, good)
    unfit: list[dict[str, Any]] = [{**good, "no_such_argument_": 1}, {n: [{}] for n in facts.parameters["properties"]}]
    for bad in unfit:
        if problems_of(facts.parameters, bad):
            try:
                refused = await tool.call(ToolCall("bad", facts.name, bad))
            except ZhiluError:
                continue
            assert refused.is_error, f"arguments that do not fit must be refused: {bad}"
    result = await tool.call(ToolCall("good", facts.name, good))
    assert isinstance(result.text, str)
    assert json.loads(json.dumps(result.as_json())) == result.as_json(), "a result is JSON: it is kept in the journal"
    return result
