"""Gates are found and run; whatever a gate does, the run goes on and the evidence is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zhilu.context import Context
from zhilu.errors import CancelledByUser, InputError
from zhilu.gate import Gate, Verdict
from zhilu.messages import T
from zhilu.roadmap.evidence import EvidenceStore
from zhilu.roadmap.running import find_gates, resolve_tasks, run_gates
from zhilu.roadmap.stages import TASKS
from zhilu.roadmap.state import roadmap_state

from .conftest import failing, missing, not_yet, passing


def statuses(context: Context, gates: dict[str, Gate]) -> dict[str, str]:
    return {e.task: e.verdict.status.value for e in run_gates(context, list(gates), gates=gates)}


def test_every_verdict_comes_through_and_a_gate_that_raises_has_failed(
    context: Context, gates: dict[str, Gate]
) -> None:
    assert statuses(context, gates) == {
        "0.1": "passed",
        "0.2": "failed",
        "0.3": "cannot_run_here",
        "0.4": "not_yet",
        "1.1": "failed",
        "1.2": "failed",
        "1.3": "failed",
    }
    store = EvidenceStore(context.home)
    assert "ZeroDivisionError: by zero" in store.history("1.1")[0].verdict.why.en
    assert store.history("1.2")[0].verdict.fix == "zhilu up"
    assert "not a Verdict" in store.history("1.3")[0].verdict.why.zh


def test_evidence_carries_versions_and_the_machine(context: Context, gates: dict[str, Gate]) -> None:
    (kept,) = run_gates(context, ["0.1"], gates=gates)
    assert kept.versions["zhilu"] and kept.versions["python"]
    assert kept.machine["cores"] >= 1 and kept.machine["memory_bytes"] > 0
    assert kept.seconds >= 0


def test_a_cancelled_run_stops_and_keeps_no_verdict(context: Context, gates: dict[str, Gate]) -> None:
    def cancelled(_: Context) -> Verdict:
        raise CancelledByUser(T("Stopped.", "已停止。"))

    mixed = {"0.1": gates["0.1"], "0.2": Gate("0.2", T("x", "x"), cancelled)}
    with pytest.raises(CancelledByUser):
        run_gates(context, ["0.1", "0.2"], gates=mixed)
    store = EvidenceStore(context.home)
    assert len(store.history("0.1")) == 1 and not store.history("0.2")


def test_progress_is_told_before_and_after(context: Context, gates: dict[str, Gate]) -> None:
    told: list[object] = []
    run_gates(
        context,
        ["0.1", "0.4"],
        gates=gates,
        before=lambda gate, position, total: told.append((gate.task, position, total)),
        after=lambda evidence: told.append(evidence.verdict.status.value),
    )
    assert told == [("0.1", 0, 2), "passed", ("0.4", 1, 2), "not_yet"]


def test_stage_0_is_installed_through_entry_points() -> None:
    found = find_gates()
    assert {"0.1", "0.2", "0.3", "0.4", "0.5"} <= set(found)
    assert set(found) <= set(TASKS)
    assert list(found) == sorted(found)


def test_words_become_tasks(gates: dict[str, Gate]) -> None:
    assert resolve_tasks([], gates) == list(gates)
    assert resolve_tasks(["0"], gates) == ["0.1", "0.2", "0.3", "0.4"]
    assert resolve_tasks(["1.1", "0.1", "1.1"], gates) == ["1.1", "0.1"]


@pytest.mark.parametrize(
    ("word", "says"), [("6.6", "has no gate yet"), ("6", "has no gate yet"), ("0.11", "Did you mean 0.1")]
)
def test_a_task_without_a_gate_is_refused_by_name(gates: dict[str, Gate], word: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_tasks([word], gates)
    assert says in caught.value.message.en and word in caught.value.message.zh


def test_the_state_shows_verdicts_and_the_next_step(context: Context, gates: dict[str, Gate]) -> None:
    fresh = roadmap_state(context, gates)
    assert (fresh["next"], fresh["passed"], fresh["checkable"], fresh["total"]) == ("0.1", 0, 7, 39)
    run_gates(context, ["0.1", "0.3", "0.4"], gates={**gates, "0.2": gates["0.1"]})
    state = roadmap_state(context, gates)
    tasks = {task["id"]: task for stage in state["stages"] for task in stage["tasks"]}
    assert tasks["0.1"]["status"] == "passed" and tasks["0.1"]["figures"][0]["value"] == 12.5
    assert tasks["0.2"]["status"] == "unchecked" and tasks["0.2"]["checked_at"] is None
    assert tasks["0.4"]["fix"] == "zhilu kb create mine"
    assert tasks["6.6"]["has_gate"] is False and "later version" in tasks["6.6"]["guide"]["en"]
    assert state["next"] == "0.2" and state["passed"] == 1


def test_the_next_step_is_what_was_not_checked_then_what_failed_then_what_waits(context: Context) -> None:
    def gate(task: str, run: Callable[[Context], Verdict]) -> Gate:
        return Gate(task, T("a gate", "一个关卡"), run)

    runs = {"0.1": passing, "0.2": not_yet, "0.3": missing, "0.4": failing}
    some = {task: gate(task, run) for task, run in runs.items()}
    seen = []
    for task in ("0.1", "0.2", "0.3", "0.4"):
        run_gates(context, [task], gates=some)
        state = roadmap_state(context, some)
        seen.append((state["next"], state["next_why"]["en"].split(";")[-1].strip()))
    never = "the first that was not checked yet"
    # "Not yet" and "not installed" do not hold up what comes after them; what failed comes before what waits.
    assert seen == [("0.2", never), ("0.3", never), ("0.4", never), ("0.4", "this one failed")]
    some["0.4"] = gate("0.4", passing)
    run_gates(context, ["0.4"], gates=some)
    assert roadmap_state(context, some)["next"] == "0.2"
    some["0.2"] = gate("0.2", passing)
    run_gates(context, ["0.2"], gates=some)
    state = roadmap_state(context, some)
    assert state["next"] == "0.3"  # a component that can be installed is a step, no limit of the machine
    lacking = state["stages"][0]["tasks"][2]
    assert (lacking["status"], lacking["because"]) == ("cannot_run_here", "component")
    assert lacking["fix"] == "pip install transformers"
    assert (
        (state["stages"][0]["passed"], state["stages"][0]["checkable"])
        == (state["passed"], state["checkable"])
        == (3, 4)
    )


def test_what_the_hardware_forbids_holds_nobody_up(context: Context, gates: dict[str, Gate]) -> None:
    only = {"0.3": gates["0.3"]}
    run_gates(context, ["0.3"], gates=only)
    assert roadmap_state(context, only)["next"] is None
