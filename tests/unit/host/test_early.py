"""The page answers before the application is made; what waits for the application is answered by it, or told why not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from zhilu.context import open_context
from zhilu.errors import InputError
from zhilu.home import atomic_write
from zhilu.host import ui
from zhilu.host.server import run_app
from zhilu.host.ui import Early
from zhilu.messages import T


class Running:
    """``Early`` as a server runs it, with its lifespan, and an application that is made when the test says so."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.may_be_made = threading.Event()
        self.told: list[str] = []
        self.early = Early(
            lambda: self.may_be_made.wait(10) and make(),
            host="127.0.0.1",
            on_ready=lambda: self.told.append("ready"),
            on_failure=lambda: self.told.append("failure"),
        )

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[httpx.AsyncClient]:
        events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        sent: asyncio.Queue[Any] = asyncio.Queue()
        lifespan = asyncio.create_task(self.early({"type": "lifespan"}, events.get, sent.put))
        await events.put({"type": "lifespan.startup"})
        assert (await sent.get())["type"] == "lifespan.startup.complete"
        transport = httpx.ASGITransport(self.early)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8642") as http:
            yield http
        await events.put({"type": "lifespan.shutdown"})
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"
        await lifespan


@pytest.fixture(autouse=True)
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "built/assets").mkdir(parents=True)
    atomic_write(tmp_path / "built/index.html", "<p>the page")
    atomic_write(tmp_path / "built/assets/a-1.js", "1")
    monkeypatch.setattr(ui, "STATIC", tmp_path / "built")


def _app(steps: list[str]) -> Starlette:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        steps.append("started")
        yield
        steps.append("stopped")

    def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"the application, {request.url.path}")

    return Starlette(routes=[Route("/{path:path}", answer)], lifespan=lifespan)


def test_the_page_is_there_first_and_the_rest_waits() -> None:
    steps: list[str] = []
    running = Running(lambda: _app(steps))

    async def visit() -> None:
        async with running() as http:
            assert (await http.get("/")).text == "<p>the page"
            script = await http.get("/assets/a-1.js")
            assert "immutable" in script.headers["cache-control"]
            assert script.headers["content-security-policy"]  # the guard's headers, as later
            assert (await http.get("/", headers={"host": "example.org"})).status_code == 403
            waiting = [asyncio.create_task(http.get(path)) for path in ("/zhilu/v1/models", "/assets/none.js")]
            await asyncio.sleep(0.05)
            assert not any(task.done() for task in waiting)
            assert (steps, running.told) == ([], [])
            running.may_be_made.set()
            assert [(await task).text for task in waiting] == [
                "the application, /zhilu/v1/models",
                "the application, /assets/none.js",
            ]
            assert (steps, running.told) == (["started"], ["ready"])
            assert (await http.get("/")).text == "the application, /"
        assert steps == ["started", "stopped"]

    asyncio.run(visit())


def test_who_waited_is_told_why_it_did_not_start() -> None:
    def fail() -> Any:
        raise InputError(T("The database is of a newer Zhilu.", "数据库来自更新的版本。"))

    running = Running(fail)

    async def visit() -> None:
        async with running() as http:
            waiting = asyncio.create_task(http.get("/zhilu/v1/models"))
            await asyncio.sleep(0.01)
            running.may_be_made.set()
            reply = await waiting
        assert (reply.status_code, reply.json()["error"]["message"]) == (503, "The database is of a newer Zhilu.")

    asyncio.run(visit())
    assert running.told == ["failure"]
    assert isinstance(running.early.failure, InputError)


def test_a_stop_before_it_is_made_starts_nothing() -> None:
    steps: list[str] = []
    running = Running(lambda: _app(steps))

    async def leave() -> None:
        async with running():
            asyncio.get_running_loop().call_later(0.05, running.may_be_made.set)

    asyncio.run(leave())
    assert (steps, running.told) == ([], [])


def test_a_start_that_fails_ends_the_server_with_its_error() -> None:
    def fail() -> Any:
        raise InputError(T("no", "不"))

    with pytest.raises(InputError, match="no"):
        run_app(open_context({"port": 0}), fail, early_page=True)
