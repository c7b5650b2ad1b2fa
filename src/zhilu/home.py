"""The data home: one folder with everything a person owns, the two safe ways to write into it, and errors of a full disk."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zhilu.errors import BusyError, DamagedError, InputError, StorageError, ZhiluError
from zhilu.messages import T

__all__ = ["Home", "atomic_write", "check_database", "file_lock", "folder_bytes", "storage_error"]


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
    def transcripts(self) -> Path:
        """Recordings, and what was said in them."""
        return self.path / "transcripts"

    @property
    def files(self) -> Path:
        """What was uploaded to ``/v1/files``; made with the first of them."""
        return self.path / "files"

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
        """Create the home (0700: it holds documents and keys) and its folders; take from others what they could read.

        Raises:
            InputError: the path cannot be a folder that is ours alone and that we may write to.
            StorageError: it is on a read-only disk, or may only be read by us.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (
                self.models, self.adapters, self.datasets, self.kbs, self.runs, self.engines, self.evidence,
                self.transcripts, self.logs, self.cache, self.run,
            ):  # fmt: skip
                folder.mkdir(mode=0o700, exist_ok=True)
            self._close_to_others()
        except OSError as error:
            if error.errno in _DISK_SAYS_NO:
                raise storage_error(error, self.path) or error from error
            raise InputError(
                T(
                    en=f"The data home {str(self.path)!r} cannot be used: {error.strerror or error}.",
                    zh=f"数据目录 {str(self.path)!r} 无法使用：{error.strerror or error}。",
                ),
                param="home",
                fix="export ZHILU_HOME=/a/folder/you/can/write",
            ) from error
        if not os.access(self.path, os.W_OK):
            raise storage_error(OSError(errno.EROFS, os.strerror(errno.EROFS)), self.path) or AssertionError
        return self

    def _close_to_others(self) -> None:
        """A folder that was there before may be open to every user of the machine (a umask of 022 makes it 0755).

        A file system without modes (a Windows disk under WSL) takes the change and forgets it: there it cannot be had.
        """
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if os.name == "nt" or not mode & 0o077:
            return
        try:
            self.path.chmod(mode & 0o700)
        except PermissionError as error:
            raise InputError(
                T(
                    en=f"The data home {str(self.path)!r} is open to other users of this machine (mode {mode:04o}), and it "
                    "belongs to somebody else, so that this cannot be changed.",
                    zh=f"数据目录 {str(self.path)!r} 可被本机其他用户访问（权限 {mode:04o}），而且属于别的用户，无法修改。",
                ),
                param="home",
                code="home_not_private",
                fix=f"sudo chown $(id -u) {self.path} && chmod 700 {self.path}",
            ) from error


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


_QUICK = 64 * 1024 * 1024  # bytes of a database that is read through in a moment


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder and below, 0 if it is not there. Others may be writing: what vanishes meanwhile
    counts nothing. Links are not followed."""
    total = 0
    for place, _, names in os.walk(folder):  # a folder that vanishes is skipped, where Path.rglob would raise
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(place, name))
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def check_database(path: Path, fix: str) -> None:
    """Look a SQLite file over before anything is built on it; no file is no fault.

    Raises:
        DamagedError, BusyError, StorageError: what is wrong, with ``fix`` where it is damaged.
    """
    if not path.exists():
        return
    try:
        connection = sqlite3.connect(path, timeout=5)
        try:
            connection.execute("SELECT COUNT(*) FROM sqlite_master")
            if path.stat().st_size < _QUICK:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if found != "ok":
                    raise sqlite3.DatabaseError(str(found).replace("\n", " "))
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise storage_error(error, path, fix=fix) or error from error


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_DISK_SAYS_NO = (*_FULL, errno.EROFS, errno.EIO)


def storage_error(error: BaseException, path: Path | str | None = None, *, fix: str | None = None) -> ZhiluError | None:
    """What an error of the disk or of SQLite means, in one sentence with the next step; None if it is neither.

    Args:
        error: an ``OSError``, a ``sqlite3.Error``, or SQLAlchemy's around one (its ``orig``).
        path: the file or folder that was used, if the error does not name it.
        fix: the command that mends this file if it is damaged.
    """
    inner = getattr(error, "orig", None) or error
    if isinstance(inner, OSError):
        if inner.errno not in (*_DISK_SAYS_NO, *_READ_ONLY):
            return None
        kind = "full" if inner.errno in _FULL else "read_only" if inner.errno in _READ_ONLY else "io"
        return _said(kind, str(inner.filename or path or "?"), inner.strerror or str(inner), fix)
    if not isinstance(inner, sqlite3.Error):
        return None
    text = str(inner).lower()
    # By its words: Python 3.10 knows no sqlite_errorcode. They are those of sqlite3_errstr, the same since 2013.
    for words, kind in _SQLITE_SAYS:
        if words in text:
            return _said(kind, str(path or "?"), str(inner), fix)
    # Not one of its subclasses: SQLite found the file's content at odds with itself, in whatever words.
    return _said("damaged", str(path or "?"), str(inner), fix) if type(inner) is sqlite3.DatabaseError else None


_SQLITE_SAYS = (
    ("is full", "full"),
    ("readonly", "read_only"),
    ("read-only", "read_only"),
    ("unable to open", "read_only"),
    ("disk i/o error", "io"),
    ("is locked", "busy"),
    ("not a database", "damaged"),
    ("malformed", "damaged"),
    ("vtable constructor failed", "damaged"),
    ("no such table", "damaged"),
    ("no such column", "damaged"),
)


def _said(kind: str, path: str, reason: str, fix: str | None) -> ZhiluError:
    if kind == "busy":
        return BusyError(
            T(f"{path!r} is in use by another program ({reason}).", f"{path!r} 正被其他程序占用（{reason}）。"),
            code="database_locked", retry_after=5, fix=f"fuser {path}",
        )  # fmt: skip
    if kind == "damaged":
        return DamagedError(T(f"{path!r} is damaged ({reason}).", f"{path!r} 已损坏（{reason}）。"), fix=fix)
    if kind == "full":
        return StorageError(
            T(
                f"The disk is full: {path!r} could not be written ({reason}). What was saved before is unharmed.",
                f"磁盘已满：{path!r} 无法写入（{reason}）。之前保存的内容没有受损。",
            ),
            code="disk_full", fix="df -h",
        )  # fmt: skip
    if kind == "read_only":
        return StorageError(
            T(
                f"{path!r} cannot be written: the disk or the folder is read-only for you ({reason}).",
                f"{path!r} 无法写入：磁盘或目录对你是只读的（{reason}）。",
            ),
            code="read_only", fix=f"ls -ld {path}",
        )  # fmt: skip
    return StorageError(
        T(f"The disk failed at {path!r} ({reason}).", f"磁盘在 {path!r} 处出错（{reason}）。"),
        code="disk_failed", fix="zhilu doctor",
    )  # fmt: skip
