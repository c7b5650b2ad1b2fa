"""What a person sees of the work on an answer, read from an agent's journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.agents.journal import Entry

__all__ = ["ChatStep", "steps_of"]


class ChatStep(BaseModel):
    """What a person sees of a step. ``kind`` ``plan``: ``plan`` are the calls it means to make, ``tool`` and ``aim``.

    ``kind`` ``call``: one call. ``effect`` is known where a person is or was asked; ``changed``: the arguments that the person put
    instead; ``seconds``: how long the tool worked."""

    id: str
    kind: Literal["plan", "call"] = "call"
    name: str = ""
    arguments: Any = None
    changed: dict[str, Any] | None = None
    effect: Literal["read", "write", "run", "send"] | None = None
    state: Literal["waiting", "running", "done", "failed", "refused"] = "done"
    result: str = ""
    seconds: float | None = None
    plan: list[dict[str, str]] = []


def steps_of(
    entries: Sequence[Entry],
    told: Mapping[str, Mapping[str, Any]],
    waiting: set[str],
    decided: Mapping[str, bool],
    within: Mapping[str, Sequence[Entry]] | None = None,
    outer: str = "",
) -> list[ChatStep]:
    """What a journal holds, as a person reads it: calls of a turn stand there before they are made, those of a sub-agent behind the
    call that it works on. ``outer``: begins the ids of a sub-agent's."""
    steps: list[ChatStep] = []
    came = {entry.asked["id"]: entry.came for entry in entries if entry.kind == "tool"}
    last = max((entry.seq for entry in entries if entry.kind == "model"), default=0)
    for entry in (e for e in entries if e.kind == "model"):
        number = entry.asked["step"]
        if entry.came.get("plan"):
            steps.append(ChatStep(id=f"{outer}{number}.plan", kind="plan", plan=entry.came["plan"]))
        for place, (name, arguments) in enumerate(entry.came["calls"], 1):
            call = f"{number}.{place}"
            known = told.get(f"{outer}{call}", {})
            step = ChatStep(
                id=f"{outer}{call}",
                name=name,
                arguments=arguments,
                effect=known.get("effect"),
                changed=known.get("changed"),
            )
            if call in came:
                result = came[call]["result"]
                step.result, step.seconds = result["text"], came[call]["seconds"]
                step.state = "refused" if decided.get(step.id) is False else "failed" if result["is_error"] else "done"
            elif step.id in waiting:
                step.state = "waiting"
            elif entry.seq == last:
                step.state = "running"
            else:
                continue  # it was not tried: it did not fit, or was made before
            steps.append(step)
            if inner := (within or {}).get(step.id):
                steps += steps_of(inner, told, waiting, decided, within, f"{step.id}~")
    return steps
