"""Where a person is on the roadmap: every task with the verdict of its latest evidence, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zhilu.context import Context
from zhilu.gate import Because, Gate, Status
from zhilu.messages import T
from zhilu.roadmap.evidence import Evidence, EvidenceStore
from zhilu.roadmap.running import find_gates
from zhilu.roadmap.stages import STAGES
from zhilu.roadmap.task import Stage, Task

__all__ = ["UNCHECKED", "next_task", "roadmap_state"]

UNCHECKED = "unchecked"


def roadmap_state(context: Context, gates: Mapping[str, Gate] | None = None) -> dict[str, Any]:
    """The wire form of ``GET /zhilu/v1/roadmap``."""
    gates = find_gates() if gates is None else gates
    store = EvidenceStore(context.home)
    stages = [_stage(stage, gates, store) for stage in STAGES]
    tasks = [task for stage in stages for task in stage["tasks"]]
    following, why = next_task(tasks)
    return {
        "stages": stages,
        "next": following["id"] if following else None,
        "next_why": why.data(),
        **_counts(tasks),
        "total": len(tasks),
    }


def _counts(tasks: list[dict[str, Any]]) -> dict[str, int]:
    """The one count of the roadmap, for a stage or for all: gates passed, of the gates there are."""
    return {
        "passed": sum(task["status"] == Status.PASSED.value for task in tasks),
        "checkable": sum(task["has_gate"] for task in tasks),
    }


def next_task(tasks: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, T]:
    """The task to do next, and why it is that one.

    First what was never checked, in the order of the path; then what failed; then what waits for a step or for something to
    be installed. So a gate that a person leaves for later holds nobody up, and neither does what the machine forbids.
    """
    gated = [task for task in tasks if task["has_gate"]]
    turns = (
        (lambda task: task["status"] == UNCHECKED, T("the first that was not checked yet", "第一个还没有检查的")),
        (
            lambda task: task["status"] == Status.FAILED.value,
            T("all are checked; this one failed", "都检查过了，这一项未通过"),
        ),
        (_waits, T("all are checked; this one waits for a step of yours", "都检查过了，这一项还差你的一步操作")),
    )
    for wanted, why in turns:
        task = next((task for task in gated if wanted(task)), None)
        if task is not None:
            return task, why
    return None, T("every gate that can run on this machine has passed", "本机能运行的关卡已全部通过")


def _waits(task: Mapping[str, Any]) -> bool:
    """A step of the person's would let this gate run."""
    return task["status"] == Status.NOT_YET.value or (
        task["because"] in (Because.COMPONENT.value, Because.SETTING.value) and task["fix"] is not None
    )


def _stage(stage: Stage, gates: Mapping[str, Gate], store: EvidenceStore) -> dict[str, Any]:
    tasks = [_task(task, gates.get(task.id), store.latest(task.id)) for task in stage.tasks]
    return {
        "id": stage.id,
        "title": stage.title.data(),
        "subtitle": stage.subtitle.data(),
        "tools": stage.tools.data(),
        "also": stage.also.data() if stage.also else None,
        "optional": stage.optional,
        **_counts(tasks),
        "tasks": tasks,
    }


def _task(task: Task, gate: Gate | None, evidence: Evidence | None) -> dict[str, Any]:
    verdict = evidence.verdict if evidence else None
    return {
        "id": task.id,
        "title": task.title.data(),
        "gate": task.gate.data(),
        "guide": task.guide(has_gate=gate is not None).data(),
        "command": task.command,
        "optional": task.optional,
        "has_gate": gate is not None,
        "slow": gate.slow if gate else False,
        "needs": list(gate.needs) if gate else [],
        "status": verdict.status.value if verdict else UNCHECKED,
        "checked_at": evidence.checked_at if evidence else None,
        "seconds": round(evidence.seconds, 2) if evidence else None,
        "why": verdict.why.data() if verdict else None,
        "fix": verdict.fix if verdict else None,
        "because": verdict.because.value if verdict and verdict.because else None,
        "figures": [figure.data() for figure in verdict.figures] if verdict else [],
    }
