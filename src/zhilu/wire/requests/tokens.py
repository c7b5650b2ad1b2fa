"""vLLM's ``/tokenize`` and ``/detokenize``."""

from __future__ import annotations

from pydantic import model_validator

from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.requests.base import Request
from zhilu.wire.requests.chat import Tool
from zhilu.wire.requests.content import Message
from zhilu.wire.requests.templated import Templated

__all__ = ["DetokenizeRequest", "TokenizeRequest"]


class TokenizeRequest(Templated):
    """vLLM's ``POST /tokenize``: either a ``prompt`` or chat ``messages``."""

    prompt: str | None = None
    messages: list[Message] | None = None
    tools: list[Tool] | None = None
    add_special_tokens: bool | None = None  # as with generation: yes for a prompt, no for what a template has written
    return_token_strs: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeRequest:
        if (self.prompt is None) == (self.messages is None):
            raise Refusal("prompt", T("give either prompt or messages", "prompt 与 messages 必须且只能给出一个"))
        return self


class DetokenizeRequest(Request):
    tokens: list[int]
