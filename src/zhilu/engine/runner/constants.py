"""The graph's rounded weights in a file: made once, mapped afterwards.

OpenVINO's plugin reorders every weight for its kernels and keeps that copy. The original constant stays in memory as well, as
long as the graph lives. If the constants are in a mapped file, their pages can be released once the graph is compiled (measured
for a model of 1.5 GB: half the memory), and the next start does not have to make them again.

A file is identified by the model's files (path, size, time, and a few bytes of them in many places), by the rounding and by
this program's version; if it does not match, it is made again. The compiled graph cannot be kept beside it: OpenVINO 2026.4
exports it, and refuses to read it back, because the shape of PagedAttention's heads is not written down.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zhilu import __version__
from zhilu.logs import get_logger

__all__ = ["ConstantFile", "Constants"]

log = get_logger(__name__)

Arrays = Mapping[str, npt.NDArray[Any]]

_MAGIC = b"zhilu constants 2"
_PAGE = 4096
# At the end: where the index of the arrays begins, its SHA-256 (32 bytes), the magic.
_TAIL_BYTES = 8 + 32 + len(_MAGIC)
# What stays, beside the newest; of older ones a start makes them again.
_KEPT_FILES = 3
_KEPT_BYTES = 12 * 2**30
# Two models of one shape have files of one size, and a copy may have one time: then these tell them apart.
_SAMPLES, _SAMPLE_BYTES = 64, 256


class Constants:
    """Makes each constant when it is first asked for and keeps it in memory: the graphs read from there.

    Args:
        threads: that whoever makes one may use.
    """

    is_mapped = False  # nothing has to be made

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self._kept: dict[str, Arrays] = {}

    def place(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays that ``make`` makes, under a name that says all that they depend on."""
        if name not in self._kept:
            self._kept[name] = self._make(name, make)
        return self._kept[name]

    def _make(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        return make()

    def finish(self) -> None:
        """All constants have been placed."""

    def arrays(self) -> Arrays:
        """All of them; of those that are mapped the pages can be given back (``weights.release_pages``)."""
        return {f"{name} {part}": array for name, made in self._kept.items() for part, array in made.items()}

    def describe(self) -> str:
        return "made at every start"


class ConstantFile(Constants):
    """
    Args:
        folder: where such files lie; made if absent.
        owner: the model's name, with which the files' names begin (``OWNER~….constants``).
        sources: the model's files.
        how: whatever else the constants depend on.
        num_bytes: about how many there will be; without twice that room on the disk no file is written.
    """

    def __init__(
        self, folder: Path, owner: str, sources: list[Path], how: str, num_bytes: int, threads: int = 1
    ) -> None:
        super().__init__(threads)
        facts = [_MAGIC.decode(), __version__, how, *map(_identity, sources)]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
        self._path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', owner)[:100]}~{key}.constants"
        self._mapped: npt.NDArray[np.uint8] | None = None
        self._index: dict[str, dict[str, tuple[int, str, list[int]]]] = {}
        self._writing: Any = None
        self._seconds = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._read():
                os.utime(self._path)
            elif shutil.disk_usage(folder).free > 2 * num_bytes:
                _prune(folder, num_bytes)
                self._temporary = self._path.with_suffix(f".{os.getpid()}.new")
                self._writing = self._temporary.open("w+b")
                self._writing.write(_MAGIC.ljust(_PAGE, b"\0"))
        except OSError as error:
            log.warning("constants_not_kept", folder=str(folder), error=str(error))
            self._give_up()

    @property
    def is_mapped(self) -> bool:  # type: ignore[override]
        return self._mapped is not None

    def _make(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        if name in self._index:
            return {part: self._view(*entry) for part, entry in self._index[name].items()}
        started = time.monotonic()
        made = make()
        if self._writing is not None:
            try:
                made = self._write(name, made)
            except OSError as error:  # the disk is full: what was written so far stays mapped
                log.warning("constants_not_kept", error=str(error))
                self._give_up()
        self._seconds += time.monotonic() - started
        return made

    def finish(self) -> None:
        if self._writing is None:
            return
        try:
            place, index = self._writing.seek(0, os.SEEK_END), json.dumps(self._index).encode()
            self._writing.write(index + place.to_bytes(8, "little") + _digest(place, index) + _MAGIC)
            self._writing.flush()
            os.fsync(self._writing.fileno())
            self._writing.close()
            os.replace(self._temporary, self._path)
            self._writing = None
        except OSError as error:
            log.warning("constants_not_kept", error=str(error))
            self._give_up()

    def describe(self) -> str:
        if self._mapped is not None:
            return "mapped from the data home's cache"
        return f"made in {self._seconds:.1f} s" + (
            ", the next start maps them" if self._path.is_file() else ", not kept"
        )

    def _read(self) -> bool:
        if not self._path.is_file() or self._path.stat().st_size <= _TAIL_BYTES:
            return False
        mapped = np.memmap(self._path, np.uint8, "c")
        tail = mapped[-_TAIL_BYTES:].tobytes()
        place, digest, magic = int.from_bytes(tail[:8], "little"), tail[8:40], tail[40:]
        index = mapped[place:-_TAIL_BYTES].tobytes() if magic == _MAGIC and place < len(mapped) else b""
        if digest != _digest(place, index):
            return False
        self._index, self._mapped = json.loads(index), mapped
        return True

    def _view(self, start: int, dtype: str, shape: list[int]) -> npt.NDArray[Any]:
        assert self._mapped is not None
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._mapped[start : start + count].view(dtype).reshape(shape)

    def _write(self, name: str, made: Arrays) -> Arrays:
        kept: dict[str, npt.NDArray[Any]] = {}
        entries = {}
        for part, array in made.items():
            start = -(-self._writing.seek(0, os.SEEK_END) // _PAGE) * _PAGE
            self._writing.seek(start)
            self._writing.write(np.ascontiguousarray(array).data)
            entries[part] = (start, array.dtype.str, list(array.shape))
        self._writing.flush()
        for part, (start, dtype, shape) in entries.items():
            kept[part] = np.memmap(self._temporary, dtype, "c", start, tuple(shape))
        self._index[name] = entries
        return kept

    def _give_up(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None
            self._index = {}
            with suppress(OSError):
                self._temporary.unlink()


def _identity(path: Path) -> tuple[str, int, int, str]:
    """What changes with the file: without reading a gigabyte, and also where another file has its size and its time."""
    stat = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for number in range(_SAMPLES):
            file.seek(stat.st_size * number // _SAMPLES)
            digest.update(file.read(_SAMPLE_BYTES))
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns, digest.hexdigest()


def _digest(place: int, index: bytes) -> bytes:
    """Of the index and its place: a file with a piece missing is another one."""
    return hashlib.sha256(place.to_bytes(8, "little") + index).digest()


def _prune(folder: Path, num_bytes: int) -> None:
    """Make room for so many bytes: forget what was not used for longest, and what a start that was killed has left."""
    with suppress(OSError):
        for path in folder.glob("*.new"):
            if time.time() - path.stat().st_mtime > 3600:
                path.unlink()
        kept = sorted(folder.glob("*.constants"), key=lambda path: path.stat().st_mtime, reverse=True)
        for number, path in enumerate(kept):
            num_bytes += path.stat().st_size
            if number >= _KEPT_FILES or num_bytes > _KEPT_BYTES:
                path.unlink()
