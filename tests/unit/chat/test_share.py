"""Conversations as files, searched, and with a role of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import Context
from zhilu.host.app import create_app

from .test_attach import prompt_of
from .test_routes import say

URL = "/zhilu/v1/conversations"


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=("chat",)), base_url="http://127.0.0.1") as client:
        yield client


def take_in(client: TestClient, value: Any) -> Any:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return client.post(f"{URL}/import", files={"file": ("c.json", content)})


def test_an_export_is_taken_in_with_all_its_branches(client: TestClient) -> None:
    chat = client.post(URL, json={"system_prompt": "Be brief."}).json()["id"]
    came = say(client, chat, content="Hello <b>you</b>", params={"max_tokens": 4})
    say(client, chat, parent_id=came[0][1]["user"]["id"], params={"max_tokens": 4, "temperature": 1, "seed": 3})
    exported = client.get(f"{URL}/export").content
    made = take_in(client, exported).json()
    assert len(made) == 1 and made[0]["id"] != chat
    (old, new) = (client.get(f"{URL}/{one}").json() for one in (chat, made[0]["id"]))
    assert [m["content"] for m in new["messages"]] == [m["content"] for m in old["messages"]]
    assert new["system_prompt"] == "Be brief." and new["head_id"] == new["messages"][-1]["id"]
    parents = {m["id"]: m["parent_id"] for m in new["messages"]}
    assert len(set(parents.values())) == 2  # two answers to one question
    page = client.get(f"{URL}/export", params={"format": "html", "id": chat}).text
    assert "Hello &lt;b&gt;you&lt;/b&gt;" in page and "<b>" not in page and "<script" not in page
    told = client.get(f"{URL}/export", params={"format": "md", "id": chat}).text
    assert told.startswith("# Hello <b>you</b>")


def test_openai_messages_are_taken_in_and_go_on(client: TestClient) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Ahoy"},
        {"role": "assistant", "content": "Arr"},
    ]
    made = take_in(client, messages).json()[0]
    there = client.get(f"{URL}/{made['id']}").json()
    assert (there["title"], there["system_prompt"]) == ("Ahoy", "You are a pirate.")
    came = say(client, made["id"], parent_id=there["head_id"], content="Go on", params={"max_tokens": 3})
    assert came[-1][0] == "done"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{not json", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        ({"kind": "other"}, "neither an export"),
        ([], "neither an export"),
        ({"kind": "zhilu-conversations/1", "conversations": [{"messages": [{"id": "1", "role": "robot", "content": ""}]}]}, "role"),
        (
            {"kind": "zhilu-conversations/1", "conversations": [
                {"messages": [{"id": "1", "parent_id": "2", "role": "user", "content": "a"}]}
            ]},
            "no place in the tree",
        ),
    ],
)  # fmt: skip
def test_what_is_no_export_is_refused_whole(client: TestClient, value: Any, words: str) -> None:
    refused = take_in(client, value)
    assert refused.status_code == 400 and words in refused.json()["error"]["message"]
    assert client.get(URL).json() == []


def test_conversations_are_found_by_what_was_said(client: TestClient) -> None:
    say(
        client, client.post(URL, json={}).json()["id"], content="Where is the 灯塔 of Bergen?", params={"max_tokens": 2}
    )
    say(client, client.post(URL, json={"title": "100% wool"}).json()["id"], content="Socks", params={"max_tokens": 2})
    assert [one["title"] for one in client.get(URL, params={"q": "灯塔"}).json()] == ["Where is the 灯塔 of Bergen?"]
    assert "灯塔" in client.get(URL, params={"q": "灯塔"}).json()[0]["place"]
    assert [one["title"] for one in client.get(URL, params={"q": "0%"}).json()] == ["100% wool"]
    assert client.get(URL, params={"q": "_____"}).json() == []
    assert len(client.get(URL).json()) == 2


def test_a_conversation_has_a_role_of_its_own(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = prompt_of(monkeypatch)
    chat = client.post(URL, json={}).json()["id"]
    client.patch(f"{URL}/{chat}", json={"system_prompt": "Answer in rhymes."})
    say(client, chat, content="Hi", params={"max_tokens": 2})
    assert sent[0][0] == {"role": "system", "content": "Answer in rhymes."}
    assert client.get(f"{URL}/{chat}").json()["system_prompt"] == "Answer in rhymes."


@pytest.mark.parametrize(
    "more",
    [
        {"citations": [{"n": 1, "text": "\ud800", "cited": True}]},
        {"steps": [{"id": "1", "arguments": {"a": "\ud800"}}]},
        {"steps": [{"id": "1", "result": "\udfff"}]},
        {"citations": [json.loads('{"a":' + "[" * 300 + "]" * 300 + "}")]},
    ],
)
def test_what_could_not_be_written_again_is_not_taken_in(client: TestClient, more: dict[str, Any]) -> None:
    """One such conversation would make the export of all of them fail."""
    message = {"id": "1", "role": "user", "content": "Hello", **more}
    refused = take_in(client, {"kind": "zhilu-conversations/1", "conversations": [{"messages": [message]}]})
    assert refused.status_code == 400 and client.get(URL).json() == []
    assert client.get(f"{URL}/export").status_code == 200


@pytest.mark.parametrize("params", [{"model": 1}, {"max_tokens": -1}, {"temperature": 1e400}, {"seed": 2**80}])
def test_parameters_of_a_file_are_checked_as_the_page_s_are(client: TestClient, params: dict[str, Any]) -> None:
    one = {"messages": [{"id": "1", "role": "user", "content": "Hello"}], "params": params}
    assert take_in(client, {"kind": "zhilu-conversations/1", "conversations": [one]}).status_code == 400
    assert (
        client.post(URL, json={"params": params} if params != {"temperature": 1e400} else {"bogus": 1}).status_code
        == 400
    )


def test_a_deleted_conversation_is_in_no_file(client: TestClient, context: Context) -> None:
    word = "quagmirezzq"
    made = take_in(client, [{"role": "user", "content": f"The word is {word}"}]).json()[0]["id"]
    files = [p for p in context.home.path.glob("zhilu.db*") if p.is_file()]
    assert any(word.encode() in p.read_bytes() for p in files)
    assert client.delete(f"{URL}/{made}").status_code == 204
    assert not [p.name for p in context.home.path.glob("zhilu.db*") if word.encode() in p.read_bytes()]


@pytest.mark.parametrize("body", [b'{"model": "\\ud800"}', b'{"kb_id": "\\uD800"}'])
def test_half_a_character_is_refused_wherever_it_stands(client: TestClient, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    said = client.post(URL, content=body, headers=kind)
    assert said.status_code == 400 and said.json()["error"]["type"] == "invalid_request_error"
    whole = client.post(URL, content=b'{"title": "\\ud83d\\ude00"}', headers=kind)
    assert whole.json()["title"] == "\N{GRINNING FACE}"
