"""The chat format: Qwen's ChatML with Hermes tool calls.

It exists twice: as a Jinja template, which engines run, and as segments, which training masks. ``tests/unit/training/nano``
compares the two character by character.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zhilu.training.nano.tokenizer import IM_END, IM_START

__all__ = ["CHAT_TEMPLATE", "segments"]

_TOOLS_HEAD = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
_TOOLS_TAIL = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)

CHAT_TEMPLATE = (
    "{%- if tools %}{{- '<|im_start|>system\\n' }}"
    "{%- if messages and messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}"
    "{{- " + json.dumps(_TOOLS_HEAD) + " }}"
    "{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}"
    "{{- " + json.dumps(_TOOLS_TAIL) + " + '<|im_end|>\\n' }}"
    "{%- elif messages and messages[0].role == 'system' %}"
    "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}{{- message.content or '' }}"
    "{%- if message.tool_calls %}{%- for tool_call in message.tool_calls %}"
    "{%- if (loop.first and message.content) or not loop.first %}{{- '\\n' }}{%- endif %}"
    "{%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}"
    '{{- \'<tool_call>\\n{"name": "\' + tool_call.name + \'", "arguments": \' }}'
    "{%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}"
    "{{- '}\\n</tool_call>' }}{%- endfor %}{%- endif %}{{- '<|im_end|>\\n' }}"
    "{%- elif message.role == 'tool' %}"
    "{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{- '<|im_start|>user' }}{%- endif %}"
    "{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}"
    "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{- '<|im_end|>\\n' }}{%- endif %}"
    "{%- elif not (loop.first and message.role == 'system') %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def segments(messages: Sequence[Any], tools: Sequence[dict[str, Any]] = ()) -> list[tuple[str, bool]]:
    """The rendered conversation as ``(text, learned)`` parts: learned is what the assistant writes, its end mark included.

    An assistant's turn with ``"learned": False`` is history: shown, not learned.
    """
    parts: list[tuple[str, bool]] = []
    pending = ""
    for number, message in enumerate(messages):
        role, content = message["role"], message.get("content") or ""
        if number == 0 and tools:
            listing = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in tools)
            head = f"{content}\n\n" if role == "system" else ""
            pending += f"{IM_START}system\n{head}{_TOOLS_HEAD}{listing}{_TOOLS_TAIL}{IM_END}\n"
            if role == "system":
                continue
        if role == "assistant":
            calls = [
                f'<tool_call>\n{{"name": "{call["function"]["name"]}", "arguments": {_arguments(call)}}}\n</tool_call>'
                for call in message.get("tool_calls") or ()
            ]
            reply = "\n".join([content] * bool(content) + calls) + IM_END
            if not message.get("learned", True):
                pending += f"{IM_START}assistant\n{reply}\n"
                continue
            parts.append((f"{pending}{IM_START}assistant\n", False))
            parts.append((reply, True))
            pending = "\n"
        elif role == "tool":
            first = number == 0 or messages[number - 1]["role"] != "tool"
            last = number + 1 == len(messages) or messages[number + 1]["role"] != "tool"
            pending += (
                f"{IM_START}user" * first + f"\n<tool_response>\n{content}\n</tool_response>" + f"{IM_END}\n" * last
            )
        else:
            pending += f"{IM_START}{role}\n{content}{IM_END}\n"
    return [*parts, (pending, False)] if pending else parts


def _arguments(call: dict[str, Any]) -> str:
    given = call["function"]["arguments"]
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
