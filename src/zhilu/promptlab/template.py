"""One version of a prompt: what it says, with places for variables, examples that go before, and how long the answer may be.

A variable is written ``{{name}}``. Single braces are left alone, so that a prompt may show JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.prompts import Message

__all__ = ["Name", "PromptTemplate", "Shot", "fingerprint", "render", "variables"]

_PLACE = re.compile(r"\{\{\s*([^\W\d]\w{0,39})\s*\}\}")

# Of a template or a set: also the name of a file.
Name = Annotated[str, StringConstraints(pattern=r"^[^\W_][\w-]{0,63}$")]


class Shot(BaseModel):
    """One shot: the values of the variables, and the answer that one wants to see."""

    model_config = ConfigDict(extra="forbid")
    vars: dict[str, str] = Field(max_length=40)
    answer: str = Field(max_length=20_000)


class PromptTemplate(BaseModel):
    """``user`` is filled for the question and for each of ``examples``; ``note`` says what one wanted to try."""

    model_config = ConfigDict(extra="forbid")
    user: str = Field(min_length=1, max_length=50_000)
    system: str = Field("", max_length=50_000)
    examples: list[Shot] = Field(default_factory=list, max_length=50)
    temperature: float = Field(0.0, ge=0, le=2)
    max_tokens: int = Field(128, ge=1, le=8192)
    note: str = Field("", max_length=2000)


def variables(template: PromptTemplate) -> list[str]:
    """The names of the variables, in the order in which they come."""
    return list(dict.fromkeys(_PLACE.findall(f"{template.system}\n{template.user}")))


def render(template: PromptTemplate, values: Mapping[str, str]) -> list[Message]:
    """The messages that go to the model.

    Raises:
        InputError: a variable has no value, in the question or in an example.
    """
    messages: list[Message] = []
    if template.system.strip():
        messages.append({"role": "system", "content": _fill(template.system, values)})
    for example in template.examples:
        messages.append({"role": "user", "content": _fill(template.user, example.vars)})
        messages.append({"role": "assistant", "content": example.answer})
    messages.append({"role": "user", "content": _fill(template.user, values)})
    return messages


def fingerprint(template: PromptTemplate) -> str:
    """SHA-256 of what the model is told; the note is for people."""
    told = template.model_dump(exclude={"note"})
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _fill(text: str, values: Mapping[str, str]) -> str:
    missing = [name for name in dict.fromkeys(_PLACE.findall(text)) if name not in values]
    if missing:
        wanted, given = ", ".join(missing), ", ".join(values) or "–"
        raise InputError(
            T(f"No value for {wanted} (given: {given}).", f"变量 {wanted} 没有值（给出的有：{given}）。"),
            param="vars",
            code="missing_variable",
        )
    # One pass: a value that itself holds {{…}} is a text and stays one.
    return _PLACE.sub(lambda place: values[place.group(1)], text)
