"""What was asked of a long text: ``longtext/<id>/`` holds the text, the wish, each call as it was answered, and the result."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zhilu.errors import InputError, NotFoundError
from zhilu.home import atomic_write
from zhilu.longtext.asking import LongtextStep, MethodResult
from zhilu.longtext.methods import METHODS, method_of
from zhilu.longtext.needle import NeedleCell
from zhilu.longtext.summary import LongtextSummary
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["MOST_CHARACTERS", "LongtextResult", "LongtextRun", "LongtextRuns", "LongtextWish", "read_text"]

MOST_CHARACTERS = 5_000_000
_ID = re.compile(r"[0-9a-f]{12}")


class LongtextWish(BaseModel):
    """``answers``: known ones, to score by. ``most``: tokens of a piece, at most. ``lengths`` and ``depths``: of a needle's text."""

    model_config = ConfigDict(extra="forbid")
    want: Literal["ask", "summary", "needle"] = "ask"
    name: str = Field("text", max_length=200)
    question: str = Field("", max_length=4000)
    answers: list[str] = Field(default_factory=list, max_length=20)
    methods: list[str] = Field(default_factory=lambda: list(METHODS), min_length=1, max_length=10)
    model: str | None = None
    most: int | None = Field(None, ge=64, le=1_000_000)
    lengths: list[int] = Field(default_factory=list, max_length=8)
    depths: list[float] = Field(default_factory=lambda: [0.1, 0.5, 0.9], max_length=11)
    seed: int | None = None
    lang: Literal["en", "zh"] = "en"


class LongtextResult(BaseModel):
    """What has been worked out; the rest comes."""

    methods: list[MethodResult] = []
    summary: LongtextSummary | None = None
    cells: list[NeedleCell] = []


class LongtextRun(BaseModel):
    """``context``: tokens that the model reads at once, ``tokens`` those of the text; None until the server was asked."""

    id: str
    created_at: str
    job_id: str | None = None
    wish: LongtextWish
    model: str
    characters: int
    context: int | None = None
    tokens: int | None = None
    done: bool = False
    result: LongtextResult = LongtextResult()


class LongtextRuns:
    def __init__(self, context: Context) -> None:
        self.folder = context.home.path / "longtext"
        self._writing = threading.Lock()

    def begin(self, wish: LongtextWish, text: str, model: str) -> LongtextRun:
        """Keep a text and what is wanted of it.

        Raises:
            InputError: there is no text, no question, or too much of it. NotFoundError: no such method.
        """
        for name in wish.methods:
            method_of(name)
        _check(wish, text)
        seed = secrets.randbelow(2**31) if wish.seed is None else wish.seed
        created = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        run = LongtextRun(
            id=secrets.token_hex(6), created_at=created, wish=wish.model_copy(update={"seed": seed}), model=model,
            characters=len(text),
        )  # fmt: skip
        folder = self._of(run.id)
        folder.mkdir(mode=0o700, parents=True)
        atomic_write(folder / "text.txt", text.encode())
        return self.put(run)

    def put(self, run: LongtextRun) -> LongtextRun:
        atomic_write(self._of(run.id) / "run.json", run.model_dump_json() + "\n")
        return run

    def list(self) -> History:
        """The newest first, without their steps."""
        found = []
        for path in self.folder.glob("*/run.json"):
            run = _read(path)
            if run is not None:
                for method in run.result.methods:
                    method.steps = []
                found.append(run)
        return sorted(found, key=lambda run: (run.created_at, run.id), reverse=True)

    def get(self, run_id: str) -> LongtextRun:
        """
        Raises:
            NotFoundError: no such run.
        """
        run = _read(self._of(run_id) / "run.json")
        if run is None:
            raise NotFoundError(
                T(f"There is no run {run_id!r}.", f"没有编号为 {run_id!r} 的运行。"),
                param="run",
                fix="zhilu longtext list",
            )
        return run

    def text(self, run_id: str) -> str:
        return (self._of(self.get(run_id).id) / "text.txt").read_bytes().decode()

    def steps(self, run_id: str) -> dict[str, LongtextStep]:
        """The calls that were answered, by their key; a line that a kill cut off is none."""
        try:
            lines = (self._of(run_id) / "steps.jsonl").read_bytes().decode(errors="replace").split("\n")
        except OSError:
            return {}
        found = [_step(line) for line in lines[:-1]]
        return {step.key: step for step in found if step is not None}

    def keep(self, run_id: str, step: LongtextStep) -> None:
        with self._writing, (self._of(run_id) / "steps.jsonl").open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a kill cut the last line off
                    file.write(b"\n")
            file.write(step.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def delete(self, run_id: str) -> None:
        """
        Raises:
            NotFoundError: no such run.
        """
        shutil.rmtree(self._of(self.get(run_id).id))

    def _of(self, run_id: str) -> Path:
        return self.folder / (run_id if _ID.fullmatch(run_id) else "-")


def read_text(path: Path) -> str:
    """A file's text; UTF-8 or what it most likely is.

    Raises:
        InputError: it is no text.
    """
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(raw).best() if b"\0" not in raw[:4096] else None
    if best is None:
        raise InputError(
            T(
                f"{path.name!r} is no text file. Text and Markdown are read here.",
                f"{path.name!r} 不是文本文件。这里读取纯文本和 Markdown。",
            ),
            param="file",
            fix="zhilu kb add NAME FILE",
        )
    return str(best)


def _check(wish: LongtextWish, text: str) -> None:
    if wish.want == "needle":
        if any(not 0 <= depth <= 1 for depth in wish.depths) or any(length < 200 for length in wish.lengths):
            raise InputError(
                T("A depth is 0 to 1, a length at least 200 tokens.", "深度为 0 到 1，长度至少 200 个 token。"),
                param="depths",
            )
        return
    if not text.strip() or len(text) > MOST_CHARACTERS:
        raise InputError(
            T(f"A text has 1 to {MOST_CHARACTERS:,} characters; this one has {len(text):,}.",
              f"文本应有 1 到 {MOST_CHARACTERS:,} 个字符；这一份有 {len(text):,} 个。"),
            param="text",
        )  # fmt: skip
    if wish.want == "ask" and not wish.question.strip():
        raise InputError(
            T("What do you want to know?", "你想知道什么？"), param="question", fix='zhilu longtext ask FILE "…?"'
        )


def _read(path: Path) -> LongtextRun | None:
    try:
        return LongtextRun.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _step(line: str) -> LongtextStep | None:
    try:
        return LongtextStep.model_validate_json(line)
    except ValidationError:
        return None


# Named here because ``LongtextRuns.list`` hides the builtin inside the class.
History = list[LongtextRun]
