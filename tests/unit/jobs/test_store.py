from __future__ import annotations

import threading
import time

import pytest

from zhilu.context import open_context
from zhilu.errors import ConflictError, NotFoundError
from zhilu.jobs import JobStore, dispatch
from zhilu.messages import T
from zhilu.tables import JobRow


def test_a_job_runs_in_a_process_of_its_own_and_tells_its_story_in_order(bench):
    seen = []
    job = bench.store.wait(bench.count(4, pause=0.01).id, on_event=seen.append)
    assert (job.status, job.progress, job.result) == ("done", 1.0, {"counted": 4, "attempt": 1})
    assert bench.lines() == [0, 1, 2, 3]
    assert job.created_at <= job.started_at <= job.finished_at
    assert [e.id for e in seen] == sorted(e.id for e in seen)
    assert bench.reasons(job.id) == ["submitted", "started", "finished"]
    fractions = [e.data["progress"] for e in seen if e.type == "progress"]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [e.type for e in seen][-2:] == ["log", "status"]
    assert seen[-2].data == {"text": "counted to 4"}
    assert f"job {job.id}, attempt 1" in bench.store.log_text(job.id)


def test_a_failure_says_what_in_the_job_and_where_in_the_log_only(bench):
    job = bench.store.wait(bench.count(4, fail_at=2).id)
    assert job.status == "failed"
    assert "cannot count 2" in job.error["message"]
    assert job.error["fix"] == f"zhilu jobs logs {job.id}"
    assert "Traceback" not in str(job.error)
    assert "Traceback" in bench.store.log_text(job.id)


def test_an_error_made_on_purpose_arrives_whole(bench):
    job = bench.store.wait(bench.count(4, refuse_at=1).id)
    assert job.error["messages"] == {"en": "1 is refused.", "zh": "拒绝 1。"}
    assert job.error["fix"] == "zhilu --help"


def test_a_retry_goes_on_under_the_same_id(bench):
    job = bench.store.wait(bench.count(4, kind="COUNT_ONCE", refuse_at=9, fail_at=2).id)
    with pytest.raises(ConflictError, match="already ended"):
        bench.store.cancel(job.id)
    again = bench.store.wait(bench.store.retry(job.id).id)
    assert (again.id, again.status, again.attempt) == (job.id, "failed", 2)
    assert bench.reasons(job.id) == ["submitted", "started", "failed", "retry", "started", "failed"]


def test_a_finished_job_cannot_be_retried(bench):
    job = bench.store.wait(bench.count(1).id)
    with pytest.raises(ConflictError, match="is done"):
        bench.store.retry(job.id)


def test_no_more_than_max_jobs_run_and_the_rest_follow_by_themselves(bench):
    ids = [bench.count(3, name=str(k), pause=0.02).id for k in range(3)]
    assert [bench.store.get(i).status for i in ids] == ["running", "queued", "queued"]
    done = [bench.store.wait(i) for i in ids]
    assert [j.status for j in done] == ["done"] * 3
    assert done[0].finished_at <= done[1].started_at <= done[1].finished_at <= done[2].started_at


def test_a_light_job_runs_beside_the_others(bench):
    heavy, waiting = bench.count(400, pause=0.05), bench.count(1, name="waiting")
    light = bench.store.wait(bench.count(2, name="light", kind="COUNT_LIGHT").id, timeout=30)
    assert light.status == "done"
    assert [bench.store.get(j.id).status for j in (heavy, waiting)] == ["running", "queued"]


def test_jobs_that_wait_for_a_person_leave_their_slots_to_others(bench):
    answer = bench.folder / "answer"
    kinds = ["COUNT", *["COUNT_LIGHT"] * dispatch._MAX_LIGHT]
    forgotten = [bench.count(1, name=f"forgotten{n}", kind=kind, until=str(answer)) for n, kind in enumerate(kinds)]
    for kind in ("COUNT", "COUNT_LIGHT"):
        assert bench.store.wait(bench.count(2, name=f"next {kind}", kind=kind).id, timeout=60).status == "done"
    assert [bench.store.get(j.id).status for j in forgotten] == ["running"] * len(kinds)
    answer.touch()
    assert [bench.store.wait(j.id).result for j in forgotten] == [{"counted": 1, "attempt": 1}] * len(kinds)
    with bench.context.database.reading() as session:
        assert session.query(JobRow).filter(JobRow.waiting).count() == 0


def test_two_dispatchers_start_a_job_once(bench, monkeypatch):
    monkeypatch.setattr(dispatch, "start_queued", lambda context: 0)
    ids = [bench.count(2, name=str(k)).id for k in range(6)]
    monkeypatch.undo()
    contexts = [open_context({"home": str(bench.context.home.path), "max_jobs": 6}) for _ in range(4)]
    barrier = threading.Barrier(len(contexts))

    def start(context):
        barrier.wait()
        JobStore(context).dispatch()

    threads = [threading.Thread(target=start, args=(c,)) for c in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for job_id in ids:
        assert bench.store.wait(job_id).attempt == 1
        assert bench.reasons(job_id).count("started") == 1
    for context in contexts:
        context.close()


def test_a_queued_job_is_cancelled_at_once(bench):
    first, second = bench.count(50, pause=0.05), bench.count(1, name="second")
    assert bench.store.cancel(second.id).status == "cancelled"
    bench.store.cancel(first.id)
    assert bench.store.wait(first.id).status == "cancelled"
    assert bench.lines("second") == []


def test_a_running_job_stops_at_its_next_check(bench):
    job = bench.count(400, pause=0.05)
    while not bench.lines():
        time.sleep(0.02)
    assert bench.store.cancel(job.id).cancel_requested
    ended = bench.store.wait(job.id)
    assert (ended.status, ended.error) == ("cancelled", None)
    assert len(bench.lines()) < 400
    assert bench.reasons(job.id) == ["submitted", "started", "cancel", "cancelled"]


def test_a_job_that_awaits_another_is_given_a_slot(bench):
    job = bench.store.submit("zhilu.jobs.testing:NESTED", {"file": str(bench.folder / "inner")}, T("Outer", "外层"))
    assert bench.store.wait(job.id, timeout=30).result == {"inner": "done"}
    assert bench.lines("inner") == [0, 1]


def test_settings_given_as_flags_reach_the_worker(bench):
    context = open_context({"home": str(bench.context.home.path), "threads": 7, "lang": "zh"})
    store = JobStore(context)
    job = store.wait(store.submit("zhilu.jobs.testing:SETTINGS", {}, T("Settings", "设置")).id)
    assert job.result == {"threads": 7, "lang": "zh", "home": str(bench.context.home.path)}
    context.close()


def test_waiting_has_an_end(bench):
    job = bench.count(100, pause=0.1)
    assert bench.store.wait(job.id, timeout=0.3).status == "running"


def test_a_worker_that_cannot_be_started_fails_its_job(bench, monkeypatch):
    monkeypatch.setattr(dispatch.sys, "executable", str(bench.folder / "no-python"))
    job = bench.count(1)
    assert (job.status, job.error["fix"]) == ("failed", f"zhilu jobs retry {job.id}")
    assert "no-python" in job.error["message"]


def test_unknown_kinds_and_jobs_are_named(bench):
    with pytest.raises(NotFoundError, match=r"'inject'.*'ingest'"):
        bench.store.submit("inject", {}, T("x", "x"))
    with pytest.raises(NotFoundError, match="No job 'nope'"):
        bench.store.get("nope")


def test_lists_are_newest_first_and_filtered(bench):
    first = bench.store.wait(bench.count(1).id)
    second = bench.store.wait(bench.count(1, fail_at=0, name="b").id)
    assert [j.id for j in bench.store.list()] == [second.id, first.id]
    assert [j.id for j in bench.store.list(status="failed")] == [second.id]
    assert [j.id for j in bench.store.list(status=("done", "failed"), limit=1)] == [second.id]
    assert bench.store.list(kind="ingest") == []


def test_changes_are_told_once(bench):
    cursor, nothing = bench.store.changed_since(None)
    assert nothing == []
    job = bench.store.wait(bench.count(1).id)
    cursor, changed = bench.store.changed_since(cursor)
    assert [j.id for j in changed] == [job.id]
    assert bench.store.changed_since(cursor) == (cursor, [])
