"""The whole data home as one file, and back.

A backup is a tar archive: ``manifest.json`` (format, version, schema, and every file with its SHA-256) and the files under
``home/``. Databases are copied by SQLite's own backup, which sees one state of each while others write. Everything else in a
home is written once or by rename, so each copy is whole. Not included: what can be made again (``cache``, ``run``, ``logs``, the
engines' environments), and models unless they are asked for.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import IO, Any

from zhilu import __version__
from zhilu.client import running_gateway
from zhilu.context import Context
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.home import Home, storage_error
from zhilu.messages import T

__all__ = ["Backup", "back_up", "restore"]

FORMAT = 1
_LEFT_OUT = ("cache", "run", "logs")
_KEPT_BY_RESTORE = ("models", "engines", "cache")  # of the home that is replaced, where the backup holds none
_BLOCK = 1 << 20


@dataclass
class Backup:
    """What a backup holds: ``files`` maps paths in the home to SHA-256; ``schema`` the state database's version tables to
    their migrations."""

    format: int
    version: str
    schema: dict[str, str]
    created_at: str
    models: bool
    files: dict[str, str] = field(default_factory=dict)


def back_up(context: Context, target: Path | None = None, *, models: bool = False) -> tuple[Path, Backup]:
    """Write the home into one file (0600: it holds documents and keys): ``(path, what is in it)``.

    It is there whole or not at all. Zhilu may go on running meanwhile.

    Raises:
        InputError: the target is in the data home, or its folder is not there. StorageError: the disk is full.
    """
    now = datetime.now(timezone.utc)
    target = (target or Path.cwd() / f"zhilu-backup-{now:%Y%m%d-%H%M%S}.tar").absolute()
    home = context.home.path.resolve()
    if target.resolve().is_relative_to(home):
        raise InputError(
            T(f"{str(target)!r} is inside the data home itself.", f"{str(target)!r} 就在数据目录里面。"),
            param="target", fix="zhilu backup ~/zhilu-backup.tar",
        )  # fmt: skip
    if not target.parent.is_dir():
        raise InputError(
            T(f"There is no folder {str(target.parent)!r}.", f"没有目录 {str(target.parent)!r}。"),
            param="target", fix=f"mkdir -p {target.parent}",
        )  # fmt: skip
    backup = Backup(FORMAT, __version__, {}, now.isoformat(timespec="seconds"), models)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for path in _files(home, models):
                    _add(archive, home, path, backup, draft.parent)
                _write(archive, "manifest.json", json.dumps(asdict(backup), indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except (OSError, sqlite3.Error) as error:
        raise storage_error(error, target, fix="zhilu repair") or error from error
    finally:
        draft.unlink(missing_ok=True)
    return target, backup


def _files(home: Path, models: bool) -> Iterator[Path]:
    for folder, folders, names in os.walk(home):
        relative = Path(folder).relative_to(home)
        if relative == Path():
            left_out = {*_LEFT_OUT, *(() if models else ("models",))}
            folders[:] = [f for f in folders if f not in left_out and not f.startswith(".")]
        elif relative.parts[0] == "engines":
            folders[:] = []  # environments, which are installed anew; served.json beside them is kept
        folders[:] = sorted(f for f in folders if not f.startswith((".new-", ".deleted-")))
        for name in sorted(names):
            path = Path(folder) / name
            is_side = name.endswith(("-wal", "-shm", ".tmp", ".lock")) or ".db.damaged-" in name or ".repairing" in name
            if not is_side and not path.is_symlink() and path.is_file():
                yield path


def _add(archive: tarfile.TarFile, home: Path, path: Path, backup: Backup, scratch: Path) -> None:
    name = path.relative_to(home).as_posix()
    with suppress(FileNotFoundError):  # deleted meanwhile
        if path.suffix == ".db":
            with tempfile.NamedTemporaryFile(dir=scratch, prefix=".zhilu-", suffix=".db") as copy:
                schema = _snapshot(path, Path(copy.name))
                backup.schema = schema if name == "zhilu.db" else backup.schema
                backup.files[name] = _copy(archive, f"home/{name}", Path(copy.name))
        else:
            backup.files[name] = _copy(archive, f"home/{name}", path)


def _snapshot(path: Path, copy: Path) -> dict[str, str]:
    """One state of a database that others may be writing to; its Alembic versions if it has any."""
    with closing(sqlite3.connect(path, timeout=30)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
        named = target.execute("SELECT name FROM sqlite_master WHERE name LIKE 'alembic_version%' AND type = 'table'")
        return {
            name: str(version)
            for (name,) in named.fetchall()
            for (version,) in target.execute(f'SELECT * FROM "{name}"')
        }


def _copy(archive: tarfile.TarFile, name: str, path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        info = archive.gettarinfo(arcname=name, fileobj=file)
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode = 0o600
        archive.addfile(info, _Hashing(file, digest))
    return digest.hexdigest()


class _Hashing(io.RawIOBase):
    """Reads on, and hashes what went by."""

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data


def _write(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    archive.addfile(info, io.BytesIO(data))


def restore(home: Home, source: Path, *, replace: bool = False) -> tuple[Backup, Path | None]:
    """Make ``home`` what it was when the backup was made: ``(what was in it, where the old home went)``.

    Everything is unpacked beside the home and checked against its SHA-256 first; then the folders change places. Models and
    engines' environments that the backup does not hold are taken over from the old home.

    Raises:
        NotFoundError: no such file. InputError: it is no backup, or damaged; nothing was changed. ConflictError: Zhilu runs on
            this home, it is not empty (and ``replace`` was not said), or the backup is of a newer version.
    """
    if not source.is_file():
        raise NotFoundError(T(f"There is no file {str(source)!r}.", f"没有文件 {str(source)!r}。"), param="source")
    if (url := running_gateway(home.run)) is not None:
        raise ConflictError(
            T(
                f"Zhilu is running on this data home, at {url}. Stop it first.",
                f"指路正在这个数据目录上运行，地址是 {url}。请先停止它。",
            ),
            fix="Ctrl+C",
        )
    if not replace and _is_used(home):
        raise ConflictError(
            T(
                f"The data home {str(home.path)!r} is in use. With --replace it is set aside, and the backup takes its place.",
                f"数据目录 {str(home.path)!r} 已有内容。使用 --replace 会先把它移到一旁，再换成备份。",
            ),
            fix=f"zhilu restore {source} --replace",
        )
    path = home.path.resolve()
    fresh = path.with_name(f".{path.name}.restoring-{secrets.token_hex(4)}")
    try:
        fresh.mkdir(mode=0o700)
        backup = _unpack(source, fresh)
        aside = path.with_name(f"{path.name}.before-restore-{datetime.now(timezone.utc):%Y%m%d-%H%M%S}")
        os.rename(path, aside)
        os.rename(fresh, path)
    except OSError as error:
        raise storage_error(error, path) or error from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    Home(path).ensure()
    for name in _KEPT_BY_RESTORE:
        _take_over(aside / name, path / name)
    if _is_used(Home(aside)):
        return backup, aside
    shutil.rmtree(aside, ignore_errors=True)
    return backup, None


def _take_over(old: Path, new: Path) -> None:
    """Move what the new folder has not."""
    for item in sorted(old.iterdir()) if old.is_dir() else ():
        if not (new / item.name).exists():
            os.rename(item, new / item.name)


def _is_used(home: Home) -> bool:
    """Whether it holds anything of a person's."""
    folders = (home.kbs, home.adapters, home.datasets, home.runs, home.transcripts, home.evidence)
    return (
        home.database.exists() or home.settings_file.exists() or any(f.is_dir() and any(f.iterdir()) for f in folders)
    )


def _unpack(source: Path, fresh: Path) -> Backup:
    digests: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise _no_backup(source, f"{member.name!r} is no file")
                if member.name == "manifest.json":
                    manifest = json.loads(stream.read(64 * _BLOCK))
                    continue
                name = _inside(source, member.name)
                digests[name] = _extract(stream, fresh / name)
        backup = Backup(**(manifest or {}))
    except (tarfile.TarError, ValueError, TypeError, EOFError) as error:
        raise _no_backup(source, str(error)) from error
    wrong = sorted(name for name in {*digests, *backup.files} if digests.get(name) != backup.files.get(name))
    if wrong:
        raise _no_backup(source, f"{wrong[0]!r} is not what was backed up")
    _refuse_newer(backup)
    return backup


def _inside(source: Path, name: str) -> str:
    """The path in the home; names that would lead out of it are refused."""
    path = PurePosixPath(name)
    if path.parts[:1] != ("home",) or len(path.parts) < 2 or ".." in path.parts or path.is_absolute() or "\\" in name:
        raise _no_backup(source, f"{name!r} leads out of the data home")
    return str(PurePosixPath(*path.parts[1:]))


def _extract(stream: IO[bytes], path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while block := stream.read(_BLOCK):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _refuse_newer(backup: Backup) -> None:
    from zhilu.migrations import installed

    if backup.format > FORMAT or any(backup.schema.get(t.version_table, "") > t.head for t in installed()):
        raise ConflictError(
            T(
                f"This backup was made by Zhilu {backup.version}, which is newer than this one ({__version__}).",
                f"这个备份由指路 {backup.version} 创建，比当前版本（{__version__}）更新。",
            ),
            fix="pip install --upgrade zhilu",
        )


def _no_backup(source: Path, reason: str) -> InputError:
    return InputError(
        T(
            f"{str(source)!r} is no whole backup of Zhilu ({reason}). Nothing was changed.",
            f"{str(source)!r} 不是完整的指路备份（{reason}）。没有做任何改动。",
        ),
        param="source",
        code="bad_backup",
    )
