"""Runs a lesson in a process of its own, and keeps the newest run of each: ``internals/<task>.json`` in the data home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from zhilu.errors import InputError, NotFoundError, ZhiluError
from zhilu.home import atomic_write
from zhilu.internals.catalog import find_lesson
from zhilu.internals.papers.shelf import find_paper
from zhilu.internals.result import Result, Say
from zhilu.messages import T
from zhilu.setup.require import require_torch

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["Kept", "copy_part", "keep_guess", "kept", "run_lesson", "run_paper"]

_LONGEST_S = 300
# Models this small gain nothing from threads, which wait for each other by spinning.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Kept(BaseModel):
    """What is known of a lesson: the last run, the guess made before it, and the learner's own file where there is one."""

    result: Result | None = None
    at: str | None = None
    guess: int | None = None
    mine: str | None = None


def kept(context: Context, task: str) -> Kept:
    try:
        return Kept.model_validate_json(_path(context, task).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError):
        return Kept()


def keep_guess(context: Context, task: str, guess: int | None) -> None:
    """
    Raises:
        InputError: the question has no such option.
    """
    options = find_lesson(task).words.options
    if guess is not None and not 0 <= guess < len(options):
        raise InputError(
            T(
                f"{guess + 1} is none of the {len(options)} answers",
                f"{guess + 1} 不在 {len(options)} 个选项之内",
            ),
            param="guess",
            fix=f"zhilu internals run {task} --guess 1",
        )
    _keep(context, task, guess=guess)


def run_lesson(
    context: Context, task: str, *, mine: Path | None = None, ours: bool = False, say: Say | None = None
) -> Result:
    """Run a lesson, ours or the learner's own version of it, and keep the outcome.

    Args:
        mine: a file that takes the place of the lesson's module, in this run and those that come after.
        ours: forget such a file.
        say: told how far it is; what it raises stops the run.

    Raises:
        MissingComponentError: the lesson needs PyTorch, which is not installed.
        NotFoundError: no such lesson or file. InputError: the learner's file breaks.
    """
    lesson = find_lesson(task)
    if lesson.needs_torch:
        require_torch(T(f"Lesson {task}", f"课程 {task}"))
    if mine is not None or ours:
        _keep(context, task, mine=str(_checked(mine)) if mine else None)
    own = kept(context, task).mine
    file = _checked(Path(own)) if own else None
    result = _in_process(lesson.task, file, say or (lambda fraction, stage: None))
    _keep(context, task, result=result, at=datetime.now(timezone.utc).isoformat(timespec="seconds"))
    return result


def run_paper(context: Context, name: str, *, say: Say | None = None) -> Result:
    """Measure the figure of a paper, and keep it.

    Raises:
        NotFoundError: no such paper. MissingComponentError: its figure needs PyTorch, which is not installed.
    """
    paper = find_paper(name)
    if paper.needs_torch:
        require_torch(paper.title)
    result = _in_process(name, None, say or (lambda fraction, stage: None))
    _keep(context, name, result=result, at=datetime.now(timezone.utc).isoformat(timespec="seconds"))
    return result


def copy_part(task: str, folder: Path) -> Path:
    """Write the lesson's module into a folder, to be rewritten there.

    Raises:
        InputError: there is one already, and it may be somebody's work.
    """
    lesson = find_lesson(task)
    target = folder / lesson.path.name
    if target.exists():
        raise InputError(
            T(f"{target} is there already.", f"{target} 已经存在。"),
            param="folder",
            fix=f"zhilu internals run {task} --mine {target}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(lesson.path.read_text(encoding="utf-8"), encoding="utf-8")
    return target


def _in_process(task: str, file: Path | None, say: Say) -> Result:
    argv = [sys.executable, "-m", "zhilu.internals", task, *([str(file)] if file else [])]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8", env=_ONE_THREAD | os.environ
        ) as process,
    ):
        timer = threading.Timer(_LONGEST_S, process.kill)
        timer.start()
        last: dict[str, Any] = {}
        try:
            assert process.stdout is not None
            for line in process.stdout:
                last = json.loads(line)
                if "progress" in last:
                    say(last["progress"], T.of(last["stage"]))
        finally:
            timer.cancel()
            if process.poll() is None and "result" not in last:
                process.kill()
        process.wait()
        errors.seek(0)
        said = errors.read()[-2000:]
    if "result" in last:
        return Result.model_validate(last["result"])
    if "broke" in last and file is not None:
        raise InputError(
            T(f"{file}, line {last['line']}: {last['broke']}", f"{file} 第 {last['line']} 行：{last['broke']}"),
            param="mine",
            code="lesson_broke",
            fix=f"zhilu internals run {task} --ours",
        )
    why = said.strip().splitlines()[-1:] or [f"exit {process.returncode}"]
    raise ZhiluError(
        T(f"{task} did not finish: {why[0]}", f"{task} 没有运行完：{why[0]}"),
        code="lesson_broke",
        fix="zhilu doctor",
    )


def _checked(file: Path) -> Path:
    file = file.expanduser().absolute()
    if file.suffix != ".py" or not file.is_file():
        raise NotFoundError(
            T(f"{file} is no Python file.", f"{file} 不是 Python 文件。"),
            param="mine",
            fix="zhilu internals copy --help",
        )
    return file


def _path(context: Context, task: str) -> Path:
    return context.home.path / "internals" / f"{task}.json"


def _keep(context: Context, task: str, **changes: Any) -> None:
    path = _path(context, task)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    changed = kept(context, task).model_copy(update=changes)
    atomic_write(path, changed.model_dump_json(indent=1) + "\n")
