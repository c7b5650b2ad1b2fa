"""An answer goes on whoever looks: it can be left, found again, followed twice and stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.apps.chat.running import RunningTurns
from zhilu.apps.chat.store import ConversationStore
from zhilu.apps.chat.turn import run_turn
from zhilu.client import connect
from zhilu.context import Context
from zhilu.events import Event
from zhilu.host.app import create_app

from .test_routes import events


def text_of(came: list[Event]) -> str:
    return "".join(event.data["text"] for event in came if event.name == "delta")


def with_turn(context: Context, tokens: int, work: Callable[[RunningTurns, str], Awaitable[Any]]) -> Any:
    """``work`` beside an answer of the real engine that is on its way."""

    async def both() -> Any:
        chat = ConversationStore(context).create(model="tiny").id
        turns = RunningTurns(context)
        async with connect(context) as client:
            params = {"max_tokens": tokens, "temperature": 0}
            turns.start(chat, run_turn(context, client, chat, parent_id=None, content="Hello", params=params))
            return await work(turns, chat)

    return asyncio.run(both())


def test_who_leaves_takes_nothing_from_who_stays_or_comes_late(context: Context) -> None:
    async def work(turns: RunningTurns, chat: str) -> None:
        turn = turns.of(chat)
        assert turn is not None
        early = turn.follow()
        async for event in early:
            if event.name == "delta":
                break
        await early.aclose()  # type: ignore[attr-defined]
        late = [event async for event in turn.follow()]
        after = [event async for event in turn.follow()]
        kept = ConversationStore(context).get(chat).messages[-1]
        assert kept.status == "complete"
        for came in (late, after):
            assert [came[0].name, came[-1].name] == ["start", "done"]
            assert text_of(came) == kept.content == came[-1].data["assistant"]["content"]
        assert [event.name for event in after] == ["start", "delta", "done"]  # what has been waiting comes in one piece
        assert turns.of(chat) is None

    with_turn(context, 24, work)


def test_stopping_ends_the_stream_with_what_came(context: Context) -> None:
    async def work(turns: RunningTurns, chat: str) -> None:
        turn = turns.of(chat)
        assert turn is not None
        came: list[Event] = []
        async for event in turn.follow():
            came.append(event)
            if event.name == "delta":
                await turns.stop(chat)
        kept = ConversationStore(context).get(chat).messages[-1]
        assert came[-1].name == "done" and came[-1].data["assistant"]["status"] == "stopped"
        assert (kept.status, kept.finish_reason) == ("stopped", None)
        assert kept.content.startswith(text_of(came)) and kept.content
        assert await turns.stop(chat) == 0

    with_turn(context, 400, work)


def test_the_end_of_the_server_is_no_stop_by_the_person(context: Context) -> None:
    async def work(turns: RunningTurns, chat: str) -> None:
        turn = turns.of(chat)
        assert turn is not None
        async for event in turn.follow():
            if event.name == "delta":
                await turns.close()
        kept = ConversationStore(context).get(chat).messages[-1]
        assert (kept.status, kept.finish_reason) == ("stopped", "interrupted") and kept.content

    with_turn(context, 400, work)


def test_what_nobody_foresaw_is_an_error_event(context: Context) -> None:
    async def breaking() -> AsyncGenerator[Event, None]:
        yield Event("delta", {"text": "a"})
        raise ZeroDivisionError("by zero")

    async def work() -> list[Event]:
        turns = RunningTurns(context)
        turn = turns.start("chat", breaking())
        return [event async for event in turn.follow()]

    came = asyncio.run(work())
    assert [event.name for event in came] == ["delta", "error"]
    assert came[-1].data["error"]["messages"]["zh"] and came[-1].data["assistant"] is None


async def held_after_first_text(*given: Any, **named: Any) -> AsyncGenerator[Event, None]:
    """The real turn, which a fast machine would have ended before anybody could follow it, held until it is stopped."""
    async with aclosing(run_turn(*given, **named)) as events:
        async for event in events:
            yield event
            if event.name == "delta":
                await asyncio.Event().wait()


def test_over_http_an_answer_is_followed_stopped_and_deleted_with_its_conversation(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zhilu.apps.chat.routes.run_turn", held_after_first_text)
    with TestClient(create_app(context, only=("chat",)), base_url="http://127.0.0.1") as client:
        assert client.get("/zhilu/v1/conversations/none/turn").status_code == 404
        chat = client.post("/zhilu/v1/conversations", json={"model": "tiny"}).json()["id"]
        url = f"/zhilu/v1/conversations/{chat}/turn"
        quiet = client.get(url)
        assert (quiet.status_code, quiet.text) == (200, "")  # nothing is on its way
        assert client.delete(url).status_code == 204

        posted: list[str] = []
        body = {"content": "Hello", "params": {"max_tokens": 400}, "keep": True}
        asking = threading.Thread(target=lambda: posted.append(client.post(url, json=body).text))
        asking.start()
        while client.get(f"/zhilu/v1/conversations/{chat}").json()["messages"] == []:
            pass
        stopping = threading.Timer(0.3, lambda: client.delete(url))
        stopping.start()
        followed = client.get(url).text
        asking.join(30)
        stopping.join(30)
        (asked, found) = (events(posted[0]), events(followed))
        assert asked[0] == found[0] and asked[-1] == found[-1]
        assert found[0][0] == "start" and found[-1][0] == "done"
        assert found[-1][1]["assistant"]["status"] == "stopped"

        assert client.delete(f"/zhilu/v1/conversations/{chat}").status_code == 204
        assert client.get(url).status_code == 404


@pytest.mark.parametrize("keep", [True, False])
def test_a_reader_that_leaves_stops_the_answer_unless_it_is_kept(context: Context, keep: bool) -> None:
    """The route's own stream, closed by its reader as Starlette closes it."""
    from types import SimpleNamespace

    from zhilu.apps.chat import routes

    async def work() -> str:
        store = ConversationStore(context)
        chat = store.create(model="tiny").id
        app = SimpleNamespace(state=SimpleNamespace(context=context, turns=RunningTurns(context)))
        request: Any = SimpleNamespace(app=app)
        body = routes.Turn(content="Hello", params=routes.SamplingParams(max_tokens=60), keep=keep)
        answer = await routes.turn(chat, body, request)
        stream: Any = answer.body_iterator
        async for piece in stream:
            if b"event: delta" in piece:
                break
        await stream.aclose()
        running = app.state.turns.of(chat)
        if running is not None:
            await asyncio.wait([running.task], timeout=60)
        return store.get(chat).messages[-1].status

    assert asyncio.run(work()) == ("complete" if keep else "stopped")
