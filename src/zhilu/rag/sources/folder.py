"""A folder of this machine. Links below it are passed over: whoever made them could point them at any file of its owner's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.rag.sources.base import Found, SourceKind, SourcePlace

__all__ = ["FOLDER", "FolderWalk"]


class FolderWalk:
    """A file's stamp is its time and size; a file that was only touched has the same bytes and becomes no new version."""

    def __init__(self, place: SourcePlace) -> None:
        self.root = Path(place.address).expanduser()
        self.whole = False

    def __iter__(self) -> Iterator[Found]:
        if not self.root.is_dir():
            raise NotFoundError(
                T(f"There is no folder {str(self.root)!r}.", f"没有文件夹 {str(self.root)!r}。"), code="source_gone"
            )
        unread: list[OSError] = []
        for folder, folders, names in os.walk(self.root, onerror=unread.append):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in sorted(n for n in names if not n.startswith(".")):
                path = Path(folder, name)
                try:
                    found = path.lstat()
                except OSError:
                    continue  # it went while we looked
                if stat.S_ISREG(found.st_mode):
                    key = path.relative_to(self.root).as_posix()
                    yield Found(key, key, f"{found.st_mtime_ns}:{found.st_size}", lambda p=path: _open(p))  # type: ignore[misc]
        self.whole = not unread  # what lies in a folder that may not be read is not gone


def _open(path: Path) -> IO[bytes]:
    """Raises InputError: it became a link, or something else than a file, since it was seen."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise InputError(
            T(f"{path.name}: {error.strerror}.", f"{path.name}：无法读取（{error.strerror}）。"), code="not_a_file"
        ) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(T(f"{path.name} is not a file.", f"{path.name} 不是文件。"), code="not_a_file")
    return os.fdopen(handle, "rb")


FOLDER = SourceKind("folder", True, lambda address: Path(address).expanduser().resolve().name or "files", FolderWalk)
