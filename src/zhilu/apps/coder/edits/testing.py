"""The repository's tests, in the sandbox: on a copy with the change in it, so that a change can be tried before it is approved."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zhilu.agents.sandbox import Limits, Sandbox
from zhilu.apps.coder.edits.kept import CodeEdit, CodeTestRun
from zhilu.apps.coder.edits.wanted import PROGRAM
from zhilu.apps.coder.index.walk import RepoLimits, read_file, walk
from zhilu.context import Context
from zhilu.errors import InputError, MissingComponentError
from zhilu.messages import T

__all__ = ["Trial", "copied", "run_tests", "test_command"]

_LIMITS = Limits(seconds=60.0, memory_mb=2048)
_MOST_BYTES = 64 << 20


def test_command(root: Path) -> list[str]:
    """How the tests of a Python repository are run: by pytest where it is installed and they are written for it, else by unittest.

    Raises:
        InputError: no tests were found.
    """
    files = [f.path for f in walk(root, Counter()) if re.fullmatch(r"(?:.*/)?(?:test_[^/]*|[^/]*_test)\.py", f.path)]
    if not files:
        raise InputError(
            T("No tests were found here (test_*.py).", "没有找到测试（test_*.py）。"),
            param="command",
            fix='zhilu code test REPO --command "…"',
        )
    python = os.path.realpath(sys.executable)
    needs_pytest = any(b"import pytest" in read_file(root, path) for path in files)
    if importlib.util.find_spec("pytest") is not None:
        return [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if needs_pytest:
        raise InputError(
            T("The tests need pytest, which is not installed here.", "测试需要 pytest，这里没有安装。"),
            fix="pip install pytest",
        )
    return [python, "-m", "unittest", "-q"]


async def run_tests(
    context: Context,
    root: Path,
    edit: CodeEdit | None = None,
    command: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> CodeTestRun:
    """
    Args:
        edit: a change that the copy gets.
        command: by default ``test_command``.
        more: further files of the copy.

    Raises:
        MissingComponentError: no sandbox here. InputError: no tests, or the repository is too large to copy.
    """
    with tempfile.TemporaryDirectory(dir=context.home.cache) as folder:
        scratch = Path(folder, "repo")
        copied(root, scratch)
        files = dict(more or {})
        if edit is not None and edit.path:
            files[edit.path] = edit.after
        for path, text in files.items():
            target = scratch / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        argv = list(command) or test_command(scratch)
        ran = await Sandbox(context, scratch, limits=_LIMITS).run(argv)
    output = "\n".join(part.strip() for part in (ran.stdout, ran.stderr) if part.strip())
    shown = shlex.join(["python" if part == os.path.realpath(sys.executable) else part for part in argv])
    return CodeTestRun(
        command=shown,
        passed=ran.code == 0 and not ran.timed_out,
        code=ran.code,
        output=output[-8_000:],
        timed_out=ran.timed_out,
    )


@dataclass(frozen=True)
class Trial:
    """Tries a proposal before a person sees it. None where there is no sandbox here, or no test."""

    context: Context
    root: Path

    async def tests(self, edit: CodeEdit) -> CodeTestRun | None:
        """The repository's tests."""
        return await self._run(edit=edit)

    async def example(self, path: str, text: str, program: str) -> CodeTestRun | None:
        """A program, with ``text`` in a file's place."""
        command = [os.path.realpath(sys.executable), "-m", PROGRAM]
        return await self._run(command=command, more={path: text, f"{PROGRAM}.py": program})

    async def _run(self, **what: Any) -> CodeTestRun | None:
        try:
            return await run_tests(self.context, self.root, **what)
        except (InputError, MissingComponentError):
            return None


def copied(root: Path, folder: Path) -> None:
    """Copy a repository's files as they are, those of kinds that are not indexed too; no links, nothing hidden or made.

    Raises:
        InputError: it is too large.
    """
    total = 0
    folder.mkdir(parents=True)
    for file in walk(root, Counter(), RepoLimits(), every_kind=True):
        try:
            data = read_file(root, file.path)
        except (OSError, InputError):
            continue
        total += len(data)
        if total > _MOST_BYTES:
            raise InputError(
                T(
                    f"The repository is larger than {_MOST_BYTES >> 20} MB: its tests are not run here.",
                    f"仓库超过 {_MOST_BYTES >> 20} MB：这里不运行它的测试。",
                ),
                code="too_large",
            )
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
