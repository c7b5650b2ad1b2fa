"""Which reading a question means. Where its own words leave one, no model is asked; else the model chooses, three times.

The choices are put in another order each time, because a small model likes a place in a list more than it likes an answer. Only
what it chooses twice counts, and "none of these" is always among them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zhilu.apps.docqa.tables.readings import Reading
from zhilu.errors import InputError

if TYPE_CHECKING:
    from zhilu.client import ModelClient

__all__ = ["choose", "is_chinese"]

_TURNS = 3
_NONE = -1


def is_chinese(question: str) -> bool:
    return re.search("[\u4e00-\u9fff]", question) is not None


async def choose(client: ModelClient, model: str, question: str, readings: Sequence[Reading]) -> Reading | None:
    """The reading that is meant, or None.

    Raises:
        ZhiluError: from the model's server.
    """
    if not readings:
        return None
    if len({reading.result()[0] for reading in readings}) == 1:
        return readings[0]
    votes: Counter[int] = Counter()
    order = [*range(len(readings)), _NONE]
    for turn in range(_TURNS):
        shift = turn * len(order) // _TURNS
        shown = order[shift:] + order[:shift]
        votes[await _ask(client, model, question, readings, shown)] += 1
        best, count = votes.most_common(1)[0]
        if count >= 2:
            return readings[best] if best != _NONE else None
    return None


async def _ask(
    client: ModelClient, model: str, question: str, readings: Sequence[Reading], shown: Sequence[int]
) -> int:
    zh = is_chinese(question)
    none = "以上都不是" if zh else "none of these"
    lines = [
        f"{n}. " + (none if index == _NONE else readings[index].said().say("zh" if zh else "en"))
        for n, index in enumerate(shown, start=1)
    ]
    told = (
        f"问题：{question}\n\n这个问题要查的是哪一项？\n" + "\n".join(lines) + "\n只回答序号。"
        if zh
        else f"Question: {question}\n\nWhich of these does it ask for?\n"
        + "\n".join(lines)
        + "\nAnswer with the number alone."
    )
    schema = {
        "type": "object", "properties": {"choice": {"type": "integer", "enum": list(range(1, len(shown) + 1))}},
        "required": ["choice"], "additionalProperties": False,
    }  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "choice", "schema": schema, "strict": True}}
    messages = [{"role": "user", "content": told}]
    try:
        reply = await client.chat(messages, model=model, temperature=0, max_tokens=24, response_format=form)
    except InputError:  # a server that cannot hold a model to a schema
        reply = await client.chat(messages, model=model, temperature=0, max_tokens=24)
    said = str(reply["choices"][0]["message"].get("content") or "")
    number = _number(said)
    return shown[number - 1] if number is not None and 1 <= number <= len(shown) else _NONE


def _number(said: str) -> int | None:
    try:
        return int(json.loads(said)["choice"])
    except (ValueError, KeyError, TypeError):
        found = re.search(r"\d{1,3}", said)
        return int(found[0]) if found else None
