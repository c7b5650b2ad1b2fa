"""Proposed changes: kept with the repository's index, written to the repository only when a person approves, and undone whole.

``<home>/apps/coder/repos/<id>/edits/<edit>.json``. A file that changed since is never overwritten.
"""

from __future__ import annotations

import os
import re
import uuid
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel

from zhilu.apps.coder.edits.blocks import unified
from zhilu.apps.coder.index.build import read_one
from zhilu.apps.coder.index.walk import LANGUAGES, FoundFile, read_file
from zhilu.apps.coder.repos import CodeRepo, Repos
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.home import atomic_write
from zhilu.jobs.base import Text
from zhilu.messages import T

__all__ = ["CodeEdit", "CodeTestRun", "Edits", "Opened", "finish", "open_file"]


class CodeTestRun(BaseModel):
    """A run of the repository's tests in the sandbox, on a copy with the change in it."""

    command: str
    passed: bool
    code: int
    output: str
    timed_out: bool = False


class CodeEdit(BaseModel):
    """``status``: ``proposed``; ``applied``, it stands in the repository; ``undone``; ``refused``, the model wrote nothing that could
    be applied, and ``problem`` says why."""

    id: str
    instruction: str
    status: Literal["proposed", "applied", "undone", "refused"]
    path: str = ""
    symbol: str = ""
    diff: str = ""
    problem: Text | None = None
    attempts: int = 0
    model: str = ""
    created_at: datetime
    before: str = ""
    after: str = ""
    tests: CodeTestRun | None = None


class Opened(BaseModel):
    """A file that may be changed: UTF-8, with line ends of one kind."""

    path: str
    language: str
    text: str
    newline: str


def open_file(root: Path, path: str) -> Opened:
    """A file of the repository as it is now.

    Raises:
        InputError: it is not inside, not UTF-8, or has line ends of two kinds. NotFoundError: it is gone.
    """
    try:
        data = read_file(root, path)
    except OSError as error:
        raise NotFoundError(
            T(f"The file {path!r} cannot be read.", f"无法读取文件 {path!r}。"), param="path"
        ) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            T(f"{path!r} is not UTF-8: it is not changed here.", f"{path!r} 不是 UTF-8 编码：这里不修改它。"),
            param="path",
        ) from error
    plain = text.replace("\r\n", "\n")
    newline = "\r\n" if plain != text else "\n"
    if "\r" in plain or plain.replace("\n", newline) != text:
        raise InputError(
            T(
                f"{path!r} has line ends of two kinds: it is not changed here.",
                f"{path!r} 混用了两种换行符：这里不修改它。",
            ),
            param="path",
        )
    language = LANGUAGES.get(PurePosixPath(path).suffix.lower(), "text")
    return Opened(path=path, language=language, text=plain, newline=newline)


class Edits:
    """The proposed changes of one repository."""

    def __init__(self, context: Context, repo: CodeRepo) -> None:
        self.context, self.repo, self.root = context, repo, Path(repo.root)
        self.folder = Repos(context).place(repo) / "edits"

    def new(self, instruction: str, model: str) -> CodeEdit:
        return CodeEdit(
            id=uuid.uuid4().hex[:12], instruction=instruction, status="refused", model=model,
            created_at=datetime.now(timezone.utc),
        )  # fmt: skip

    def save(self, edit: CodeEdit) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(self.folder / f"{edit.id}.json", edit.model_dump_json(indent=1))

    def every(self) -> list[CodeEdit]:
        """The newest first."""
        found = [e for path in self.folder.glob("*.json") if (e := _read(path)) is not None]
        return sorted(found, key=lambda e: e.created_at, reverse=True)

    def get(self, edit_id: str) -> CodeEdit:
        """Raises: NotFoundError."""
        path = self.folder / f"{edit_id}.json"
        if not re.fullmatch(r"[0-9a-f]{12}", edit_id) or not path.is_file():
            raise NotFoundError(
                T(f"There is no change {edit_id!r}.", f"没有修改 {edit_id!r}。"),
                param="edit",
                fix=f"zhilu code edits {self.repo.name}",
            )
        return CodeEdit.model_validate_json(path.read_text(encoding="utf-8"))

    def remove(self, edit_id: str) -> None:
        """Forget a change; what it wrote stays."""
        self.get(edit_id)
        (self.folder / f"{edit_id}.json").unlink()

    def apply(self, edit_id: str) -> CodeEdit:
        """Write a proposed change, as a whole or not at all.

        Raises:
            ConflictError: it is not there to be applied, or the file has changed since.
        """
        return self._turn(self.get(edit_id), ("proposed", "undone"), "applied")

    def undo(self, edit_id: str) -> CodeEdit:
        """Put back what stood there before.

        Raises:
            ConflictError: it is not applied, or the file has changed since.
        """
        return self._turn(self.get(edit_id), ("applied",), "undone")

    def _turn(self, edit: CodeEdit, of: tuple[str, ...], to: Literal["applied", "undone"]) -> CodeEdit:
        if edit.status not in of:
            raise ConflictError(
                T(
                    f"The change is {edit.status} and cannot be {to}.",
                    f"这处修改的状态是 {edit.status}，不能变为 {to}。",
                ),
                param="edit",
            )
        now, wanted = (edit.before, edit.after) if to == "applied" else (edit.after, edit.before)
        opened = open_file(self.root, edit.path)
        if opened.text != now:
            # Killed between the file and the note: the file has the change already, and only the note is made.
            if opened.text != wanted:
                raise ConflictError(
                    T(
                        f"{edit.path!r} has changed since: nothing was written. Ask for the change again.",
                        f"{edit.path!r} 此后已有改动：没有写入任何内容。请重新提出修改。",
                    ),
                    param="edit",
                    code="stale",
                    fix=f'zhilu code edit {self.repo.name} "…"',
                )
        else:
            _write(self.root, edit.path, wanted.replace("\n", opened.newline))
        edit.status = to
        self.save(edit)
        store = Repos(self.context).index(self.repo)
        read_one(store, FoundFile(edit.path, opened.language), wanted.replace("\n", opened.newline).encode())
        return edit


def _read(path: Path) -> CodeEdit | None:
    try:
        return CodeEdit.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # ``get`` says what is wrong with it


def _write(root: Path, path: str, text: str) -> None:
    """The file keeps its mode; its folder was looked at by ``read_file`` a moment ago, and is used by the same way."""
    folder = Path(os.path.realpath((root / path).parent))
    place = folder / PurePosixPath(path).name
    mode = place.stat(follow_symlinks=False).st_mode & 0o7777
    atomic_write(place, text)
    place.chmod(mode)


def finish(edit: CodeEdit, opened: Opened, after: str) -> CodeEdit:
    """A proposal that can be applied."""
    edit.status, edit.path, edit.problem = "proposed", opened.path, None
    edit.before, edit.after, edit.diff = opened.text, after, unified(opened.path, opened.text, after)
    return edit
