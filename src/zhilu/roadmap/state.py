"""Where a person is on the roadmap: every task with the verdict of its latest evidence, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zhilu.context import Context
from zhilu.gate import Gate, Status
from zhilu.roadmap.evidence import Evidence, EvidenceStore
from zhilu.roadmap.running import find_gates
from zhilu.roadmap.stages import STAGES
from zhilu.roadmap.task import Stage, Task

__all__ = ["UNCHECKED", "next_task", "roadmap_state"]

UNCHECKED = "unchecked"
DONE = (Status.PASSED.value, Status.CANNOT_RUN_HERE.value)  # what the hardware forbids holds nobody up


def roadmap_state(context: Context, gates: Mapping[str, Gate] | None = None) -> dict[str, Any]:
    """The wire form of ``GET /zhilu/v1/roadmap``."""
    gates = find_gates() if gates is None else gates
    store = EvidenceStore(context.home)
    stages = [_stage(stage, gates, store) for stage in STAGES]
    tasks = [task for stage in stages for task in stage["tasks"]]
    following = next_task(tasks)
    return {
        "stages": stages,
        "next": following["id"] if following else None,
        "passed": sum(task["status"] == Status.PASSED.value for task in tasks),
        "checkable": sum(task["has_gate"] for task in tasks),
        "total": len(tasks),
    }


def next_task(tasks: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first task with a gate that is neither passed nor impossible here; None when all are."""
    return next((task for task in tasks if task["has_gate"] and task["status"] not in DONE), None)


def _stage(stage: Stage, gates: Mapping[str, Gate], store: EvidenceStore) -> dict[str, Any]:
    return {
        "id": stage.id,
        "title": stage.title.data(),
        "subtitle": stage.subtitle.data(),
        "tools": stage.tools.data(),
        "also": stage.also.data() if stage.also else None,
        "optional": stage.optional,
        "tasks": [_task(task, gates.get(task.id), store.latest(task.id)) for task in stage.tasks],
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
        "figures": [figure.data() for figure in verdict.figures] if verdict else [],
    }
