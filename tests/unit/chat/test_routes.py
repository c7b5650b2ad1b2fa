"""Chat over HTTP against a real engine: stream, stop, history, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.apps.chat.store import ConversationStore
from zhilu.context import Context
from zhilu.host.app import create_app


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=("chat",)), base_url="http://127.0.0.1") as client:
        yield client


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n", 1)
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def say(client: TestClient, chat: str, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    answer = client.post(f"/zhilu/v1/conversations/{chat}/turn", json=body)
    assert answer.status_code == 200, answer.text
    return events(answer.text)


def test_a_turn_streams_and_is_kept(client: TestClient) -> None:
    chat = client.post("/zhilu/v1/conversations", json={}).json()["id"]
    came = say(client, chat, content="Hello", params={"max_tokens": 8, "temperature": 0})
    assert came[0][0] == "start" and came[-1][0] == "done"
    done = came[-1][1]["assistant"]
    assert done["content"] == "".join(data["text"] for name, data in came if name == "delta")
    assert done["status"] == "complete" and done["finish_reason"] in ("stop", "length")
    assert 0 < done["usage"]["completion_tokens"] <= 8 and done["model"] == "tiny"
    kept = client.get(f"/zhilu/v1/conversations/{chat}").json()
    assert [m["content"] for m in kept["messages"]] == ["Hello", done["content"]]
    assert kept["head_id"] == done["id"] and kept["title"] == "Hello"
    again = say(client, chat, parent_id=came[0][1]["user"]["id"], params={"max_tokens": 8, "temperature": 0})
    assert again[-1][1]["assistant"]["content"] == done["content"]
    assert again[-1][1]["assistant"]["id"] != done["id"]


def test_an_engine_error_is_an_event_and_is_kept(client: TestClient) -> None:
    chat = client.post("/zhilu/v1/conversations", json={"model": "nobody"}).json()["id"]
    came = say(client, chat, content="Hello")
    assert [name for name, _ in came] == ["start", "error"]
    assert came[1][1]["error"]["messages"]["zh"]
    kept = client.get(f"/zhilu/v1/conversations/{chat}").json()["messages"][-1]
    assert kept["status"] == "error" and kept["error"]["message"] == came[1][1]["error"]["message"]


def test_bad_requests_come_before_the_stream(client: TestClient) -> None:
    assert client.post("/zhilu/v1/conversations/none/turn", json={"content": "x"}).status_code == 404
    chat = client.post("/zhilu/v1/conversations", json={}).json()["id"]
    url = f"/zhilu/v1/conversations/{chat}/turn"
    for body in (
        {"content": "x", "params": {"temprature": 1}},
        {"content": "x", "params": {"temperature": 9}},
        {"contents": "x"},
    ):
        assert client.post(url, json=body).status_code == 400
    assert client.patch(f"/zhilu/v1/conversations/{chat}", json={"titel": "x"}).status_code == 400
    assert client.get(f"/zhilu/v1/conversations/{chat}").json()["messages"] == []


def test_rename_choose_and_delete(client: TestClient) -> None:
    chat = client.post("/zhilu/v1/conversations", json={"title": "a"}).json()["id"]
    changed = client.patch(f"/zhilu/v1/conversations/{chat}", json={"title": "b", "model": "tiny"}).json()
    assert (changed["title"], changed["model"], changed["kb_id"]) == ("b", "tiny", None)
    assert [c["title"] for c in client.get("/zhilu/v1/conversations").json()] == ["b"]
    assert client.delete(f"/zhilu/v1/conversations/{chat}").status_code == 204
    assert client.get(f"/zhilu/v1/conversations/{chat}").status_code == 404


def test_start_closes_what_a_killed_process_left(context: Context) -> None:
    store = ConversationStore(context)
    chat = store.create()
    store.begin_turn(chat.id, None, "hi", "tiny")
    with TestClient(create_app(context, only=("chat",)), base_url="http://127.0.0.1") as client:
        assert client.get(f"/zhilu/v1/conversations/{chat.id}").json()["messages"][-1]["status"] == "stopped"
