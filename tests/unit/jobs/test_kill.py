"""kill -9 at random moments: a job still ends exactly once."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from zhilu.jobs import dispatch
from zhilu.jobs.worker import RunningJob
from zhilu.messages import T
from zhilu.process import Birth, mine
from zhilu.tables import JobRow

ROUNDS = int(os.environ.get("ZHILU_KILLS") or 2)


def kill_worker(bench, job_id):
    worker = bench.worker(job_id)
    if worker is not None and worker != mine():
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_job_killed_at_random_moments_still_ends_exactly_once(bench, seed):
    moments = random.Random(seed)
    job = bench.count(40, pause=0.02)
    for _ in range(dispatch.MAX_DEATHS - 1):
        time.sleep(moments.uniform(0.0, 0.6))
        kill_worker(bench, job.id)
        bench.store.recover()
    ended = bench.store.wait(job.id, timeout=60)
    assert ended.status == "done"
    assert bench.lines() == list(range(40))
    assert bench.reasons(job.id).count("finished") == 1
    assert ended.attempt == 1 + bench.reasons(job.id).count("died")


def test_one_that_cannot_resume_fails_with_a_reason(bench):
    job = bench.count(400, kind="COUNT_ONCE", pause=0.05)
    while not bench.lines():
        time.sleep(0.02)
    kill_worker(bench, job.id)
    ended = bench.store.wait(job.id, timeout=10)
    assert (ended.status, ended.error["code"], ended.attempt) == ("failed", "worker_died", 1)
    assert "out of memory" in ended.error["message"]
    assert ended.error["fix"] == f"zhilu jobs retry {job.id}"


def test_one_that_kills_its_worker_each_time_is_given_up(bench):
    job = bench.count(400, pause=0.05)
    for death in range(1, dispatch.MAX_DEATHS + 1):
        while bench.store.get(job.id).status != "running" or bench.worker(job.id) == mine():
            time.sleep(0.02)
        kill_worker(bench, job.id)
        while bench.reasons(job.id).count("died") < death:
            time.sleep(0.02)
    ended = bench.store.wait(job.id, timeout=10)
    assert (ended.status, ended.attempt) == ("failed", dispatch.MAX_DEATHS)
    assert "5 times" in ended.error["message"]


def test_what_a_dead_worker_had_started_dies_too(bench):
    job = bench.count(400, kind="COUNT_ONCE", pause=0.05, child=True)
    note = Path(bench.folder / "numbers.child")
    while not note.exists() or not note.read_text() or not bench.lines():
        time.sleep(0.02)
    child = psutil.Process(int(note.read_text()))
    kill_worker(bench, job.id)
    assert bench.store.wait(job.id, timeout=10).status == "failed"
    gone = not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    with suppress(psutil.NoSuchProcess):
        child.wait(timeout=5)
        gone = True
    assert gone


def test_a_number_used_again_is_not_taken_for_the_worker(bench, monkeypatch):
    monkeypatch.setattr(dispatch, "start_queued", lambda context: 0)
    job = bench.count(2)
    stranger = mine()
    with bench.context.database.session() as session:
        row = session.get(JobRow, job.id)
        row.status, row.attempt, row.pid, row.pid_started = "running", 1, stranger.pid, stranger.started - 100
    assert bench.store.recover() == [job.id]
    monkeypatch.undo()
    assert bench.store.wait(job.id).attempt == 2


def test_a_worker_whose_row_was_given_away_changes_nothing(bench, monkeypatch):
    monkeypatch.setattr(dispatch, "start_queued", lambda context: 0)
    job = bench.count(2)
    with bench.context.database.session() as session:
        row = session.get(JobRow, job.id)
        row.status, row.attempt, row.pid, row.pid_started = "running", 1, *mine()
    late = RunningJob(bench.context, job.id, 1)
    assert late.take_over()
    late.progress(0.5, T("Half", "一半"))
    with bench.context.database.session() as session:
        session.get(JobRow, job.id).attempt = 2
    late.log("too late")
    with pytest.raises(Exception, match="taken over"):
        late.check()
    late.finish("done", "finished", result={"wrong": True})
    now = bench.store.get(job.id)
    assert (now.status, now.result, now.progress) == ("running", None, 0.5)
    assert not RunningJob(bench.context, job.id, 1).take_over()


def test_one_that_does_not_listen_is_killed_after_the_grace(bench, monkeypatch):
    monkeypatch.setattr(dispatch, "CANCEL_GRACE", -5.0)  # here and now: the recovery, not the worker's own ten seconds
    job = bench.count(4000, pause=0.05, deaf=True)
    while not bench.lines():
        time.sleep(0.02)
    bench.store.cancel(job.id)
    assert bench.store.wait(job.id, timeout=10).status == "cancelled"
    assert bench.worker(job.id) is None


def test_a_machine_that_shuts_down_does_not_cancel(bench):
    job = bench.count(60, pause=0.03)
    while not bench.lines():
        time.sleep(0.02)
    os.kill(bench.worker(job.id).pid, signal.SIGTERM)
    ended = bench.store.wait(job.id, timeout=30)
    assert (ended.status, ended.attempt) == ("done", 2)
    assert bench.reasons(job.id) == ["submitted", "started", "died", "started", "finished"]
    assert bench.lines() == list(range(60))


@pytest.mark.slow
def test_a_deaf_worker_ends_itself_when_nobody_else_looks(bench):
    job = bench.count(4000, pause=0.05, deaf=True)
    while not bench.lines():
        time.sleep(0.02)
    bench.store.cancel(job.id)
    deadline = time.monotonic() + dispatch.CANCEL_GRACE + 6
    while time.monotonic() < deadline and not bench.store.get(job.id).ended:
        time.sleep(0.2)
    assert bench.store.get(job.id).status == "cancelled"


def test_births():
    assert mine().is_alive()
    assert not Birth(mine().pid, mine().started + 1).is_alive()
    assert Birth.of(2**22 + 1) is None
