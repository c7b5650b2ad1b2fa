"""vLLM's ``POST /v1/chat/completions/batch``: several conversations with the same parameters, answered in one reply."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.wire.constraints import Refusal
from zhilu.wire.doors import parse_request
from zhilu.wire.requests import ChatRequest, Request

__all__ = ["BatchChatRequest"]

_ONE_AT_A_TIME = ("stream", "stream_options", "echo", "prompt_logprobs", "prompt_token_ids")


class BatchChatRequest(Request):
    """Every field of a chat, but that ``messages`` is a list of conversations. Their choices come one after the other."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    messages: Annotated[list[Any], Field(min_length=1, max_length=128)]

    @model_validator(mode="after")
    def _each_is_a_chat(self) -> BatchChatRequest:
        given = [name for name in _ONE_AT_A_TIME if (self.model_extra or {}).get(name)]
        if given:
            raise Refusal(given[0], T("not with several conversations", "不能与多个对话一起使用"))
        assert self.chats
        return self

    @cached_property
    def chats(self) -> list[ChatRequest]:
        """The conversations as requests of their own."""
        return [self._chat(number, messages) for number, messages in enumerate(self.messages)]

    def _chat(self, number: int, messages: Any) -> ChatRequest:
        try:
            return parse_request(ChatRequest, {**self.model_dump(exclude_unset=True), "messages": messages})
        except InputError as error:
            if (error.param or "").partition(".")[0] == "messages":
                error.param = f"messages.{number}{(error.param or '').removeprefix('messages')}"
            raise
