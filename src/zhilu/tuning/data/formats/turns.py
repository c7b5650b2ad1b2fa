"""Conversations: messages of every spelling to OpenAI's shape, and what is wrong with one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from zhilu.tuning.data.formats.base import RowError

__all__ = ["check_order", "reply_of", "said", "tools_of", "turn"]

_ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user", "instruction": "user",
    "assistant": "assistant", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant",
    "function_call": "assistant",
    "tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool",
}  # fmt: skip
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})


def turn(raw: Any, number: int, role_key: str = "role", content_key: str = "content") -> dict[str, Any]:
    """One message in OpenAI's shape: ``role``, ``content`` (text) and, where there are any, ``tool_calls`` and the like.

    Args:
        number: of the message in its row, from 1, for the error.
    """
    if not isinstance(raw, dict):
        raise RowError(
            "bad_message",
            f"message {number} is {type(raw).__name__}, not an object",
            f"第 {number} 条消息是 {type(raw).__name__}，不是对象",
        )
    stated = raw.get(role_key)
    if stated is None:
        raise RowError("missing_role", f"message {number} has no {role_key!r}", f"第 {number} 条消息没有 {role_key!r}")
    role = _ROLES.get(str(stated).lower())
    if role is None:
        known = "system, user, assistant, tool"
        raise RowError(
            "unknown_role",
            f"message {number} has the role {stated!r}; there are {known}",
            f"第 {number} 条消息的角色是 {stated!r}；可用 {known}",
        )
    message: dict[str, Any] = {"role": role}
    calls = raw.get("tool_calls")
    if str(stated).lower() == "function_call":  # ShareGPT with tools: the call is JSON text
        calls, content = _calls_of_text(raw.get(content_key), number), ""
    else:
        content = said(raw.get(content_key), number, content_key)
    message["content"] = content
    if calls:
        message["tool_calls"] = [_call(call, number) for call in calls]
    for key in ("name", "tool_call_id", "reasoning_content"):
        if isinstance(raw.get(key), str):
            message[key] = raw[key]
    return message


def said(value: Any, number: int, key: str = "content") -> str:
    """The text of a content, which may be a list of text parts."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        kinds = [part.get("type") if isinstance(part, dict) else None for part in value]
        strange = next((kind for kind in kinds if kind not in _TEXT_PARTS), "")
        if not strange and strange is not None:
            return "".join(str(part.get("text") or "") for part in value)
        if strange:
            raise RowError(
                "not_text_part",
                f"message {number} has a part of the kind {strange!r}; the model reads text only",
                f"第 {number} 条消息含有 {strange!r} 部分；模型只能读取文本",
            )
    raise RowError(
        "bad_content",
        f"{key!r} of message {number} is {type(value).__name__}, not text",
        f"第 {number} 条消息的 {key!r} 是 {type(value).__name__}，不是文本",
    )


def _call(raw: Any, number: int) -> dict[str, Any]:
    function = raw.get("function", raw) if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowError(
            "bad_tool_call", f"a tool call of message {number} has no name", f"第 {number} 条消息的工具调用没有名称"
        )
    arguments = function.get("arguments", {})
    try:
        parsed = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise RowError(
            "bad_tool_call",
            f"the arguments of a tool call of message {number} are no JSON object",
            f"第 {number} 条消息的工具调用参数不是 JSON 对象",
        )
    text = json.dumps(parsed, ensure_ascii=False)
    return {
        "id": str(raw.get("id") or f"call_{number}"),
        "type": "function",
        "function": {"name": function["name"], "arguments": text},
    }


def _calls_of_text(value: Any, number: int) -> list[Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list) or not found:
        raise RowError(
            "bad_tool_call",
            f"the function call of message {number} is no JSON",
            f"第 {number} 条消息的函数调用不是 JSON",
        )
    return found


def tools_of(row: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The functions on offer, from a list or its JSON text, bare or wrapped in ``{"type": "function"}``."""
    tools = row.get("tools")
    if tools in (None, "", []):
        return ()
    try:
        tools = json.loads(tools) if isinstance(tools, str) else tools
    except ValueError:
        tools = None
    wrapped = [
        t if isinstance(t, dict) and "function" in t else {"type": "function", "function": t} for t in tools or ()
    ]
    if not wrapped or not all(
        isinstance(t["function"], dict) and isinstance(t["function"].get("name"), str) for t in wrapped
    ):
        raise RowError("bad_tools", "'tools' is no list of functions with names", "'tools' 不是带名称的函数列表")
    return tuple(wrapped)


def check_order(
    messages: Sequence[dict[str, Any]], offered: Iterable[dict[str, Any]], *, ends_with_answer: bool = True
) -> None:
    """What holds of every conversation that can be learned.

    Raises:
        RowError: no message; a system message in the middle; a tool's result that nobody asked for; an empty answer or
            question; a call of a function that is not offered; no answer to learn.
    """
    if not messages:
        raise RowError("no_messages", "there is no message", "没有任何消息")
    names = {tool["function"]["name"] for tool in offered}
    for number, message in enumerate(messages, start=1):
        role, calls = message["role"], message.get("tool_calls", ())
        if role == "system" and number > 1:
            raise RowError(
                "role_order",
                f"message {number} is a system message; only the first may be",
                f"第 {number} 条是 system 消息；只有第一条可以是",
            )
        before = messages[number - 2]["role"] if number > 1 else ""
        if role == "tool" and not (
            before == "tool" or (before == "assistant" and messages[number - 2].get("tool_calls"))
        ):
            raise RowError(
                "role_order",
                f"message {number} is a tool's result, and no call stands before it",
                f"第 {number} 条是工具结果，但它前面没有调用",
            )
        if not message["content"].strip() and not calls and role in ("assistant", "user"):
            code, what = (
                ("empty_answer", ("answer", "回答"))
                if role == "assistant"
                else ("empty_question", ("user message", "用户消息"))
            )
            raise RowError(code, f"message {number}, {_an(what[0])}, is empty", f"第 {number} 条消息（{what[1]}）为空")
        strange = [call["function"]["name"] for call in calls if call["function"]["name"] not in names]
        if strange and names:
            raise RowError(
                "unknown_tool",
                f"message {number} calls {strange[0]!r}, which 'tools' does not offer",
                f"第 {number} 条消息调用了 {strange[0]!r}，但 'tools' 中没有它",
            )
    if ends_with_answer and not any(message["role"] == "assistant" for message in messages):
        raise RowError(
            "no_answer", "there is no answer of the assistant: nothing would be learned", "没有助手的回答：什么也学不到"
        )
    if ends_with_answer and messages[-1]["role"] != "assistant":
        raise RowError(
            "no_answer",
            f"the last message is of the {messages[-1]['role']}: an answer to it is missing",
            f"最后一条消息是 {messages[-1]['role']} 的：缺少对它的回答",
        )


def reply_of(value: Any, key: str) -> tuple[dict[str, Any], ...]:
    """An answer of a pair: text, one message, or a list of messages."""
    if isinstance(value, str):
        messages: tuple[dict[str, Any], ...] = ({"role": "assistant", "content": value},)
    else:
        found = value if isinstance(value, list) else [value]
        spelling = (
            ("from", "value") if found and isinstance(found[0], dict) and "from" in found[0] else ("role", "content")
        )
        messages = tuple(turn(raw, number, *spelling) for number, raw in enumerate(found, start=1))
    if not messages or not any(
        m["content"].strip() or m.get("tool_calls") for m in messages if m["role"] == "assistant"
    ):
        raise RowError("empty_answer", f"{key!r} is empty", f"{key!r} 为空")
    return messages


def _an(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"
