"""Evidence is written once, reads back as it was, and is never overwritten."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from zhilu.context import Context
from zhilu.errors import InputError
from zhilu.gate import Artefact, Figure, Status, Verdict
from zhilu.messages import T
from zhilu.roadmap.evidence import SCHEMA_VERSION, Evidence, EvidenceStore, now, versions

VERDICTS = [
    Verdict.passed(
        T("Done.", "完成。"),
        Figure(T("speed", "速度"), 1.5, "tok/s"),
        Figure(T("count", "数量"), 3),
        Figure(T("name", "名称"), "cpu"),
        artefacts=[Artefact.of_bytes("x", b"x")],
    ),
    Verdict.failed(T("Broken.", "坏了。"), fix="zhilu doctor"),
    Verdict.not_yet(T("Nothing.", "没有。"), fix="zhilu up"),
    Verdict.cannot_run_here(T("No GPU.", "没有显卡。")),
]


def evidence(verdict: Verdict = VERDICTS[0], *, task: str = "4.3", at: str | None = None) -> Evidence:
    return Evidence(task, at or now(), 1.25, verdict, versions(), {"system": "Linux", "cores": 2})


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda v: v.status.value)
def test_what_is_written_reads_back_the_same(context: Context, verdict: Verdict) -> None:
    store, made = EvidenceStore(context.home), evidence(verdict)
    path = store.append(made)
    assert path.parent == context.home.evidence / "4.3"
    assert store.latest("4.3") == made
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["schema_version"] == SCHEMA_VERSION
    assert set(content) == {"schema_version", "task", "checked_at", "seconds", "verdict", "versions", "machine"}
    assert content["verdict"]["why"] == verdict.why.data()


def test_evidence_of_the_same_moment_is_kept_beside_the_first(context: Context) -> None:
    store, at = EvidenceStore(context.home), now()
    paths = [store.append(evidence(verdict, at=at)) for verdict in VERDICTS]
    assert len(set(paths)) == len(VERDICTS)
    assert [item.verdict.status for item in store.history("4.3")] == [v.status for v in reversed(VERDICTS)]


def test_writers_at_the_same_time_lose_nothing(context: Context) -> None:
    store, at = EvidenceStore(context.home), now()
    first = store.append(evidence(VERDICTS[1], at=at))
    before = first.read_bytes()
    threads = [threading.Thread(target=lambda: store.append(evidence(at=at))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.history("4.3")) == 9
    assert first.read_bytes() == before
    assert not list(context.home.evidence.rglob("*.tmp"))


def test_history_is_newest_first_and_skips_what_it_cannot_read(context: Context) -> None:
    store = EvidenceStore(context.home)
    for second in ("01", "09", "10"):
        store.append(evidence(at=f"2026-01-01T00:00:{second}.000000Z"))
    folder = context.home.evidence / "4.3"
    (folder / "2026-01-01T00-00-11.000000Z.json").write_text("{ torn")
    (folder / "2026-01-01T00-00-12.000000Z.json").write_text(json.dumps({"schema_version": 99}))
    assert [item.checked_at[17:19] for item in store.history("4.3")] == ["10", "09", "01"]
    assert store.latest("9.9") is None


def test_without_hard_links_nothing_is_overwritten_either(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    store, at = EvidenceStore(context.home), now()
    paths = [store.append(evidence(verdict, at=at)) for verdict in VERDICTS[:2]]
    assert [json.loads(Path(p).read_text())["verdict"]["status"] for p in paths] == ["passed", "failed"]


@pytest.mark.parametrize("task", ["", "..", "../secret", "a/b", "."])
def test_a_task_is_a_name_and_never_a_path(context: Context, task: str) -> None:
    with pytest.raises(InputError):
        EvidenceStore(context.home).history(task)


def test_an_unknown_status_is_not_read(context: Context) -> None:
    data = evidence().data()
    data["verdict"]["status"] = "excellent"
    with pytest.raises(ValueError, match="excellent"):
        Evidence.of(data)
    assert Status("passed") is Status.PASSED
