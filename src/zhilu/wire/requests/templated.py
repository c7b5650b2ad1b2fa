"""What the chat template gets beside the messages; the same for every endpoint that renders one."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator, model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.base import Request

__all__ = ["Effort", "Templated"]

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_OWN_FIELDS = ("messages", "tools", "add_generation_prompt", "continue_final_message")


class Templated(Request):
    """Fields of chats and of ``/tokenize``. ``chat_template_kwargs``: variables that only this model's template knows."""

    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_effort: Effort | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False

    @field_validator("chat_template_kwargs")
    @classmethod
    def _has_no_field_of_its_own(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        taken = next((name for name in given or () if name in _OWN_FIELDS), None)
        if taken:
            raise Refusal(taken, T("is a field of its own", "应作为单独的字段给出"))
        return given

    @model_validator(mode="after")
    def _continues_or_begins(self) -> Templated:
        if self.continue_final_message and self.add_generation_prompt:
            raise Refusal(
                "continue_final_message",
                T("needs add_generation_prompt=false", "需要同时给出 add_generation_prompt=false"),
            )
        return self
