"""What cannot fit is refused by its characters alone, and what holds no text is not looked at for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zhilu import wire
from zhilu.errors import InputError
from zhilu.serving.gateway.endless import refuse_endless
from zhilu.wire.batch import BatchChatRequest

LONG = "x" * 300_000
USER = [{"role": "user", "content": LONG}]


def refuse(kind: type[wire.Request], **fields: Any) -> None:
    refuse_endless(2048, wire.parse_request(kind, fields), json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        (wire.ChatRequest, {"messages": USER}, "messages"),
        (wire.CompletionRequest, {"prompt": ["a", LONG]}, "prompt"),
        (BatchChatRequest, {"messages": [USER, USER]}, "messages"),
    ],
)
def test_a_text_that_cannot_fit_is_refused(kind: type[wire.Request], fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InputError, match="has 300000") as caught:
        refuse(kind, **fields)
    assert (caught.value.param, caught.value.code) == (param, "context_length_exceeded")


def test_a_long_list_of_ids_is_no_text() -> None:
    refuse(wire.DetokenizeRequest, tokens=[2**62, -1] * 50_000)
    with pytest.raises(InputError, match="2048 tokens; prompt has 200000"):
        refuse(wire.CompletionRequest, prompt=[1] * 200_000)
    refuse(wire.CompletionRequest, prompt=[1] * 200_000, truncate_prompt_tokens=100)
    refuse(wire.CompletionRequest, prompt=[[1] * 2000] * 100)
