"""A model's turn over the wire, plain or with help. What help is, and what it is worth, is measured by gate 5.2.

Plain is what every client gets: the tools in the request, the calls in the answer. Helped, the tools stand in the prompt, and the
answer is held by a JSON schema to the names and arguments of what is offered, or to an answer; any server that has
``response_format`` can be asked so.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zhilu.agents.choose import Chooser
from zhilu.agents.loop import AskModel, Said
from zhilu.client import ModelClient
from zhilu.errors import UnsupportedError
from zhilu.prompts import agent_messages, doubt_message, language_of
from zhilu.tools.base import Tool, as_openai
from zhilu.tools.schema import shape_of
from zhilu.wire.toolcalls import calls_in

__all__ = ["Asker", "first_choice", "num_tokens", "turn_schema"]

_MOST_CALLS = 6
_THOUGHT = 240  # characters
_OURS = ("thought", "plan", "is_error", "unfounded")  # what a message of the loop has beside OpenAI's


class Asker:
    """Asks one model.

    Args:
        help: hold the answer to what is offered (see above). Otherwise the request is plain.
        offered: how many tools are shown at once; where there are more, those that fit the task are chosen.
        params: of the request, such as ``temperature``.
    """

    def __init__(
        self,
        client: ModelClient,
        model: str,
        tools: Mapping[str, Tool],
        *,
        help: bool = True,
        offered: int = 12,
        max_tokens: int = 700,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self._client, self._model, self._tools = client, model, dict(tools)
        self._help = help
        self._chooser = Chooser(list(self._tools.values()), offered)
        self._params: dict[str, Any] = {"temperature": 0.0, "max_tokens": max_tokens, **(params or {})}

    def offered(self, messages: Sequence[Mapping[str, Any]]) -> list[Tool]:
        """The tools that a turn shows."""
        return self._chooser.choose(messages)

    async def take_turn(self, asked: AskModel) -> Said:
        """
        Raises:
            ZhiluError: from the model's server.
        """
        started = time.monotonic()
        tools = self.offered(asked.messages)
        if self._help:
            try:
                said = await self._helped(asked.messages, tools)
            except UnsupportedError:  # a server without response_format: from now on as everybody asks it
                self._help = False
                said = await self._plain(asked.messages, tools)
        else:
            said = await self._plain(asked.messages, tools)
        return replace(said, seconds=round(time.monotonic() - started, 3))

    async def _plain(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool]) -> Said:
        sent = [{key: value for key, value in m.items() if key not in _OURS} for m in messages]
        if doubt := messages[-1].get("unfounded"):
            sent.append({"role": "user", "content": doubt_message(doubt, language_of(str(messages[-1]["content"])))})
        offered: dict[str, Any] = {"tools": as_openai(tools)} if tools else {}
        reply = await self._client.chat(sent, model=self._model, **offered, **self._params)
        message, reason = first_choice(reply)
        calls = [(c["function"]["name"], _read(c["function"]["arguments"])) for c in message.get("tool_calls") or ()]
        text = str(message.get("content") or "")
        raw = (
            text
            if not calls
            else json.dumps({"content": text, "tool_calls": message["tool_calls"]}, ensure_ascii=False)
        )
        return Said(text, calls, "", num_tokens(reply), is_cut=reason == "length", prompt=sent, raw=raw)

    async def _helped(self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Tool]) -> Said:
        task = next((str(m["content"]) for m in reversed(messages) if m["role"] == "user"), "")
        functions = [tool["function"] for tool in as_openai(tools)]
        sent = agent_messages(messages, functions, language_of(task))
        schema = {"name": "turn", "schema": turn_schema(functions), "strict": True}
        reply = await self._client.chat(
            sent,
            model=self._model,
            response_format={"type": "json_schema", "json_schema": schema},
            **self._params,
        )
        message, reason = first_choice(reply)
        raw = str(message.get("content") or "")
        return _understood(raw, [f["name"] for f in functions], num_tokens(reply), reason == "length", sent)


def turn_schema(functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a turn may be: a thought and calls of the offered functions, or a thought and an answer."""
    thought = {"type": "string", "maxLength": _THOUGHT}
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": f["name"]}, "arguments": _arguments_shape(f)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for f in functions
    ]
    answer = _object(thought=thought, answer={"type": "string"})
    if not calls:
        return answer
    one = calls[0] if len(calls) == 1 else {"anyOf": calls}
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": _MOST_CALLS}
    return {"anyOf": [_object(thought=thought, calls=several), answer]}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _arguments_shape(function: Mapping[str, Any]) -> dict[str, Any]:
    shape = shape_of(function.get("parameters") or {})
    return shape if shape.get("properties") is not None else {"type": "object"}


def _understood(raw: str, names: Sequence[str], tokens: int, is_cut: bool, prompt: list[dict[str, Any]]) -> Said:
    """A turn as it was asked for; a call in another dress is a call, and words are an answer (a server may not hold schemas)."""
    try:
        value = json.loads(raw)
    except ValueError:
        value = None
    if isinstance(value, dict) and isinstance(value.get("calls"), list):
        calls = [(str(c.get("name")), c.get("arguments")) for c in value["calls"] if isinstance(c, dict)]
        return Said("", calls, str(value.get("thought") or ""), tokens, is_cut, prompt=prompt, raw=raw)
    if isinstance(value, dict) and "answer" in value:
        answer = value["answer"]
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return Said(text, [], str(value.get("thought") or ""), tokens, is_cut=is_cut, prompt=prompt, raw=raw)
    found = calls_in(raw, names)
    if found:
        return Said("", [(c.name, _read(c.arguments)) for c in found], "", tokens, prompt=prompt, raw=raw)
    return Said(raw, [], "", tokens, is_cut=is_cut, prompt=prompt, raw=raw)


def first_choice(reply: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    choice = (reply.get("choices") or [{}])[0]
    return choice.get("message") or {}, choice.get("finish_reason")


def num_tokens(reply: Mapping[str, Any]) -> int:
    return int((reply.get("usage") or {}).get("total_tokens") or 0)


def _read(arguments: Any) -> Any:
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments  # the loop tells the model that this is no object
