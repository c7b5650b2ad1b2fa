"""The data home: one folder that holds everything of a person's, and the two ways to write into it safely."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zhilu.errors import InputError
from zhilu.messages import T

__all__ = ["Home", "atomic_write", "file_lock"]


@dataclass(frozen=True)
class Home:
    """Paths under ``ZHILU_HOME``. The layout is a contract: change it only with a migration."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "zhilu.db"

    @property
    def settings_file(self) -> Path:
        return self.path / "settings.toml"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def adapters(self) -> Path:
        return self.path / "adapters"

    @property
    def datasets(self) -> Path:
        return self.path / "datasets"

    @property
    def kbs(self) -> Path:
        return self.path / "kbs"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def engines(self) -> Path:
        return self.path / "engines"

    @property
    def evidence(self) -> Path:
        return self.path / "evidence"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def cache(self) -> Path:
        """What can be made again: compiled graphs and the like."""
        return self.path / "cache"

    @property
    def run(self) -> Path:
        """State of what runs now: pids, ports, locks. Safe to delete when nothing runs."""
        return self.path / "run"

    def ensure(self) -> Home:
        """Create the home (0700: it holds documents and keys) and its folders.

        Raises:
            InputError: the path cannot be a folder we may write to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (
                self.models, self.adapters, self.datasets, self.kbs, self.runs, self.engines, self.evidence,
                self.logs, self.cache, self.run,
            ):  # fmt: skip
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise InputError(
                T(
                    en=f"The data home {str(self.path)!r} cannot be used: {error.strerror or error}.",
                    zh=f"数据目录 {str(self.path)!r} 无法使用：{error.strerror or error}。",
                ),
                param="home",
                fix="export ZHILU_HOME=/a/folder/you/can/write",
            ) from error
        return self


def atomic_write(path: Path, content: bytes | str) -> None:
    """Write so that a reader, or a kill at any moment, sees the old file or the new one and never a part.

    Temp file in the same folder, fsync, rename, fsync of the folder.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    with suppress(OSError):  # not every file system lets a folder be synced (Windows shares under WSL)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def file_lock(path: Path, *, blocking: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock between processes; yields False when not ``blocking`` and someone else holds it.

    The kernel drops the lock when the process dies, so that a kill -9 leaves nothing to clean up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if os.name == "nt":  # pragma: no cover - native Windows; the product supports WSL2
            import msvcrt

            file.seek(0)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if blocking else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            except OSError:
                yield False
                return
            yield True
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
            return
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)
