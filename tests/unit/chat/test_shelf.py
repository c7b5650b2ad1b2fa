"""Folders of conversations and saved prompts, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from zhilu.context import open_context
from zhilu.host.app import create_app

CHATS, FOLDERS, PROMPTS = "/zhilu/v1/conversations", "/zhilu/v1/chat/folders", "/zhilu/v1/chat/prompts"


@pytest.fixture
def client() -> Iterator[TestClient]:
    context = open_context()
    with TestClient(create_app(context, only=("chat", "chat-shelf")), base_url="http://127.0.0.1") as client:
        yield client
    context.close()


def test_a_folder_goes_and_its_conversations_stay(client: TestClient) -> None:
    work = client.post(FOLDERS, json={"name": "  My   work "}).json()
    assert work["name"] == "My work"
    chat = client.post(CHATS, json={"title": "plan", "folder_id": work["id"]}).json()
    other = client.post(CHATS, json={"title": "other"}).json()
    moved = client.patch(f"{CHATS}/{other['id']}", json={"folder_id": work["id"]}).json()
    assert chat["folder_id"] == moved["folder_id"] == work["id"]
    before = [one["updated_at"] for one in client.get(CHATS).json()]
    assert client.patch(f"{FOLDERS}/{work['id']}", json={"name": "Work"}).json()["name"] == "Work"
    assert client.patch(f"{CHATS}/{other['id']}", json={"folder_id": "nowhere"}).status_code == 404
    assert client.patch(f"{CHATS}/{other['id']}", json={"folder_id": None}).json()["folder_id"] is None
    assert client.delete(f"{FOLDERS}/{work['id']}").status_code == 204
    assert client.get(FOLDERS).json() == [] and client.delete(f"{FOLDERS}/{work['id']}").status_code == 404
    listed = client.get(CHATS).json()
    assert [one["folder_id"] for one in listed] == [None, None]
    assert [one["updated_at"] for one in listed] == before
    assert client.post(FOLDERS, json={"name": " "}).status_code == 400


def test_prompts_are_kept_by_name_with_their_variables(client: TestClient) -> None:
    made = client.post(PROMPTS, json={"name": "翻译", "text": "把 {{text}} 译成 {{ lang }}，JSON 是 {a}。"})
    assert made.status_code == 201 and made.json()["variables"] == ["text", "lang"]
    assert client.post(PROMPTS, json={"name": "翻译", "text": "x"}).status_code == 409
    for name in ("two words", "a/b", " "):
        assert client.post(PROMPTS, json={"name": name, "text": "x"}).status_code == 400
    one = made.json()["id"]
    changed = client.put(f"{PROMPTS}/{one}", json={"name": "translate", "text": "Into {{lang}}: "}).json()
    assert (changed["id"], changed["name"], changed["variables"]) == (one, "translate", ["lang"])
    assert [p["name"] for p in client.get(PROMPTS).json()] == ["translate"]
    assert client.put(f"{PROMPTS}/none", json={"name": "n", "text": "x"}).status_code == 404
    assert client.delete(f"{PROMPTS}/{one}").status_code == 204 and client.get(PROMPTS).json() == []
