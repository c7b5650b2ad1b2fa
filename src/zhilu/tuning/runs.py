"""Runs: folders ``runs/NAME/`` with what was asked for, what was measured, and what came of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from zhilu.errors import ConflictError, DamagedError, NotFoundError, nearest
from zhilu.home import atomic_write
from zhilu.jobs.base import Text
from zhilu.messages import T
from zhilu.models.store import check_name
from zhilu.tuning.config import TuneConfig

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = [
    "TRAINED_REWARD",
    "Answer",
    "BaseWeights",
    "Exported",
    "Merged",
    "Outcome",
    "RunFolder",
    "RunInfo",
    "RunLibrary",
]


TRAINED_REWARD = "reward.safetensors"  # in a run of rewards: the adapter with its head


class Answer(BaseModel):
    """A held-out prompt, the answer that the data gives, and the greedy answers of base and tuned model.

    ``after_ids`` are the tuned model's tokens without the end; ``ended``: it ended by itself.
    """

    prompt: str
    wanted: str
    before: str
    after: str
    prompt_ids: list[int]
    after_ids: list[int]
    ended: bool


class BaseWeights(BaseModel):
    """What the base's weights took while an adapter was trained: bytes of the tensors in memory."""

    quantized_parameters: int
    quantized_bytes: int
    other_bytes: int


class Outcome(BaseModel):
    """What came of a finished run.

    Attributes:
        held_out_before, held_out_after: the figure that falls, of base and tuned model: mean cross-entropy of held-out learned
            tokens in nats (sft), the mean loss of held-out pairs or answers (dpo, kto), the negative reward (ppo, grpo).
        measures: what else was measured of held-out rows, before and after: ``margin`` and ``accuracy`` of preferences,
            ``reward`` and ``kl`` (nats a token from the base) of sampled answers.
        base_sha256: of the base's weight files, in their order: an adapter belongs to exactly these.
        tokens_per_second: of training alone; ``peak_mb``: most memory of the process until training ended, of the first
            where there were several.
        weights: of a base in 4 bits, None otherwise. Its figures above are of the rounded base; ``served`` holds the held-out
            figure of the base as it is served, without and with the adapter.
        answered_on: which base the answers are of: ``served``, or ``rounded`` where the whole one did not fit into memory.
    """

    adapter: str | None
    model: str | None
    base_sha256: str
    rows: int
    held_out_rows: int
    held_out_before: float
    held_out_after: float
    measures: dict[str, tuple[float, float]] = {}
    best_step: int
    stopped_early: bool
    steps: int
    tokens: int
    tokens_per_second: float
    peak_mb: int
    trained_parameters: int
    answers: list[Answer]
    weights: BaseWeights | None = None
    served: tuple[float, float] | None = None
    answered_on: Literal["served", "rounded"] = "served"


class Merged(BaseModel):
    """The model that a run's adapter was merged into.

    Attributes:
        apart: the largest difference of a logit from base and adapter, over the largest logit, at ``positions`` places;
            ``equal_tokens`` of them have the same greedy token. ``tolerance``: what ``apart`` may be at this ``dtype``.
    """

    model: str
    dtype: str
    apart: float
    tolerance: float
    positions: int
    equal_tokens: int
    size_bytes: int


class Exported(BaseModel):
    """Files for other programs.

    Attributes:
        tokens: of llama.cpp's greedy answers from the file, ``equal_tokens`` of them before the first difference from the
            merged model's; None for safetensors.
        templated: whether the Modelfile states the chat template.
    """

    format: str
    folder: str
    size_bytes: int
    precision: str
    tokens: int | None = None
    equal_tokens: int | None = None
    templated: bool | None = None


class RunInfo(BaseModel):
    name: str
    created_at: datetime
    config: TuneConfig
    job_id: str | None = None
    chosen: dict[str, Any] = {}
    reasons: dict[str, Text] = {}
    outcome: Outcome | None = None
    merged: Merged | None = None
    exports: list[Exported] = []
    error: Text | None = None  # its note cannot be read; nothing else of it is known then


class RunFolder:
    """The files of one run. ``metrics.jsonl`` grows by a line a step; a resumed run first cuts what its checkpoint lacks."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint, self.metrics, self.note = path / "checkpoint.pt", path / "metrics.jsonl", path / "run.json"

    def info(self) -> RunInfo:
        """
        Raises:
            DamagedError: the note cannot be read, or another version wrote it.
        """
        try:
            return RunInfo.model_validate_json(self.note.read_bytes())
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise DamagedError(
                T(
                    f"The note of the run {self.path.name!r} cannot be read ({first}). Its adapter is not touched by that.",
                    f"训练 {self.path.name!r} 的记录无法读取（{first}）。它的适配器不受影响。",
                ),
                code="damaged_run",
                fix=f"zhilu tune remove {self.path.name}",
            ) from error

    def write(self, info: RunInfo) -> None:
        atomic_write(self.note, info.model_dump_json(indent=1))

    def measured(self) -> Iterator[dict[str, Any]]:
        with suppress(FileNotFoundError), self.metrics.open(encoding="utf-8") as lines:
            for line in lines:
                with suppress(ValueError):  # the last line of a run that was killed
                    yield json.loads(line)

    def measure(self, **values: Any) -> None:
        with self.metrics.open("a", encoding="utf-8") as out:
            out.write(json.dumps(values) + "\n")

    def cut(self, steps: int) -> None:
        """Forget what was measured after ``steps``: it is about to be measured again."""
        kept = [values for values in self.measured() if values["step"] <= steps]
        atomic_write(self.metrics, "".join(json.dumps(values) + "\n" for values in kept))


class RunLibrary:
    def __init__(self, context: Context) -> None:
        self.context, self.folder = context, context.home.runs

    def list(self) -> list[RunInfo]:
        """The newest first."""
        found = [self._told(RunFolder(path.parent)) for path in self.folder.glob("*/run.json")]
        return sorted(found, key=lambda info: info.created_at, reverse=True)

    @staticmethod
    def _told(run: RunFolder) -> RunInfo:
        """One that is damaged is told as such, and does not hide the others."""
        try:
            return run.info()
        except DamagedError as error:
            changed = datetime.fromtimestamp(run.note.stat().st_mtime, timezone.utc)
            nothing = TuneConfig(model="-", data="-")
            return RunInfo(name=run.path.name, created_at=changed, config=nothing, error=error.message)

    def get(self, name: str) -> RunFolder:
        """
        Raises:
            NotFoundError: there is none of this name.
        """
        run = RunFolder(self.folder / name)
        if "/" in name or not run.note.is_file():
            close = nearest(name, [path.parent.name for path in self.folder.glob("*/run.json")])
            hint = (f" Did you mean {close!r}?", f"是不是 {close!r}？") if close else ("", "")
            raise NotFoundError(
                T(f"There is no run {name!r}.{hint[0]}", f"没有训练 {name!r}。{hint[1]}"),
                param="name",
                fix="zhilu tune list",
            )
        return run

    def add(self, info: RunInfo) -> RunFolder:
        """
        Raises:
            InputError: a name that cannot be one.
            ConflictError: it is taken, by a run or an adapter.
        """
        path = self.folder / check_name(info.name)
        if path.exists() or (self.context.home.adapters / info.name).exists():
            raise ConflictError(
                T(f"There is a run or an adapter {info.name!r} already.", f"已经有名为 {info.name!r} 的训练或适配器。"),
                param="name",
                fix="zhilu tune list",
            )
        path.mkdir(parents=True)
        run = RunFolder(path)
        run.write(info)
        return run

    def remove(self, name: str) -> None:
        """Delete what was measured and the checkpoint; an adapter that came of it stays (see ``get`` for errors)."""
        shutil.rmtree(self.get(name).path)
