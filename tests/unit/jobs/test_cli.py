from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zhilu.errors import CancelledByUser, UpstreamError
from zhilu.jobs.cli import jobs
from zhilu.jobs.follow import _with_bar, follow, raise_unless_done, say_fewer


@pytest.fixture
def run(bench):
    def invoke(*argv):
        return CliRunner().invoke(jobs, argv, obj=bench.context)

    return invoke


def test_list_show_and_logs(bench, run):
    assert "No jobs yet." in run("list").stdout
    job = bench.store.wait(bench.count(2).id)
    assert job.id in run("list").stdout
    assert [row["id"] for row in json.loads(run("list", "--json").stdout)] == [job.id]
    shown = run("show", job.id)
    assert (shown.exit_code, "done 100%" in shown.stdout) == (0, True)
    assert json.loads(run("show", job.id, "--json").stdout)["result"] == {"counted": 2, "attempt": 1}
    assert "counted to 2" in run("logs", job.id).stdout
    assert "counted to 2" in json.loads(run("logs", job.id, "--json").stdout)["text"]


def test_fewer_than_asked_for_are_told(bench, capsys):
    done = bench.store.wait(bench.count(1).id)
    for made, said in ((3, ""), (1, "1 of 3 were made"), (0, "0 of 3 were made")):
        say_fewer(done.model_copy(update={"result": {"made": made}}), 3)
        told = capsys.readouterr().err
        assert (said in told and f"zhilu jobs logs {done.id}" in told) if said else not told


def test_follow_shows_stages_on_stderr_and_ends_with_the_job(bench, run):
    job = bench.count(3, pause=0.05)
    shown = run("show", job.id, "--follow")
    assert "Counting" in shown.stderr
    assert "counted to 3" in shown.stderr
    assert "done 100%" in shown.stdout
    other = bench.count(3, name="other", pause=0.05)
    assert run("logs", other.id, "--follow").stdout.endswith("counted to 3\n")


def test_a_failed_job_is_exit_code_1_with_its_fix(bench, run):
    job = bench.store.wait(bench.count(2, fail_at=1).id)
    shown = run("show", job.id)
    assert shown.exit_code == 1
    assert f"→ zhilu jobs logs {job.id}" in shown.stdout
    with pytest.raises(UpstreamError, match="cannot count 1") as raised:
        raise_unless_done(job)
    assert raised.value.fix == f"zhilu jobs logs {job.id}"


def test_cancel_and_retry(bench, run):
    first, second = bench.count(100, pause=0.05), bench.count(1, name="b")
    assert "cancelled" in run("cancel", second.id).stdout
    assert json.loads(run("cancel", first.id, "--json").stdout)["cancel_requested"] is True
    ended = bench.store.wait(first.id)
    with pytest.raises(CancelledByUser, match=first.id):
        raise_unless_done(ended)
    assert run("retry", second.id).exit_code == 0
    assert raise_unless_done(bench.store.wait(second.id)).status == "done"


def test_ctrl_c_leaves_the_job_running(bench, monkeypatch, capsys):
    job = bench.count(100, pause=0.05)

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.store, "wait", interrupted)
    assert follow(bench.store, job.id).status == "running"
    assert f"zhilu jobs cancel {job.id}" in capsys.readouterr().err


def test_the_bar_leaves_only_the_log_behind(bench, capsys):
    assert _with_bar(bench.store, bench.count(3, pause=0.05).id).status == "done"
    assert "counted to 3" in capsys.readouterr().err
