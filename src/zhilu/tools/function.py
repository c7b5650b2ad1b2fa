"""A Python function as a tool: its schema from the annotations, its words from the docstring."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tools.base import Effect, ToolCall, ToolFacts, ToolResult
from zhilu.tools.check import checked

__all__ = ["FunctionTool", "tool_from"]

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Note)s?:\s*$")
_ARGUMENT = re.compile(r"^(\w+)(?:\s*\([^)]*\))?\s*:\s*(.*)$")


class FunctionTool:
    """Calls a function, in a thread where it is no coroutine. What it returns that is no text or ``ToolResult`` is told as JSON."""

    def __init__(self, function: Callable[..., Any], facts: ToolFacts, model: type[BaseModel]) -> None:
        self._function, self._facts, self._model = function, facts, model

    @property
    def facts(self) -> ToolFacts:
        return self._facts

    async def call(self, call: ToolCall) -> ToolResult:
        checked(self._facts, call.arguments)
        try:
            given = self._model.model_validate(call.arguments)
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            raise InputError(
                T(f"The arguments of {call.name} do not fit: {said}.", f"{call.name} 的参数不符合要求：{said}。"),
                code="bad_arguments",
            ) from error
        values = {name: getattr(given, name) for name in self._model.model_fields}
        if inspect.iscoroutinefunction(self._function):
            value = await self._function(**values)
        else:
            value = await asyncio.to_thread(self._function, **values)
        return _result(value)


def tool_from(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    effect: Effect = "read",
    repeatable: bool = False,
    title: T | None = None,
    composes: bool = False,
) -> FunctionTool:
    """A tool that calls ``function``: every parameter needs an annotation; its words stand under ``Args:`` in the docstring.

    Args:
        effect, repeatable, title, composes: see ``ToolFacts``.

    Raises:
        TypeError: a parameter has no annotation, or is a ``*args`` or ``**kwargs``; the function has no docstring.
    """
    description, words = _docstring(function)
    model = _model_of(function, words)
    schema = _plain(model.model_json_schema())
    facts = ToolFacts(name or function.__name__, description, schema, effect, repeatable, title, composes)
    return FunctionTool(function, facts, model)


def _model_of(function: Callable[..., Any], words: dict[str, str]) -> type[BaseModel]:
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.name not in hints:
            raise TypeError(f"{function.__name__}: parameter {parameter.name!r} needs an annotation of its own")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], Field(default, description=words.get(parameter.name)))
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """The text before the first section, and the words of each argument (Google style)."""
    lines = (inspect.getdoc(function) or "").splitlines()
    if not lines:
        raise TypeError(f"{function.__name__}: a tool needs a docstring, which is what the model reads")
    head: list[str] = []
    words: dict[str, str] = {}
    section, current = "", ""
    for line in lines:
        found = _SECTION.match(line)
        if found:
            section = found.group(1)
        elif not section:
            head.append(line)
        elif section in ("Args", "Arguments", "Parameters") and line.strip():
            argument = _ARGUMENT.match(line.strip()) if len(line) - len(line.lstrip()) <= 4 else None
            if argument:
                current = argument.group(1)
                words[current] = argument.group(2)
            elif current:
                words[current] += f" {line.strip()}"
    return " ".join(" ".join(head).split()), words


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without pydantic's titles, which tell a model nothing and cost it tokens."""

    def without(value: Any, *, is_names: bool = False) -> Any:
        if isinstance(value, dict):
            kept = value if is_names else {k: v for k, v in value.items() if not (k == "title" and isinstance(v, str))}
            return {k: without(v, is_names=k in ("properties", "$defs") and not is_names) for k, v in kept.items()}
        return [without(v) for v in value] if isinstance(value, list) else value

    return {"properties": {}, **without(schema)}


def _result(value: Any) -> ToolResult:
    if isinstance(value, ToolResult):
        return value
    if value is None:
        return ToolResult("done")
    if isinstance(value, str):
        return ToolResult(value)
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return ToolResult(json.dumps(value, ensure_ascii=False, default=str), data=value)
