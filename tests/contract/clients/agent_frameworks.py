"""The OpenAI Agents SDK, LangGraph and pydantic-ai against the gateway: an agent calls a function and answers with what it told.

Run by ``test_frameworks.py`` in an environment of its own. That the first turn is a call is asked for (``tool_choice``), since the
embedded model is tiny: what is tested is the protocol, both ways, whole and streamed.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

URL, MODEL = os.environ["ZHILU_URL"], os.environ["ZHILU_MODEL"]
QUESTION = "What is the weather in Wien?"


class Weather:
    """A function that remembers whether it was called."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def told(self, city: str) -> str:
        self.asked.append(city)
        return f"{city}: sunny, 21 degrees"


def openai_agent(weather: Weather) -> Any:
    from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    @function_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return weather.told(city)

    client = AsyncOpenAI(base_url=URL, api_key="not-needed", max_retries=0)
    return Agent(
        name="Weather", instructions="Answer in a sentence.", tools=[get_weather],
        model=OpenAIChatCompletionsModel(model=MODEL, openai_client=client),
        model_settings=ModelSettings(tool_choice="required", temperature=0.0, max_tokens=100),
    )  # fmt: skip


def test_openai_agents_sdk_runs_a_tool() -> None:
    from agents import Runner

    weather = Weather()
    result = asyncio.run(Runner.run(openai_agent(weather), QUESTION, max_turns=4))
    assert weather.asked
    assert isinstance(result.final_output, str)
    kinds = [item.type for item in result.new_items]
    assert kinds[:2] == ["tool_call_item", "tool_call_output_item"]
    assert kinds[-1] == "message_output_item"


def test_openai_agents_sdk_streams() -> None:
    from agents import Runner

    async def run() -> tuple[list[str], str]:
        streamed = Runner.run_streamed(openai_agent(Weather()), QUESTION, max_turns=4)
        pieces = [
            event.data.delta
            async for event in streamed.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        return pieces, str(streamed.final_output)

    pieces, whole = asyncio.run(run())
    assert "".join(pieces) == whole


def pydantic_agent(**more: Any) -> Any:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=URL, api_key="not-needed"))
    return Agent(model, model_settings={"temperature": 0.0, "max_tokens": 100}, **more)


def test_pydantic_ai_answers_and_streams() -> None:
    agent = pydantic_agent(instructions="Answer in a sentence.")
    whole = agent.run_sync("What can you do?")
    assert whole.output
    assert whole.usage.output_tokens > 0

    async def run() -> str:
        async with agent.run_stream("What can you do?") as streamed:
            pieces = [piece async for piece in streamed.stream_text(delta=True)]
            return "".join(pieces)

    assert asyncio.run(run()) == whole.output


def test_pydantic_ai_gets_an_object() -> None:
    """Its output type is a tool that the model must call: the arguments are checked by pydantic."""
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    agent = pydantic_agent(output_type=City, retries=2)
    assert isinstance(agent.run_sync("Which city is it about: the weather in Wien?").output, City)


@pytest.mark.parametrize("streams", [False, True])
def test_langgraph_goes_round_a_graph(streams: bool) -> None:
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    weather = Weather()

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return weather.told(city)

    model = ChatOpenAI(
        model=MODEL, base_url=URL, api_key="not-needed", temperature=0, max_tokens=100, max_retries=0, streaming=streams
    )

    def ask(state: MessagesState) -> dict[str, Any]:
        has_been_told = any(message.type == "tool" for message in state["messages"])
        asked = model if has_been_told else model.bind_tools([get_weather], tool_choice="required")
        return {"messages": [asked.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode([get_weather]))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", tools_condition)
    graph.add_edge("tools", "ask")
    compiled = graph.compile()
    given = {"messages": [("user", QUESTION)]}
    if streams:
        pieces = [
            m.content for m, about in compiled.stream(given, stream_mode="messages") if about["langgraph_node"] == "ask"
        ]
        assert "".join(pieces)
    else:
        messages = compiled.invoke(given)["messages"]
        assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    assert weather.asked
