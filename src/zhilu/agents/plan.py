"""A task by plan: first which tools in which order, then the arguments of one call at a time, then whether it is done.

What a model of 1.5 B parameters gets wrong when it is asked turn by turn is always the same: it fills in what it cannot know yet,
and then copies its own last turn for ever. Here the name of the next call comes from the plan and its arguments are held to that
tool's schema, with the results before it at hand. The plan is a turn of its own in the trace, so it is read, kept and gone on
with like any other.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zhilu.agents.ask import Asker, first_choice, num_tokens
from zhilu.agents.intent import only_asks
from zhilu.agents.loop import AskModel, Said, sources_of
from zhilu.client import ModelClient
from zhilu.errors import UnsupportedError
from zhilu.messages import Lang
from zhilu.prompts import StepDone, arguments_messages, ending_messages, language_of, plan_messages
from zhilu.text.numbers import unfounded
from zhilu.tools.base import Tool, as_openai
from zhilu.tools.schema import LATER, shape_of

__all__ = ["Planner", "Standing"]

_MOST_STEPS = 8
_AIM = 100  # characters
_PLANS = 3  # the first one, and two more for what it did not foresee
_TRIES = 2  # of one step
_LOOSER = 0.7  # temperature of a second try
_WORD = re.compile(r"\w")  # an answer without a word is none: a model that is held to JSON may write a brace


@dataclass(frozen=True)
class Standing:
    """How far a run is, read from its messages: all that a turn needs, so that a run goes on after a kill.

    ``opening``: role, earlier talk and task; ``plan``: the newest, as (tool, aim); ``at``: its next step; ``tries``: how often that
    failed already; ``plans``: how many there were; ``doubt``: numbers of an answer that is to be given again."""

    opening: list[dict[str, Any]]
    done: list[StepDone]
    plan: list[tuple[str, str]]
    at: int
    tries: int
    plans: int
    doubt: list[str]

    @classmethod
    def of(cls, messages: Sequence[Mapping[str, Any]]) -> Standing:
        task = max((i for i, m in enumerate(messages) if m["role"] == "user"), default=0)
        opening = [{"role": m["role"], "content": str(m.get("content") or "")} for m in messages[: task + 1]]
        done: list[StepDone] = []
        plan: list[tuple[str, str]] = []
        at = tries = plans = 0
        asked: dict[str, Any] = {}
        for message in messages[task + 1 :]:
            if message.get("plan"):
                plan, at, tries, plans = [(str(s["tool"]), str(s["aim"])) for s in message["plan"]], 0, 0, plans + 1
            for call in message.get("tool_calls") or ():
                asked[call["id"]] = call["function"]["arguments"]
            if message["role"] != "tool":
                continue
            is_error = bool(message.get("is_error"))
            arguments = _read(asked.get(str(message.get("tool_call_id"))))
            done.append(StepDone(str(message.get("name")), arguments, str(message.get("content") or ""), is_error))
            if not is_error:
                at, tries = at + 1, 0
            elif tries + 1 < _TRIES:
                tries += 1
            else:  # what comes after would rest on what is not there: a new plan is needed
                at, tries = len(plan), 0
        return cls(opening, done, plan, at, tries, plans, list(messages[-1].get("unfounded") or ()))


class Planner:
    """Asks one model; a server that cannot hold an answer to a schema is asked as everybody asks it (``Asker``)."""

    def __init__(
        self, client: ModelClient, model: str, tools: Mapping[str, Tool], *, params: Mapping[str, Any] | None = None
    ) -> None:
        self._client, self._model, self._tools = client, model, dict(tools)
        self._params: dict[str, Any] = {"temperature": 0.0, "max_tokens": 700, **(params or {})}
        self._asker = Asker(client, model, tools, help=False, params=params)
        self._plain = not tools

    async def take_turn(self, asked: AskModel) -> Said:
        """
        Raises:
            ZhiluError: from the model's server.
        """
        started = time.monotonic()
        if not self._plain:
            try:
                said = await self._turn(asked.messages)
                return replace(said, seconds=round(time.monotonic() - started, 3))
            except UnsupportedError:
                self._plain = True
        return await self._asker.take_turn(asked)

    async def _turn(self, messages: Sequence[Mapping[str, Any]]) -> Said:
        now = Standing.of(messages)
        lang = language_of(now.opening[-1]["content"])
        if now.plans and now.at < len(now.plan):
            name, aim = now.plan[now.at]
            if name in self._tools:
                return await self._arguments(now, name, aim, lang, sources_of(messages))
        functions = [_function(tool, lang) for tool in self._asker.offered(messages)]
        if not now.plans and not now.done and not now.doubt:
            said = await self._ask(plan_messages(now.opening, functions, lang), _plan_or_answer(functions))
            return replace(said, plan=self._reading(said.plan)) if only_asks(now.opening[-1]["content"]) else said
        may_go_on = now.plans < _PLANS
        sent = ending_messages(now.opening, functions, now.done, lang, may_go_on=may_go_on, doubt=now.doubt)
        said = await self._ask(sent, _plan_or_answer(functions) if may_go_on else _ANSWER)
        if said.plan or _WORD.search(said.text) or said.is_cut:
            return said
        sent = ending_messages(now.opening, functions, now.done, lang, may_go_on=False)
        again = await self._ask(sent, _ANSWER, temperature=_LOOSER, seed=1)
        last = next((step.result for step in reversed(now.done) if not step.is_error), "")
        return replace(again, text=again.text if _WORD.search(again.text) else last, tokens=said.tokens + again.tokens)

    async def _arguments(self, now: Standing, name: str, aim: str, lang: Lang, sources: Sequence[str]) -> Said:
        function = _function(self._tools[name], lang)
        if all(step.name != name or step.is_error for step in now.done):
            function = {**function, "parameters": _at_first(function.get("parameters") or {})}
        shape = shape_of(function.get("parameters") or {})
        form = shape if shape.get("properties") is not None else {"type": "object"}
        # The same words again would be the same failure again.
        otherwise = {"temperature": _LOOSER, "seed": now.tries} if now.tries else {}
        said = await self._ask(arguments_messages(now.opening, function, aim, now.done, lang), form, **otherwise)
        # A number that was copied wrong, or made up, is worse in a file than in an answer. Programs have numbers of their own.
        if self._tools[name].facts.effect != "run" and (doubt := unfounded(said.raw, sources, is_argument=True)):
            sent = arguments_messages(now.opening, function, aim, now.done, lang, doubt)
            again = await self._ask(sent, form, **otherwise)
            if len(unfounded(again.raw, sources, is_argument=True)) < len(doubt):
                said = replace(again, tokens=said.tokens + again.tokens)
        return replace(said, text="", thought=aim, calls=[(name, _read(said.raw))])

    async def _ask(self, sent: list[dict[str, Any]], schema: Mapping[str, Any], **params: Any) -> Said:
        form = {"type": "json_schema", "json_schema": {"name": "turn", "schema": schema, "strict": True}}
        reply = await self._client.chat(sent, model=self._model, response_format=form, **{**self._params, **params})
        message, reason = first_choice(reply)
        raw = str(message.get("content") or "")
        said = Said(raw, [], "", num_tokens(reply), is_cut=reason == "length", prompt=sent, raw=raw)
        value = _read(raw)
        if isinstance(value, dict) and isinstance(value.get("plan"), list):
            return replace(said, text="", plan=self._joined([s for s in value["plan"] if _is_step(s)]))
        if isinstance(value, dict) and isinstance(value.get("answer"), str):
            return replace(said, text=value["answer"].strip())
        return said

    def _reading(self, plan: list[dict[str, str]]) -> list[dict[str, str]]:
        """Without steps that change something, unless nothing else is left."""
        kept = [
            s for s in plan if s["tool"] not in self._tools or self._tools[s["tool"]].facts.effect in ("read", "send")
        ]
        return kept or plan

    def _joined(self, plan: list[dict[str, str]]) -> list[dict[str, str]]:
        """Steps of one tool that ``composes`` as one: a small model writes the whole calculation into the first of three, and then
        works on with its result."""
        kept: list[dict[str, str]] = []
        for step in plan:
            tool = self._tools.get(step["tool"])
            if kept and tool is not None and tool.facts.composes and kept[-1]["tool"] == step["tool"]:
                kept[-1] = {**step, "aim": f"{kept[-1]['aim']}; {step['aim']}"}
            else:
                kept.append(step)
        return kept


def _is_step(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("tool"), str) and isinstance(value.get("aim"), str)


def _function(tool: Tool, lang: Lang) -> dict[str, Any]:
    """As OpenAI has it, with the title in the language of the task."""
    title = tool.facts.title
    return {**as_openai([tool])[0]["function"], **({"title": title.say(lang)} if title else {})}


def _at_first(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only a later call of the same tool needs (``LATER``): a small model fills in whatever it is shown."""
    shown = {
        n: s for n, s in (parameters.get("properties") or {}).items() if not (isinstance(s, Mapping) and s.get(LATER))
    }
    return {**parameters, "properties": shown}


_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def _plan_or_answer(functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    step = {
        "type": "object",
        "properties": {
            "tool": {"enum": [f["name"] for f in functions]},
            "aim": {"type": "string", "minLength": 1, "maxLength": _AIM},
        },
        "required": ["tool", "aim"],
        "additionalProperties": False,
    }
    plan = {
        "type": "object",
        "properties": {"plan": {"type": "array", "items": step, "minItems": 1, "maxItems": _MOST_STEPS}},
        "required": ["plan"],
        "additionalProperties": False,
    }
    return {"anyOf": [plan, _ANSWER]}


def _read(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text
