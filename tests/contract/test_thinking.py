"""Thinking models through the gateway: a tiny one whose text a grammar forces, and a foreign server's stream in the chat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.contract.foreign_server import serve
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model

TURNS = "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}"
# Qwen3's way: the model opens its thoughts itself; and that of models whose prompt opens them.
SWITCH = TURNS + (
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}{%- endif %}"
)
OPENS = TURNS + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}"
ASK = [{"role": "user", "content": "2+2?"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("thinkers")
    (home / "models").mkdir(mode=0o700)
    for name, template in (("switch", SWITCH), ("opens", OPENS), ("plain", TURNS)):
        folder = make_tiny_model(home / "models" / name)
        (folder / "chat_template.jinja").write_text(template)
    with run_gateway(home, {"model": "switch", "max_engines": 3}, only=("serving", "models", "chat")) as running:
        yield running


def _post(gateway: RunningGateway, path: str, body: dict[str, Any]) -> httpx.Response:
    response = httpx.post(f"{gateway.url}{path}", json=body, timeout=120, trust_env=False)
    assert response.status_code in (200, 201), response.text
    return response


def _forced(gateway: RunningGateway, model: str, text: str, **rest: Any) -> tuple[Any, Any]:
    """(reasoning, content) of an answer that can only be ``text``; the stream must say the same as the whole."""
    body = {"model": model, "messages": ASK, "structured_outputs": {"choice": [text]}, "max_tokens": 200, **rest}
    message = _post(gateway, "/v1/chat/completions", body).json()["choices"][0]["message"]
    lines = [line for line in _post(gateway, "/v1/chat/completions", {**body, "stream": True}).text.split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    deltas = [choice["delta"] for line in lines[:-1] for choice in json.loads(line[6:])["choices"]]
    for key in ("reasoning_content", "content"):
        assert "".join(d.get(key) or "" for d in deltas) == (message.get(key) or "")
    return message.get("reasoning_content"), message["content"]


def test_thoughts_are_told_apart(gateway: RunningGateway) -> None:
    whole = "<think>\n2 and 2\n</think>\n\n4"
    assert _forced(gateway, "switch", whole) == ("2 and 2", "4")
    assert _forced(gateway, "switch", "4") == (None, "4")
    assert _forced(gateway, "switch", "in `<think>x</think>`") == (None, "in `<think>x</think>`")
    assert _forced(gateway, "switch", whole, max_tokens=12)[1] == ""  # cut in the middle of a thought
    assert _forced(gateway, "opens", "2 and 2\n</think>\n\n4") == ("2 and 2", "4")
    assert _forced(gateway, "plain", whole) == (None, whole)  # its template knows no thoughts: nothing is touched


def test_the_switch_reaches_the_template(gateway: RunningGateway) -> None:
    def prompt(**rest: Any) -> int:
        return int(_post(gateway, "/tokenize", {"model": "switch", "messages": ASK, **rest}).json()["count"])

    off = {"chat_template_kwargs": {"enable_thinking": False}}
    assert prompt(**off) > prompt() == prompt(chat_template_kwargs={"enable_thinking": True})
    assert _forced(gateway, "switch", "4", **off) == (None, "4")
    told = {m["name"]: m["thinking"] for m in httpx.get(f"{gateway.url}/zhilu/v1/models", trust_env=False).json()}
    assert told == {"zhilu-nano": None, "switch": "switch", "opens": "always", "plain": None}


def test_the_chat_keeps_thoughts_beside_the_answer(gateway: RunningGateway) -> None:
    asked: list[dict[str, Any]] = []

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, str]:
        asked.append(body)
        if not body.get("stream"):
            said = {"role": "assistant", "content": "ok"}
            models = {"data": [{"id": "thinker"}]}
            return 200, json.dumps(models if path.endswith("/models") else {"choices": [{"message": said}]})
        pieces = [{"content": "<think>2 a"}, {"content": "nd 2</th"}, {"content": "ink>\n\n4"}, {}]
        chunks = [
            {"choices": [{"index": 0, "delta": piece, "finish_reason": None if piece else "stop"}]} for piece in pieces
        ]
        return 200, "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"

    with serve(answer) as url:
        _post(gateway, "/zhilu/v1/apis", {"name": "far", "base_url": url, "models": ["thinker"]})
        # As in ``zhilu up``: the chat reaches its models through this gateway.
        gateway.context.settings = gateway.context.settings.model_copy(update={"base_url": gateway.url})
        chat = _post(gateway, "/zhilu/v1/conversations", {"model": "far/thinker"}).json()["id"]
        events = _post(gateway, f"/zhilu/v1/conversations/{chat}/turn", {"content": "2+2?"}).text
        first = httpx.get(f"{gateway.url}/zhilu/v1/conversations/{chat}", trust_env=False).json()["messages"][-1]
        _post(gateway, f"/zhilu/v1/conversations/{chat}/turn", {"content": "sure?", "parent_id": first["id"]})
    assert events.index("event: thought") < events.index("event: delta")
    assert (first["content"], first["thought"], first["status"]) == ("4", "2 and 2", "complete")
    assert first["thought_seconds"] is not None
    assert "2 and 2" not in json.dumps(asked[-1])  # thoughts are not sent back
