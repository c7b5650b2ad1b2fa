"""How editors ask for a completion: OpenAI's ``/v1/completions`` with ``suffix`` (Continue and others; some write the model's
marks into the prompt themselves), and llama.cpp's ``/infill`` (llama.vscode and llama.vim)."""

from __future__ import annotations

import time
import uuid
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.coder.fill.complete import CodeCompletion
from zhilu.prompts.fill import FILL_MARKS

__all__ = ["FillIn", "InfillExtra", "InfillIn", "completion_body", "infill_body", "parts_of_prompt"]


class FillIn(BaseModel):
    """``/v1/completions``; what editors send beside it (``presence_penalty``, ``logprobs``, …) has no meaning here."""

    model_config = ConfigDict(extra="ignore")
    model: str | None = None
    prompt: str = Field("", max_length=2_000_000)
    suffix: str | None = Field(None, max_length=2_000_000)
    max_tokens: int = Field(128, ge=1, le=1024)
    temperature: float = Field(0.0, ge=0, le=2)
    stop: str | list[str] | None = None
    stream: bool = False


class InfillExtra(BaseModel):
    """A piece of another file that the editor has open."""

    filename: str = ""
    text: str = ""


class InfillIn(BaseModel):
    """``/infill``; fields of llama.cpp's own sampling are left aside."""

    model_config = ConfigDict(extra="ignore")
    model: str | None = None
    input_prefix: str = Field("", max_length=2_000_000)
    input_suffix: str = Field("", max_length=2_000_000)
    input_extra: list[InfillExtra] = Field(default=[], max_length=64)
    prompt: str = ""
    n_predict: int = Field(128, ge=-1, le=1024)
    temperature: float = Field(0.0, ge=0, le=2)
    stop: list[str] = []


def parts_of_prompt(prompt: str, suffix: str | None) -> tuple[str, str]:
    """What stands before and behind the cursor, also of a prompt that has a model's marks in it already."""
    if suffix is None:
        for marks in FILL_MARKS:
            if (found := marks.parts(prompt)) is not None:
                return found
    return prompt, suffix or ""


def completion_body(made: CodeCompletion) -> dict[str, Any]:
    """OpenAI's ``text_completion``, whole, and as the one piece of a stream."""
    choice = {"index": 0, "text": made.text, "finish_reason": "stop", "logprobs": None}
    return {
        "id": f"cmpl-{uuid.uuid4().hex[:24]}", "object": "text_completion", "created": int(time.time()), "model": made.model,
        "choices": [choice],
    }  # fmt: skip


def infill_body(made: CodeCompletion) -> dict[str, Any]:
    """llama.cpp's answer, as far as its editors read it."""
    return {"content": made.text, "stop": True, "model": made.model, "generation_settings": {}, "truncated": False}
