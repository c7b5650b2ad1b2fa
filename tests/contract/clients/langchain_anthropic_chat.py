"""LangChain's ``ChatAnthropic`` against the gateway: words, streams, tools and schemas in forms in which no model can lose itself.

Run by ``test_frameworks.py`` in an environment of its own.
"""

from __future__ import annotations

import os
from typing import Any, Literal

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from pydantic import BaseModel, ConfigDict, Field

# Without the "/v1" of OpenAI's clients.
PARAMETERS: dict[str, Any] = {
    "model": os.environ["ZHILU_MODEL"], "base_url": os.environ["ZHILU_URL"].removesuffix("/v1"), "api_key": "not-needed",
    "temperature": 0, "max_tokens": 400, "timeout": 600, "max_retries": 0,
}  # fmt: skip


class Review(BaseModel):
    """What one thinks of a film."""

    model_config = ConfigDict(extra="forbid")
    liked: bool
    stars: Literal["one", "two", "three"]


class Forecast(BaseModel):
    unit: Literal["C", "F"]
    days: int = Field(ge=1, le=9)


@tool(args_schema=Forecast)
def get_weather(unit: str, days: int) -> str:
    """Get the weather of the next days."""
    return f"{days} days at 21 {unit}"


def words(message: AIMessage) -> str:
    return str(message.text)


@pytest.mark.parametrize("question", ["What can you do?", "你能做什么？"])
def test_a_stream_says_what_the_whole_answer_says(question: str) -> None:
    chat = ChatAnthropic(**{**PARAMETERS, "max_tokens": 40})
    asked = [SystemMessage("Be brief."), HumanMessage(question)]
    whole = chat.invoke(asked)
    assert isinstance(whole, AIMessage)
    streamed: Any = None
    num_chunks = 0
    for chunk in chat.stream(asked):
        streamed, num_chunks = chunk if streamed is None else streamed + chunk, num_chunks + 1
    assert words(streamed) == words(whole) != ""
    assert num_chunks > 3
    used, again = whole.usage_metadata, streamed.usage_metadata
    assert used and again
    assert used["input_tokens"] == again["input_tokens"] > 5
    assert used["output_tokens"] == again["output_tokens"] > 0


async def a_stream(chat: ChatAnthropic) -> str:
    return "".join([words(chunk) async for chunk in chat.astream("What can you do?")])  # type: ignore[arg-type]


def test_asynchronous_streams() -> None:
    import asyncio

    chat = ChatAnthropic(**{**PARAMETERS, "max_tokens": 40})
    assert asyncio.run(a_stream(chat)) == words(chat.invoke("What can you do?"))


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(method: Any) -> None:
    form = ChatAnthropic(**PARAMETERS).with_structured_output(Review, method=method)
    assert isinstance(form.invoke("How was it?"), Review)


@pytest.mark.parametrize("choice", ["any", "get_weather"])
def test_a_forced_tool_and_its_result(choice: str) -> None:
    chat = ChatAnthropic(**PARAMETERS)
    forced = chat.bind_tools([get_weather], tool_choice=choice)
    whole = forced.invoke("Hello!")
    streamed: Any = None
    for chunk in forced.stream("Hello!"):
        streamed = chunk if streamed is None else streamed + chunk
    for message in (whole, streamed):
        assert isinstance(message, AIMessage)
        (call,) = message.tool_calls
        assert call["name"] == "get_weather"
        Forecast.model_validate(call["args"])
    result = get_weather.invoke(whole.tool_calls[0])
    reply = chat.bind_tools([get_weather]).invoke([HumanMessage("Hello!"), whole, result])
    assert isinstance(reply, AIMessage)


def test_tokens_are_counted() -> None:
    chat = ChatAnthropic(**{**PARAMETERS, "max_tokens": 8})
    asked = [HumanMessage("What can you do?")]
    used = chat.invoke(asked).usage_metadata
    assert used
    assert chat.get_num_tokens_from_messages(asked) == used["input_tokens"]
