"""``files/`` in the data home: what was uploaded to ``/v1/files``, one folder a file (``original``, ``about.json``).

A file waits there until it is put into vector stores, each of which takes a copy; it stays until it is deleted, and the copies
with it (``file_routes``).
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import IO, Literal, get_args

from pydantic import BaseModel

from zhilu.errors import DamagedError, NotFoundError
from zhilu.home import Home
from zhilu.messages import T
from zhilu.rag.load import check_size, safe_path

__all__ = ["PURPOSES", "FileShelf", "StoredFile"]

Purpose = Literal["assistants", "user_data"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
_ID = re.compile(r"file-[0-9a-f]{24}")


class StoredFile(BaseModel):
    """``created_at``: Unix seconds; ``bytes``: its size."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: Purpose


class FileShelf:
    def __init__(self, home: Home) -> None:
        self.folder = home.files

    def add(self, stream: IO[bytes], filename: str, purpose: Purpose, *, max_mb: int) -> StoredFile:
        """Keep a file; when this returns it is on the disk.

        Raises:
            InputError: no file can have this name. TooLargeError: over ``max_mb`` MiB.
        """
        name = safe_path(filename)
        file_id = f"file-{secrets.token_hex(12)}"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        draft = self.folder / f".new-{file_id}"
        draft.mkdir(mode=0o700)
        try:
            size = 0
            with (draft / "original").open("xb") as file:
                while block := stream.read(1 << 20):
                    size += len(block)
                    check_size(size, max_mb)
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            made = StoredFile(id=file_id, bytes=size, created_at=int(time.time()), filename=name, purpose=purpose)
            (draft / "about.json").write_text(made.model_dump_json(), encoding="utf-8")
            draft.rename(self.folder / file_id)  # from here on it is there
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return made

    def every(self) -> list[StoredFile]:
        """The oldest first; one whose note cannot be read is left out."""
        if not self.folder.is_dir():
            return []
        found = [self._read(p) for p in self.folder.iterdir() if _ID.fullmatch(p.name)]
        return sorted((f for f in found if f is not None), key=lambda f: (f.created_at, f.id))

    def find(self, file_id: str) -> StoredFile | None:
        return self._read(self.folder / file_id) if _ID.fullmatch(file_id) else None

    def get(self, file_id: str) -> StoredFile:
        """
        Raises:
            NotFoundError: no such file.
        """
        found = self.find(file_id)
        if found is None:
            raise no_such_file(file_id)
        return found

    def original(self, file_id: str) -> Path:
        path = self.folder / self.get(file_id).id / "original"
        if not path.is_file():
            raise DamagedError(T(f"The content of {file_id!r} is gone.", f"文件 {file_id!r} 的内容已丢失。"))
        return path

    def remove(self, file_id: str) -> None:
        """What vector stores have of it is not touched. NotFoundError where it is gone."""
        gone = self.folder / f".deleted-{self.get(file_id).id}"
        try:
            (self.folder / file_id).rename(gone)
        except FileNotFoundError:  # somebody else was faster
            raise no_such_file(file_id) from None
        shutil.rmtree(gone, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what a kill left: uploads that were not finished, deletions that were."""
        for folder in self.folder.glob(".*") if self.folder.is_dir() else ():
            if folder.name.startswith(".deleted-") or time.time() - folder.stat().st_mtime > 3600:
                shutil.rmtree(folder, ignore_errors=True)

    def _read(self, folder: Path) -> StoredFile | None:
        try:
            return StoredFile(**json.loads((folder / "about.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None


def no_such_file(file_id: str) -> NotFoundError:
    return NotFoundError(T(f"There is no file {file_id!r}.", f"没有文件 {file_id!r}。"), param="file_id")
