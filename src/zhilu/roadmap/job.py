"""The job that runs gates for the workbench: progress per gate, verdicts in the result and in the log."""

from __future__ import annotations

from typing import Any

from zhilu.gate import Gate
from zhilu.jobs import JobContext, JobKind
from zhilu.messages import T
from zhilu.roadmap.evidence import Evidence
from zhilu.roadmap.running import find_gates, resolve_tasks, run_gates

__all__ = ["CHECK", "run_check"]


def run_check(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    """``params["tasks"]``: task or stage numbers; empty: every task with a gate.

    A failed gate is a result, not a failure of the job.
    """
    gates = find_gates()
    tasks = resolve_tasks(params.get("tasks", []), gates)

    def before(gate: Gate, position: int, total: int) -> None:
        job.progress(position / total, T(f"{gate.task} {gate.title.en}", f"{gate.task} {gate.title.zh}"), gate.task)

    def after(evidence: Evidence) -> None:
        job.log(
            f"{evidence.task} {evidence.verdict.status.value} ({evidence.seconds:.1f} s): {evidence.verdict.why.en}"
        )

    results = run_gates(job.context, tasks, gates=gates, before=before, after=after)
    return {
        "tasks": {evidence.task: evidence.verdict.status.value for evidence in results},
        "failed": [evidence.task for evidence in results if evidence.verdict.status.value == "failed"],
    }


# Resumable: a gate half-run leaves nothing, and a gate run twice leaves two honest pieces of evidence.
CHECK = JobKind(name="check", run=run_check, resumable=True)
