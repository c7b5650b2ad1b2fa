"""The runs of this home: what each was asked to do, and what came of it. A folder a run under ``agents/``."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zhilu.agents.journal import RunJournal
from zhilu.agents.loop import Budget, Ending
from zhilu.errors import InputError, NotFoundError, nearest
from zhilu.home import atomic_write
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Run", "RunStore", "RunWish", "start_run"]

_ID = re.compile(r"[0-9a-f]{12}\Z")
# Named here because ``RunStore.list`` hides the builtin inside the class.
Runs = list["Run"]
Messages = list[dict[str, Any]]


class SaidBefore(BaseModel):
    """What was said before a run."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str = Field(max_length=2_000_000)


class RunWish(BaseModel):
    """What a person asks for.

    Attributes:
        tools: sources, as ``kind:argument``.
        allow: names of tools that may be used in this run without asking; what they do was told when they were named.
        help: hold the model to what is offered (see ``ask``).
        after: a run whose conversation this one goes on with.
        history: what was said before, where another keeps it: OpenAI's messages, a system message first if there is one.
        params: of the model's requests, such as ``temperature``.
    """

    model_config = ConfigDict(extra="forbid")
    task: str = Field(min_length=1, max_length=400_000)
    tools: list[str] = Field(default_factory=list, max_length=30)
    model: str | None = None
    allow: list[str] = Field(default_factory=list, max_length=100)
    help: bool = True
    max_steps: int = Field(12, ge=1, le=100)
    max_tokens: int = Field(60_000, ge=100, le=10_000_000)
    max_seconds: float = Field(1800, ge=1, le=86_400)
    after: str | None = None
    history: list[SaidBefore] = Field(default_factory=list, max_length=2000)
    params: dict[str, float | int | bool] = Field(default_factory=dict, max_length=20)

    def budget(self) -> Budget:
        return Budget(self.max_steps, self.max_tokens, self.max_seconds)


class Run(BaseModel):
    """A run. ``ending`` is None until it has ended: ``stop``, ``answer``, ``steps``, ``tokens``; ``unfounded``: numbers of the answer
    that stand in no result."""

    id: str
    created_at: str
    wish: RunWish
    model: str
    job_id: str | None = None
    replay_of: str | None = None
    replay_from: int | None = None
    ending: dict[str, Any] | None = None


class RunStore:
    def __init__(self, context: Context) -> None:
        self._context, self._root = context, context.home.path / "agents"

    def create(self, wish: RunWish, model: str, *, replay_of: str | None = None, before: int | None = None) -> Run:
        """A new run; a replay takes over the entries of another one below ``before``."""
        run = Run(
            id=secrets.token_hex(6),
            created_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            wish=wish,
            model=model,
            replay_of=replay_of,
            replay_from=before,
        )
        (self._root / run.id).mkdir(mode=0o700, parents=True)
        if replay_of is not None and before is not None:
            self.journal(run.id).copy_from(self.journal(replay_of), before)
        self.save(run)
        return run

    def save(self, run: Run) -> None:
        atomic_write(self._folder(run.id) / "run.json", run.model_dump_json(indent=2) + "\n")

    def get(self, run_id: str) -> Run:
        """
        Raises:
            NotFoundError: no such run.
        """
        try:
            return Run.model_validate_json((self._folder(run_id) / "run.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise self._unknown(run_id) from error

    def list(self) -> Runs:
        """Newest first."""
        runs = [self.get(path.parent.name) for path in self._root.glob("*/run.json")]
        return sorted(runs, key=lambda run: run.created_at, reverse=True)

    def journal(self, run_id: str) -> RunJournal:
        return RunJournal(self._folder(run_id) / "journal.db")

    def scratch(self, run_id: str) -> Path:
        """A folder of the run's own, for code that it runs."""
        folder = self._folder(run_id) / "scratch"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def finish(self, run_id: str, ending: Ending) -> Run:
        run = self.get(run_id)
        run.ending = {
            "stop": ending.stop, "answer": ending.answer, "steps": ending.steps, "tokens": ending.tokens,
            "unfounded": ending.unfounded,
        }  # fmt: skip
        self.save(run)
        return run

    def remove(self, run_id: str) -> None:
        """The run, and its job, whose title holds the task's words. NotFoundError where there is no such run; ConflictError while its
        job is at work."""
        from zhilu.jobs import JobStore

        run = self.get(run_id)
        if run.job_id is not None:
            with suppress(NotFoundError):
                JobStore(self._context).remove(run.job_id)
        shutil.rmtree(self._folder(run.id), ignore_errors=True)

    def history(self, run_id: str | None) -> Messages:
        """What was said in a run and those before it: tasks and answers, without the steps."""
        said: Messages = []
        while run_id is not None:
            run = self.get(run_id)
            answer = (run.ending or {}).get("answer") or "-"
            said = [{"role": "user", "content": run.wish.task}, {"role": "assistant", "content": answer}, *said]
            run_id = run.wish.after
        return said

    def _folder(self, run_id: str) -> Path:
        if not _ID.match(run_id):
            raise self._unknown(run_id)
        return self._root / run_id

    def _unknown(self, run_id: str) -> NotFoundError:
        close = nearest(run_id, [path.parent.name for path in self._root.glob("*/run.json")])
        hint = (f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else ("", "")
        return NotFoundError(
            T(f"No run {run_id!r}.{hint[0]}", f"没有运行 {run_id!r}。{hint[1]}"), fix="zhilu agent list"
        )


def start_run(context: Context, wish: RunWish, *, replay_of: str | None = None, before: int | None = None) -> Run:
    """Begin a run as a job.

    Raises:
        NotFoundError: no such kind of tools, or run. InputError: a kind lacks its argument; ``before`` is no entry of that run.
    """
    from zhilu.jobs import JobStore
    from zhilu.models.chosen import named_model

    wish = wish.model_copy(update={"tools": [_told(name) for name in wish.tools]})
    store = RunStore(context)
    if wish.after is not None:
        store.get(wish.after)
    if replay_of is not None and not any(
        entry.seq == before for entry in store.journal(store.get(replay_of).id).entries()
    ):
        raise InputError(
            T(f"Run {replay_of!r} has no step {before}.", f"运行 {replay_of!r} 没有第 {before} 步。"),
            param="before",
            fix=f"zhilu agent show {replay_of}",
        )
    model = named_model(context, wish.model)
    run = store.create(wish, model, replay_of=replay_of, before=before)
    short = wish.task if len(wish.task) <= 60 else f"{wish.task[:59]}…"
    job = JobStore(context).submit("agent", {"run": run.id}, T(f"Agent: {short}", f"智能体：{short}"))
    run = store.get(run.id)
    run.job_id = job.id
    store.save(run)
    return run


def _told(name: str) -> str:
    """A name of tools that means the same wherever the job runs: a path from this process's folder becomes a whole one."""
    from zhilu.tools.source import read_name, words_of

    kind, argument, source = read_name(name)
    if source.usage.endswith((":FOLDER", ":FILE")):
        argument = str(Path(argument).expanduser().absolute())
    elif source.usage.endswith(":NAME TOOLS"):
        first, *tools = words_of(argument)
        argument = shlex.join([first, *map(_told, tools)])
    elif ":FILE|URL" in source.usage:  # the first word of several
        first, *rest = words_of(argument)
        argument = shlex.join([first if "://" in first else str(Path(first).expanduser().absolute()), *rest])
    return f"{kind}:{argument}" if argument else kind
