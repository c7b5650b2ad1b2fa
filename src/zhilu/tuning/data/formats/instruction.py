"""One question and one answer a row: Alpaca, and prompt/completion; and plain text for continued pretraining."""

from __future__ import annotations

from typing import Any

from zhilu.messages import T
from zhilu.tuning.data.formats.base import Format, RowError
from zhilu.tuning.data.formats.turns import check_order, reply_of, said, tools_of, turn
from zhilu.tuning.data.records import Example

__all__ = ["ALPACA", "PROMPT_COMPLETION", "TEXT", "asked"]


def asked(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages before an Alpaca row's answer: system, history, then instruction and input, joined as Alpaca joins them."""
    messages = [{"role": "system", "content": said(row["system"], 1, "system")}] if row.get("system") else []
    history = row.get("history") or []
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise RowError(
            "bad_history", "'history' is no list of [question, answer] pairs", "'history' 不是 [问题, 回答] 列表"
        )
    for question, answer in history:
        messages += [{"role": "user", "content": said(question, 1)}, {"role": "assistant", "content": said(answer, 1)}]
    instruction, more = said(row["instruction"], 1, "instruction"), said(row.get("input"), 1, "input")
    question = "\n".join(part for part in (instruction, more) if part.strip())
    return [*messages, {"role": "user", "content": question}]


def _alpaca(row: dict[str, Any], line: int) -> Example:
    messages = [*asked(row), {"role": "assistant", "content": said(row["output"], 1, "output")}]
    check_order(messages, ())
    return Example(line, "chat", tuple(messages))


def _prompt_completion(row: dict[str, Any], line: int) -> Example:
    prompt = row["prompt"]
    if isinstance(prompt, list):
        before = [turn(entry, number) for number, entry in enumerate(prompt, start=1)]
    else:
        before = [{"role": "user", "content": said(prompt, 1, "prompt")}]
    if row.get("system"):
        before.insert(0, {"role": "system", "content": said(row["system"], 1, "system")})
    messages = (*before, *reply_of(row["completion"], "completion"))
    tools = tools_of(row)
    check_order(messages, tools)
    # Only the completion is learned, as in TRL.
    earlier = frozenset(at for at, message in enumerate(before) if message["role"] == "assistant")
    return Example(line, "chat", messages, tools=tools, unlearned=earlier)


def _text(row: dict[str, Any], line: int) -> Example:
    text = said(row["text"], 1, "text")
    if not text.strip():
        raise RowError("empty_text", "'text' is empty", "'text' 为空")
    return Example(line, "text", text=text)


ALPACA = Format(
    "alpaca", T("Alpaca (instruction, input, output)", "Alpaca 格式（instruction、input、output）"), "chat",
    keys=frozenset({"instruction", "input", "output", "system", "history"}),
    required=frozenset({"instruction", "output"}), convert=_alpaca,
)  # fmt: skip
PROMPT_COMPLETION = Format(
    "prompt-completion", T("prompt and completion", "prompt 与 completion"), "chat",
    keys=frozenset({"prompt", "completion", "system", "tools"}),
    required=frozenset({"prompt", "completion"}), convert=_prompt_completion,
)  # fmt: skip
TEXT = Format(
    "text", T("plain text", "纯文本"), "text",
    keys=frozenset({"text"}), required=frozenset({"text"}), convert=_text,
)  # fmt: skip
