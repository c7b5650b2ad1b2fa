"""``/zhilu/v1/jobs`` as the workbench uses it."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from zhilu.context import open_context
from zhilu.host.app import create_app
from zhilu.jobs import JobStore, routes
from zhilu.messages import T


@pytest.fixture
def store(own_home):
    context = open_context()
    yield JobStore(context)
    context.close()


@pytest.fixture
def client(store):
    with TestClient(create_app(store.context, only=("jobs",)), base_url="http://127.0.0.1:8642") as made:
        yield made


def submit(store, tmp_path, **options):
    params = {"file": str(tmp_path / "numbers"), "n": 3, **options}
    return store.submit("zhilu.jobs.testing:COUNT", params, T("Counting", "计数"))


def read_events(text):
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id")


def test_a_job_is_listed_shown_and_followed_to_its_end(client, store, tmp_path):
    job = submit(store, tmp_path)
    events = list(read_events(client.get(f"/zhilu/v1/jobs/{job.id}/events").text))
    assert events[0][0] == "status"
    assert ("log", {"text": "counted to 3"}) in [(name, data) for name, data, _ in events]
    name, last, cursor = events[-1]
    assert (name, last["status"], last["progress"], last["title"]) == (
        "status",
        "done",
        1,
        {"en": "Counting", "zh": "计数"},
    )
    assert last["finished_at"].endswith("Z")
    again = list(read_events(client.get(f"/zhilu/v1/jobs/{job.id}/events", headers={"Last-Event-ID": cursor}).text))
    assert [e[0] for e in again] == ["status"]
    assert client.get(f"/zhilu/v1/jobs/{job.id}").json() == last
    assert client.get("/zhilu/v1/jobs", params={"status": "done"}).json() == [last]
    assert client.get("/zhilu/v1/jobs", params={"kind": "ingest"}).json() == []
    assert "counted to 3" in client.get(f"/zhilu/v1/jobs/{job.id}/log").json()["text"]


def test_cancel_and_retry(client, store, tmp_path):
    job = submit(store, tmp_path, n=200, pause=0.05)
    assert client.post(f"/zhilu/v1/jobs/{job.id}/cancel").json()["cancel_requested"] is True
    assert store.wait(job.id).status == "cancelled"
    conflict = client.post(f"/zhilu/v1/jobs/{job.id}/cancel")
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "conflict")
    assert client.post(f"/zhilu/v1/jobs/{job.id}/retry").json()["status"] in ("queued", "running")
    client.post(f"/zhilu/v1/jobs/{job.id}/cancel")
    assert store.wait(job.id).attempt == 2


@pytest.mark.parametrize("path", ["", "/events", "/log"])
def test_an_unknown_job_is_a_404_in_both_languages(client, path):
    answer = client.get(f"/zhilu/v1/jobs/nope{path}", headers={"Accept-Language": "zh-CN"})
    assert answer.status_code == 404
    assert answer.json()["error"]["messages"]["en"].startswith("No job 'nope'")
    assert answer.json()["error"]["message"].startswith("没有任务")


def test_the_stream_of_all_jobs_tells_every_change(store, tmp_path):
    async def listen():
        stream = routes._all_changes(store)
        assert (await anext(stream)).startswith(b":")
        job = await asyncio.to_thread(submit, store, tmp_path)
        statuses = []
        async for text in stream:
            for name, data, _ in read_events(text.decode()):
                assert (name, data["id"]) == ("job", job.id)
                statuses.append(data["status"])
            if statuses[-1:] == ["done"]:
                await stream.aclose()
                return statuses

    assert asyncio.run(asyncio.wait_for(listen(), 30))[-1] == "done"


def test_the_web_process_finds_the_dead_when_it_starts(store, tmp_path):
    from zhilu.tables import JobRow

    job = submit(store, tmp_path)
    store.wait(job.id)
    with store.context.database.session() as session:  # as a machine that went down leaves it
        row = session.get(JobRow, job.id)
        row.status, row.pid, row.pid_started, row.finished_at = "running", 4_000_000, 1.0, None

    async def serve():
        app = FastAPI()
        app.state.context, app.state.ephemeral = store.context, False
        async with routes.lifespan(app):
            for _ in range(100):
                if store.get(job.id).attempt == 2 and store.get(job.id).ended:
                    return True
                await asyncio.sleep(0.1)
        return False

    assert asyncio.run(serve())


@pytest.mark.parametrize(("ephemeral", "num_dispatchers"), [(False, 1), (True, 0)])
def test_a_server_for_one_command_leaves_dispatching_to_others(store, ephemeral, num_dispatchers):
    async def serve():
        app = FastAPI()
        app.state.context, app.state.ephemeral = store.context, ephemeral
        async with routes.lifespan(app):
            return sum(thread.name == "jobs-dispatcher" for thread in threading.enumerate())

    assert asyncio.run(serve()) == num_dispatchers
