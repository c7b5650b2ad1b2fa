"""What a stage and a task of the roadmap are. The seven stages themselves are data in ``stages/``."""

from __future__ import annotations

from dataclasses import dataclass

from zhilu.messages import T

__all__ = ["LATER", "Stage", "Task"]

LATER = T(
    "The gate of this task, and what it still needs, come with a later version.",
    "这个任务的关卡，以及它还缺少的部分，会在以后的版本提供。",
)


@dataclass(frozen=True)
class Task:
    """One task of the roadmap.

    Attributes:
        id: stage and number, such as ``4.1``.
        title: what is to be done.
        gate: what its gate checks.
        why: why it matters, in a sentence or two.
        do: what to do in Zhilu, with the page and the command.
        command: the command that does it or begins it, where there is one in this version.
        optional: the roadmap says so.
    """

    id: str
    title: T
    gate: T
    why: T
    do: T
    command: str | None = None
    optional: bool = False

    def guide(self, *, has_gate: bool) -> T:
        """Why and what to do, as paragraphs; says so where the gate is not built yet."""
        parts = [self.why, self.do, *([] if has_gate else [LATER])]
        return T("\n\n".join(part.en for part in parts), "\n\n".join(part.zh for part in parts))


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        id: ``0`` to ``6``.
        subtitle: what one can do after it.
        tools: the tools that the roadmap names for it.
        also: what else there is to see, read or build in it.
    """

    id: str
    title: T
    subtitle: T
    tools: T
    tasks: tuple[Task, ...]
    also: T | None = None
    optional: bool = False
