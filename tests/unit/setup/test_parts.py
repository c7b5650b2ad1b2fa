"""The registry of parts, its routes and its verb, with a small real part beside the built-in ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from zhilu.cli import cli
from zhilu.context import Context
from zhilu.errors import ConflictError, NotFoundError
from zhilu.host.app import create_app
from zhilu.jobs import Job, JobStore
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.setup import base
from zhilu.setup.base import PartState, newest_job, setup_parts, start_automatic, submit_part

COUNT = "zhilu.jobs.testing:COUNT"


class Numbers:
    """A part that is a file of numbers."""

    name, title, purpose = "numbers", T("Numbers", "数字"), T("For counting.", "用来计数。")

    def __init__(self, file: Path, *, is_automatic: bool = True, consent: T | None = None) -> None:
        self.file, self.is_automatic, self.consent = file, is_automatic, consent

    def state(self, context: Context) -> PartState:
        if self.file.exists():
            return PartState("here", T("It is there.", "已经有了。"))
        return PartState("absent", T("Not yet.", "还没有。"), is_automatic=self.is_automatic, consent=self.consent)

    def find_job(self, context: Context) -> Job | None:
        return newest_job(context, COUNT, file=str(self.file))

    def submit(self, context: Context, *, agreed: bool) -> Job:
        params = {"n": 3, "file": str(self.file), "agreed": agreed}
        return JobStore(context).submit(COUNT, params, T("Count", "计数"))


@pytest.fixture
def numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Numbers]:
    part = Numbers(tmp_path / "numbers.txt")
    registry: Registry[base.SetupPart] = Registry(T("part of the setup", "安装部件"))
    registry.add("numbers", part)
    monkeypatch.setattr(base, "setup_parts", lambda: registry)
    monkeypatch.setattr("zhilu.setup.routes.setup_parts", lambda: registry)
    yield part


def test_what_comes_by_itself_is_started_once(context: Context, numbers: Numbers) -> None:
    (job,) = start_automatic(context)
    assert start_automatic(context) == []
    assert JobStore(context).wait(job.id, timeout=60).status == "done"
    assert start_automatic(context) == []
    numbers.file.unlink()
    assert start_automatic(context) == [], "what a job has tried waits for a person"


def test_what_does_not_come_by_itself_waits_for_a_person(context: Context, numbers: Numbers) -> None:
    numbers.is_automatic = False
    assert start_automatic(context) == []
    job = submit_part(context, "numbers", agreed=True)
    assert job.params["agreed"] is True
    JobStore(context).wait(job.id, timeout=60)
    with pytest.raises(ConflictError, match="installed already"):
        submit_part(context, "numbers", agreed=False)
    with pytest.raises(NotFoundError, match="numbers"):
        submit_part(context, "number", agreed=False)


def test_the_home_page_sees_state_and_job(context: Context, numbers: Numbers) -> None:
    numbers.is_automatic, numbers.consent = False, T("4 GB. Go on?", "4 GB。继续吗？")
    with TestClient(create_app(context, only=("jobs", "setup")), base_url="http://127.0.0.1:8642") as client:
        (shown,) = client.get("/zhilu/v1/setup").json()
        assert (shown["name"], shown["status"], shown["job"]) == ("numbers", "absent", None)
        assert shown["consent"] == {"en": "4 GB. Go on?", "zh": "4 GB。继续吗？"}
        answer = client.post("/zhilu/v1/setup/numbers", json={"agreed": True})
        assert answer.status_code == 202
        JobStore(context).wait(answer.json()["id"], timeout=60)
        (shown,) = client.get("/zhilu/v1/setup").json()
        assert (shown["status"], shown["job"]["status"]) == ("here", "done")
        assert client.post("/zhilu/v1/setup/numbers", json={}).status_code == 409
        assert client.post("/zhilu/v1/setup/numbers", json={"agree": True}).status_code == 400


def test_the_server_starts_what_comes_by_itself(context: Context, numbers: Numbers) -> None:
    with TestClient(create_app(context, only=("jobs", "setup")), base_url="http://127.0.0.1:8642"):
        pass
    assert numbers.find_job(context) is not None


def test_a_server_for_one_command_starts_nothing(context: Context, numbers: Numbers) -> None:
    app = create_app(context, only=("jobs", "setup"), ephemeral=True)
    with TestClient(app, base_url="http://127.0.0.1:8642"):
        pass
    assert numbers.find_job(context) is None


def test_pytorch_is_a_part() -> None:
    part = setup_parts().get("torch")
    assert part.name == "torch"


def test_the_verb_lists_what_there_is(own_home: Path) -> None:
    done = CliRunner().invoke(cli, ["setup", "--json"], catch_exceptions=False)
    (shown,) = [part for part in json.loads(done.output) if part["name"] == "torch"]
    assert shown["status"] in ("here", "declined")  # the tests' own setting is none
    assert "torch" in CliRunner().invoke(cli, ["setup"], catch_exceptions=False).output
