from __future__ import annotations

import json
from typing import Any

import jinja2
import pytest

from zhilu.prompts import Passage, grounded_messages
from zhilu.training.nano.template import CHAT_TEMPLATE, segments

_CALL = {"type": "function", "function": {"name": "find", "arguments": {"town": "青岩", "limit": 3}}}
_TOOL = {"type": "function", "function": {"name": "find", "description": "查找", "parameters": {"type": "object"}}}
CASES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "plain": ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello!"}], []),
    "grounded": (
        [
            *map(dict, grounded_messages("谁？", [Passage(title="", text="甲。")])),
            {"role": "assistant", "content": "甲 [1]"},
        ],
        [],
    ),
    "tools": (
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "", "tool_calls": [_CALL, _CALL]},
        ],
        [_TOOL, _TOOL],
    ),
    "tool results": (
        [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "Looking.", "tool_calls": [_CALL]},
            {"role": "tool", "content": "one"},
            {"role": "tool", "content": "two"},
            {"role": "assistant", "content": "Done."},
        ],
        [_TOOL],
    ),
}


def _render(messages: list[dict[str, Any]], tools: list[dict[str, Any]], prompt: bool = False) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(CHAT_TEMPLATE).render(messages=messages, tools=tools, add_generation_prompt=prompt)


@pytest.mark.parametrize("name", CASES)
def test_the_template_renders_what_training_saw(name: str) -> None:
    messages, tools = CASES[name]
    rendered = "".join(text for text, _ in segments(messages, tools))
    assert _render(messages, tools).rstrip("\n") == rendered.rstrip("\n")


@pytest.mark.parametrize("name", CASES)
def test_only_what_the_assistant_writes_is_learned(name: str) -> None:
    messages, tools = CASES[name]
    learned = [text for text, is_learned in segments(messages, tools) if is_learned]
    assert len(learned) == sum(m["role"] == "assistant" for m in messages)
    assert all(text.endswith("<|im_end|>") and "<|im_start|>" not in text for text in learned)
    before = "".join(text for text, _ in segments(messages, tools)).rsplit(learned[-1], 1)[0]
    assert before == _render(messages[:-1], tools, prompt=True)
