"""A call that must be made is held by a schema where the engine cannot hold it."""

from __future__ import annotations

from typing import Any

from zhilu import wire
from zhilu.serving.engines import engine_registry
from zhilu.serving.gateway.toolwork import enforced, replies_for

LLAMACPP = engine_registry().get("llamacpp").facts
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("a", "b")]


def request(**more: Any) -> wire.ChatRequest:
    return wire.parse_request(
        wire.ChatRequest, {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": TOOLS, **more}
    )


def test_an_engine_that_cannot_hold_a_choice_is_held_by_a_schema() -> None:
    changes = enforced(LLAMACPP, request(tool_choice={"type": "function", "function": {"name": "b"}}))
    schema = changes["response_format"]["json_schema"]["schema"]
    assert changes["tool_choice"] == "none" and schema["properties"]["name"] == {"const": "b"}
    assert (
        len(enforced(LLAMACPP, request(tool_choice="required"))["response_format"]["json_schema"]["schema"]["anyOf"])
        == 2
    )
    assert enforced(LLAMACPP, request()) == {} and enforced(LLAMACPP, request(tool_choice="auto")) == {}
    assert enforced(engine_registry().get("zhilu").facts, request(tool_choice="required")) == {}
    assert enforced(engine_registry().get("openai").facts, request(tool_choice="required")) == {}


def test_what_the_gateway_makes_true_is_among_what_the_engine_can() -> None:
    registry = engine_registry()
    for engine in map(registry.get, registry.names()):
        assert engine.facts.enforced <= engine.facts.can
        assert "tool_choice" not in engine.facts.enforced or "json_schema" in engine.facts.can


def test_answers_are_read_only_where_a_call_may_come() -> None:
    assert replies_for(LLAMACPP, request()) is not None
    assert replies_for(LLAMACPP, request(tool_choice="none")) is None
    assert replies_for(LLAMACPP, wire.parse_request(wire.CompletionRequest, {"model": "m", "prompt": "x"})) is None
