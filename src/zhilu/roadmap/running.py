"""Finds the gates, runs them and keeps what they return. A gate that raises has failed; it never ends the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from zhilu.context import Context
from zhilu.errors import CancelledByUser, InputError, MissingComponentError, ZhiluError, nearest
from zhilu.gate import Because, Gate, Verdict
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.roadmap.evidence import Evidence, EvidenceStore, now, versions
from zhilu.roadmap.stages import STAGES, TASKS

__all__ = ["find_gates", "machine", "resolve_tasks", "run_gate", "run_gates"]

Notice = Callable[[Gate, int, int], None]


def find_gates() -> dict[str, Gate]:
    """All installed gates by task, in the roadmap's order.

    A folder whose gates cannot be imported keeps the other folders' working: each of the tasks stays without a gate,
    and the reason is logged.
    """
    registry: Registry[Sequence[Gate]] = Registry.from_entry_points("zhilu.gates", T("gate group", "关卡组"))
    found: dict[str, Gate] = {}
    for name in registry.names():
        found.update({gate.task: gate for gate in _gates_of(registry, name)})
    order = {task: position for position, task in enumerate(TASKS)}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))


def _gates_of(registry: Registry[Sequence[Gate]], name: str) -> Sequence[Gate]:
    try:
        return registry.get(name)
    except Exception as error:  # a third party's package, or an extra that is missing
        from zhilu.logs import get_logger

        get_logger(__name__).warning("gates_not_imported", folder=name, error=str(error))
        return ()


def resolve_tasks(words: Iterable[str], gates: Mapping[str, Gate]) -> list[str]:
    """Task numbers from what a person typed: ``4.1``, a stage ``4``, or nothing for all that have a gate.

    Raises:
        InputError: a word is neither; a named task has no gate in this version.
    """
    words = list(words)
    if not words:
        return list(gates)
    stages = {stage.id: [task.id for task in stage.tasks] for stage in STAGES}
    chosen: list[str] = []
    for word in words:
        if word in stages:
            ready = [task for task in stages[word] if task in gates]
            if not ready:
                raise _no_gate(T(f"Stage {word}", f"第 {word} 阶段"))
            chosen += ready
        elif word in gates:
            chosen.append(word)
        elif word in TASKS:
            raise _no_gate(T(f"Task {word}", f"任务 {word}"))
        else:
            close = nearest(word, [*TASKS, *stages])
            hint = T(f" Did you mean {close}?", f"是不是 {close}？") if close else T("", "")
            raise InputError(
                T(f"There is no task or stage {word!r}.{hint.en}", f"没有任务或阶段 {word!r}。{hint.zh}"),
                param="tasks",
                fix="zhilu learn",
            )
    return list(dict.fromkeys(chosen))


def _no_gate(what: T) -> InputError:
    return InputError(
        T(f"{what.en} has no gate yet: it comes with a later version.", f"{what.zh}还没有关卡：会在以后的版本提供。"),
        param="tasks",
        fix="zhilu learn",
    )


def run_gate(context: Context, gate: Gate) -> Evidence:
    """Run one gate and keep its evidence.

    Raises:
        CancelledByUser: the person stopped it; nothing is kept then.
    """
    began, at = time.monotonic(), now()
    try:
        verdict = gate.run(context)
        if not isinstance(verdict, Verdict):
            raise TypeError(f"the gate returned {type(verdict).__name__}, not a Verdict")
    except CancelledByUser:
        raise
    except MissingComponentError as error:
        verdict = Verdict.cannot_run_here(error.message, fix=error.fix, because=Because.COMPONENT)
    except ZhiluError as error:
        verdict = Verdict.failed(error.message, fix=error.fix)
    except Exception as error:
        from zhilu.logs import get_logger

        get_logger(__name__).error("gate raised", task=gate.task, exc_info=True)
        said = f"{type(error).__name__}: {error}"
        verdict = Verdict.failed(T(f"The gate itself broke: {said}", f"关卡自身出错：{said}"), fix="zhilu doctor")
    evidence = Evidence(gate.task, at, time.monotonic() - began, verdict, versions(), machine())
    EvidenceStore(context.home).append(evidence)
    return evidence


def run_gates(
    context: Context,
    tasks: Sequence[str],
    *,
    gates: Mapping[str, Gate] | None = None,
    before: Notice | None = None,
    after: Callable[[Evidence], None] | None = None,
) -> list[Evidence]:
    """Run the gates of ``tasks`` one after the other (they measure: two at once would disturb each other).

    Args:
        before: called with the gate, its position and how many there are; may raise CancelledByUser.
        after: called with each evidence as it comes.
    """
    gates = find_gates() if gates is None else gates
    results = []
    for position, task in enumerate(tasks):
        if before:
            before(gates[task], position, len(tasks))
        results.append(run_gate(context, gates[task]))
        if after:
            after(results[-1])
    return results


@lru_cache(maxsize=1)
def machine() -> dict[str, Any]:
    """The machine, asked once a process: nvidia-smi takes its time."""
    import platform

    from zhilu.doctor.machine import describe_machine
    from zhilu.doctor.runner import Remembering, SystemRunner

    return describe_machine(Remembering(SystemRunner()), platform.python_version())
