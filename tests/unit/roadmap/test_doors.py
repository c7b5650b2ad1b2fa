"""``zhilu learn``, ``zhilu check``, their routes and the job behind the workbench's button."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from zhilu.cli import cli
from zhilu.context import Context
from zhilu.gate import Gate
from zhilu.host.app import create_app
from zhilu.jobs import JobStore
from zhilu.messages import T
from zhilu.roadmap import running
from zhilu.roadmap.evidence import EvidenceStore
from zhilu.roadmap.job import run_check


@pytest.fixture
def only_these(gates: dict[str, Gate], monkeypatch: pytest.MonkeyPatch) -> dict[str, Gate]:
    """The gates of the tests instead of the installed ones."""
    for module in ("zhilu.roadmap.running", "zhilu.roadmap.state", "zhilu.roadmap.job", "zhilu.roadmap.routes"):
        monkeypatch.setattr(f"{module}.find_gates", lambda: gates)
    assert running.find_gates() is gates
    return gates


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["--lang", "en", *args])


def test_check_prints_verdict_figures_and_fix_and_fails_with_a_failed_gate(only_these: dict[str, Gate]) -> None:
    passed = run("check", "0.1")
    assert passed.exit_code == 0
    assert "0.1 ✓ passed  It ran." in passed.stdout and "speed: 12.5 GFLOP/s" in passed.stdout
    failed = run("check", "0.2")
    assert failed.exit_code == 1
    assert "✗ failed" in failed.stdout and "$ zhilu doctor" in failed.stdout


def test_not_yet_and_cannot_run_here_are_no_failures(only_these: dict[str, Gate]) -> None:
    assert run("check", "0.3", "0.4").exit_code == 0


def test_check_json_is_the_evidence_and_nothing_else(only_these: dict[str, Gate]) -> None:
    result = run("check", "0.1", "0.2", "--json")
    answer = json.loads(result.stdout)
    assert result.exit_code == 1 and answer["failed"] == ["0.2"]
    assert [item["verdict"]["status"] for item in answer["evidence"]] == ["passed", "failed"]
    assert answer["evidence"][0]["schema_version"] == 1


@pytest.mark.parametrize("suffix", ["html", "json"])
def test_check_writes_the_transcript(only_these: dict[str, Gate], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    assert run("check", "0.1", "--report", str(path)).exit_code == 0
    content = path.read_text(encoding="utf-8")
    if suffix == "html":
        assert content.lstrip().startswith("<!doctype html>") and "12.5 GFLOP/s" in content
    else:
        assert json.loads(content)["summary"]["passed"] == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["check", "9.9"], "no task or stage"),
        (["check", "0.5"], "no gate yet"),
        (["check", "0.1", "--report", "out.pdf"], ".html or .json"),
        (["check", "0.1", "--report", "/no/such/folder/out.html"], "does not exist"),
        (["learn", "7"], "stages are 0 to 6"),
    ],
)
def test_wrong_words_are_refused(only_these: dict[str, Gate], args: list[str], says: str) -> None:
    result = run(*args)
    assert result.exit_code != 0 and says in str(result.exception)


def test_learn_shows_the_path_and_the_next_step(only_these: dict[str, Gate]) -> None:
    path = run("learn").stdout
    assert "0  Environment" in path and "6.6  Optimizers" in path and "Next: zhilu learn 0.1" in path
    run("check", "0.1")
    assert "✓ 0.1" in run("learn").stdout
    state = json.loads(run("learn", "--json").stdout)
    assert state["next"] == "0.2" and len(state["stages"]) == 7
    assert "later version" not in run("learn", "1.3").stdout  # these tests have a gate for it
    assert "come with a later version" in run("learn", "6.6").stdout


def test_learn_speaks_chinese(only_these: dict[str, Gate]) -> None:
    result = CliRunner().invoke(cli, ["--lang", "zh", "learn", "4.3"])
    assert "完整流程" in result.stdout and "以后的版本" in result.stdout


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=("roadmap",)), base_url="http://127.0.0.1") as client:
        yield client


def test_the_roadmap_over_http(client: TestClient, context: Context, only_these: dict[str, Gate]) -> None:
    running.run_gates(context, ["0.1"], gates=only_these)
    roadmap = client.get("/zhilu/v1/roadmap").json()
    first = roadmap["stages"][0]["tasks"][0]
    assert (first["id"], first["status"], first["figures"][1]) == (
        "0.1",
        "passed",
        {"name": {"en": "device", "zh": "设备"}, "value": "cpu", "unit": ""},
    )
    (evidence,) = client.get("/zhilu/v1/evidence/0.1").json()
    assert evidence["verdict"]["artefacts"][0]["size"] == 3
    assert client.get("/zhilu/v1/evidence/6.6").json() == []
    assert client.get("/zhilu/v1/evidence/9.9").status_code == 404
    assert client.get("/zhilu/v1/evidence/..%2f..").status_code == 404


def test_the_report_over_http_loads_nothing(client: TestClient, only_these: dict[str, Gate]) -> None:
    page = client.get("/zhilu/v1/roadmap/report")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert client.get("/zhilu/v1/roadmap/report", params={"format": "json"}).json()["schema_version"] == 1
    assert client.get("/zhilu/v1/roadmap/report", params={"format": "pdf"}).status_code == 400


def test_a_check_asked_for_by_the_workbench_is_a_job(
    client: TestClient, context: Context, only_these: dict[str, Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobStore, "dispatch", lambda self: None)  # the next test lets a worker run
    answer = client.post("/zhilu/v1/roadmap/check", json={"tasks": ["0"]})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["params"]) == ("check", {"tasks": ["0.1", "0.2", "0.3", "0.4"]})
    assert job["title"]["zh"].startswith("检查")
    assert client.post("/zhilu/v1/roadmap/check", json={"tasks": ["6.6"]}).status_code == 400
    assert client.post("/zhilu/v1/roadmap/check", json={"taks": []}).status_code == 400


def test_a_worker_runs_gates_and_keeps_their_evidence(context: Context) -> None:
    """For real: another process, the installed gates. 0.3 is quick on any machine."""
    store = JobStore(context)
    job = store.wait(store.submit("check", {"tasks": ["0.3"]}, T("Check 0.3", "检查 0.3")).id, timeout=120)
    assert job.status == "done", job.error
    kept = EvidenceStore(context.home).latest("0.3")
    assert kept is not None and job.result == {
        "tasks": {"0.3": kept.verdict.status.value},
        "failed": ["0.3"] if kept.verdict.status.value == "failed" else [],
    }


def test_the_job_tells_its_progress_and_a_failed_gate_is_a_result(
    context: Context, only_these: dict[str, Gate]
) -> None:
    class Recording:
        id, attempt = "x", 1

        def __init__(self) -> None:
            self.context = context
            self.told: list[tuple[float, str]] = []
            self.logged: list[str] = []

        def progress(self, fraction: float, stage: object, detail: str = "") -> None:
            self.told.append((fraction, detail))

        def log(self, text: str) -> None:
            self.logged.append(text)

        def check(self) -> None: ...

    job = Recording()
    result = run_check(job, {"tasks": ["0.1", "0.2"]})
    assert result == {"tasks": {"0.1": "passed", "0.2": "failed"}, "failed": ["0.2"]}
    assert job.told == [(0.0, "0.1"), (0.5, "0.2")]
    assert job.logged[1].startswith("0.2 failed")
