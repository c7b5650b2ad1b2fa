"""LlamaIndex's ``OpenAILike`` against the gateway: what its agents and query engines are built on.

Run by ``test_frameworks.py`` in an environment of its own.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage, MessageRole
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from openai import NotFoundError

MESSAGES = [
    ChatMessage(role=MessageRole.SYSTEM, content="Answer in one sentence."),
    ChatMessage(role=MessageRole.USER, content="What can you do?"),
]


def llm(**more: Any) -> OpenAILike:
    options = {
        "model": os.environ["ZHILU_MODEL"], "api_base": os.environ["ZHILU_URL"], "api_key": "not-needed",
        "is_chat_model": True, "is_function_calling_model": True, "context_window": 2048,
        "temperature": 0.0, "max_tokens": 64, "timeout": 600.0, "max_retries": 0,
    }  # fmt: skip
    return OpenAILike(**{**options, **more})


def test_chat_streamed_equals_whole() -> None:
    whole = llm().chat(MESSAGES).message.content
    pieces = [piece.delta or "" for piece in llm().stream_chat(MESSAGES)]
    assert whole
    assert "".join(pieces) == whole
    assert pieces  # how many depends on how far the model was ahead of its reader


def test_async_chat_streamed_equals_whole() -> None:
    async def ask() -> tuple[str | None, str]:
        whole = await llm().achat(MESSAGES)
        stream = await llm().astream_chat(MESSAGES)
        return whole.message.content, "".join([piece.delta or "" async for piece in stream])

    whole, streamed = asyncio.run(ask())
    assert whole
    assert streamed == whole


def test_completion_streamed_equals_whole() -> None:
    """``is_chat_model`` False: the older endpoint, ``/v1/completions``."""
    plain = llm(is_chat_model=False, is_function_calling_model=False)
    whole = plain.complete("The capital of France is").text
    assert whole
    assert "".join(piece.delta or "" for piece in plain.stream_complete("The capital of France is")) == whole


def test_usage_is_told() -> None:
    usage = llm().chat(MESSAGES).raw.usage
    assert usage.prompt_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_required_tool_is_called_with_arguments_of_its_schema() -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    tool = FunctionTool.from_defaults(fn=add)
    model = llm(max_tokens=256)
    reply = model.chat_with_tools([tool], user_msg="What is 3 + 4?", tool_required=True)
    calls = model.get_tool_calls_from_response(reply)
    assert [call.tool_name for call in calls] == ["add"]
    assert set(calls[0].tool_kwargs) == {"a", "b"}
    assert all(isinstance(value, int) for value in calls[0].tool_kwargs.values())


def test_an_error_of_the_gateway_is_the_clients_own() -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        llm(model="nobody").chat(MESSAGES)
