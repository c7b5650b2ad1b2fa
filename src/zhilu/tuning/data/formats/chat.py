"""Conversations: ``messages`` (OpenAI, TRL) and ``conversations`` (ShareGPT, as LLaMA-Factory and Unsloth read it)."""

from __future__ import annotations

from typing import Any

from zhilu.messages import T
from zhilu.tuning.data.formats.base import Format, RowError
from zhilu.tuning.data.formats.turns import check_order, tools_of, turn
from zhilu.tuning.data.records import Example

__all__ = ["CHAT", "SHAREGPT"]


def _chat(row: dict[str, Any], line: int) -> Example:
    return _conversation(row, line, "messages", "role", "content")


def _sharegpt(row: dict[str, Any], line: int) -> Example:
    turns = row["conversations"]
    if isinstance(turns, list) and turns and isinstance(turns[0], dict) and "role" in turns[0]:
        return _conversation(row, line, "conversations", "role", "content")
    return _conversation(row, line, "conversations", "from", "value")


def _conversation(row: dict[str, Any], line: int, key: str, role: str, content: str) -> Example:
    raw = row[key]
    if not isinstance(raw, list):
        raise RowError(
            "bad_message", f"{key!r} is {type(raw).__name__}, not a list", f"{key!r} 是 {type(raw).__name__}，不是列表"
        )
    messages = [turn(entry, number, role, content) for number, entry in enumerate(raw, start=1)]
    unlearned = frozenset(
        at for at, entry in enumerate(raw) if messages[at]["role"] == "assistant" and entry.get("weight") == 0
    )
    if row.get("system"):
        messages.insert(0, {"role": "system", "content": str(row["system"])})
        unlearned = frozenset(at + 1 for at in unlearned)
    tools = tools_of(row)
    check_order(messages, tools)
    answers = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    if unlearned.issuperset(answers):
        raise RowError(
            "all_masked",
            "every answer has weight 0: nothing would be learned",
            "所有回答的 weight 都是 0：什么也学不到",
        )
    return Example(line, "chat", tuple(messages), tools=tools, unlearned=unlearned)


CHAT = Format(
    "chat", T("chat messages (OpenAI)", "对话消息（OpenAI）"), "chat",
    keys=frozenset({"messages", "tools", "system", "parallel_tool_calls"}), required=frozenset({"messages"}), convert=_chat,
)  # fmt: skip
SHAREGPT = Format(
    "sharegpt", T("ShareGPT conversations", "ShareGPT 对话"), "chat",
    keys=frozenset({"conversations", "tools", "system"}), required=frozenset({"conversations"}), convert=_sharegpt,
)  # fmt: skip
