"""Answers that were judged: pairs of a better and a worse one (DPO, reward models), or single ones with a label (KTO)."""

from __future__ import annotations

from typing import Any

from zhilu.messages import T
from zhilu.tuning.data.formats.base import Format, RowError
from zhilu.tuning.data.formats.instruction import asked
from zhilu.tuning.data.formats.turns import check_order, reply_of, said, tools_of, turn
from zhilu.tuning.data.records import Example

__all__ = ["PREFERENCE", "UNPAIRED"]

_YES = {"true": True, "1": True, "good": True, "false": False, "0": False, "bad": False}


def _preference(row: dict[str, Any], line: int) -> Example:
    chosen, rejected = reply_of(row["chosen"], "chosen"), reply_of(row["rejected"], "rejected")
    before = _before(row)
    if before is None:  # the prompt is what both conversations begin with, as in TRL
        shared = _shared(chosen, rejected)
        before, chosen, rejected = list(chosen[:shared]), chosen[shared:], rejected[shared:]
        if not before:
            raise RowError(
                "no_prompt",
                "there is no 'prompt', and both answers begin differently",
                "没有 'prompt'，且两个回答从头就不同",
            )
    if chosen == rejected:
        raise RowError(
            "same_answers",
            "'chosen' and 'rejected' are the same: there is nothing to prefer",
            "'chosen' 与 'rejected' 相同：没有可比较的偏好",
        )
    tools = tools_of(row)
    check_order([*before, *chosen], tools)
    return Example(line, "preference", tuple(before), chosen, rejected, tools=tools)


def _before(row: dict[str, Any]) -> list[dict[str, Any]] | None:
    if "instruction" in row:
        return asked(row)
    if isinstance(row.get("conversations"), list):
        messages = [turn(entry, number, "from", "value") for number, entry in enumerate(row["conversations"], start=1)]
    elif isinstance(row.get("prompt"), list):
        messages = [turn(entry, number) for number, entry in enumerate(row["prompt"], start=1)]
    elif "prompt" in row:
        messages = [{"role": "user", "content": said(row["prompt"], 1, "prompt")}]
    else:
        return None
    if row.get("system"):
        messages.insert(0, {"role": "system", "content": said(row["system"], 1, "system")})
    return messages


def _shared(chosen: tuple[dict[str, Any], ...], rejected: tuple[dict[str, Any], ...]) -> int:
    count = 0
    for one, other in zip(chosen[:-1], rejected[:-1], strict=False):
        if one != other:
            break
        count += 1
    return count


def _unpaired(row: dict[str, Any], line: int) -> Example:
    stated = row["label"]
    label = stated if isinstance(stated, bool) else _YES.get(str(stated).strip().lower())
    if label is None:
        raise RowError(
            "bad_label",
            f"'label' is {stated!r}; it says whether the answer is good: true or false",
            f"'label' 是 {stated!r}；它表示回答好不好：true 或 false",
        )
    answer, before = reply_of(row["completion"], "completion"), _before(row) or []
    messages = (*before, *answer)
    check_order(messages, ())
    return Example(line, "unpaired", messages, label=label, unlearned=frozenset(range(len(before))))


PREFERENCE = Format(
    "preference", T("preference pairs", "偏好对"), "preference",
    keys=frozenset({"prompt", "chosen", "rejected", "system", "tools", "instruction", "input", "history", "conversations"}),
    required=frozenset({"chosen", "rejected"}), convert=_preference,
)  # fmt: skip
UNPAIRED = Format(
    "unpaired", T("judged answers (KTO)", "带标签的回答（KTO）"), "unpaired",
    keys=frozenset({"prompt", "completion", "label", "system"}),
    required=frozenset({"prompt", "completion", "label"}), convert=_unpaired,
)  # fmt: skip
