"""An append-only file of vectors and deletions, from which a store that lives in memory is rebuilt.

A record is a header, its ids, its vectors and a little JSON, under one checksum; an append is one write and one sync. So a kill
can only cut off the last record, which was never acknowledged: readers stop before it, and the next writer removes it. There is
no index. A reader that knows how far it has read continues from there, which is how one process sees what another wrote.
``replace`` writes the file anew without what was deleted; a reader notices by the random mark in its header.

::

    file    b"zhilu vectors 1\\n" · dim u32 · mark u64
    record  b"rec1" · kind u32 · n u32 · json_bytes u32 · crc32 u32 · ids i64[n] · vectors f32[n, dim] · json
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import ConflictError
from zhilu.home import atomic_write, file_lock
from zhilu.messages import T

__all__ = ["Record", "RecordLog"]

_MAGIC = b"zhilu vectors 1\n"
_FILE = struct.Struct("<16sIQ")
_HEAD = struct.Struct("<4sIIII")
_UPSERT, _DELETE = 1, 2


@dataclass(frozen=True)
class Record:
    """Rows that were written (``vectors`` (n, dim), with a document and a language each), or ids that were deleted
    (``vectors`` (0, dim))."""

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    doc_ids: Sequence[str] = field(default_factory=list)
    langs: Sequence[str] = field(default_factory=list)

    @property
    def is_deletion(self) -> bool:
        return len(self.vectors) == 0

    def encoded(self) -> bytes:
        about = b"" if self.is_deletion else json.dumps([list(self.doc_ids), list(self.langs)]).encode()
        body = self.ids.astype("<i8").tobytes() + self.vectors.astype("<f4").tobytes() + about
        kind = _DELETE if self.is_deletion else _UPSERT
        return _HEAD.pack(b"rec1", kind, len(self.ids), len(about), zlib.crc32(body)) + body


class RecordLog:
    """The file at ``path``. Writers hold ``writing()``, in any process; readers need no lock."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path = path
        self.dim = dim
        if not path.exists():
            with self.writing():
                if not path.exists():
                    self.replace([])

    @contextmanager
    def writing(self) -> Iterator[None]:
        with file_lock(self.path.with_suffix(".lock")):
            yield

    def read(self, offset: int, mark: int) -> tuple[list[Record], int, int]:
        """``(records, end, mark)``: the whole records after ``offset`` of the file that had ``mark``, and where to go on.
        Where the mark is another one the file was written anew, and these are all of its records.

        Raises:
            ConflictError: the file is damaged before its end, or made for vectors of another length.
        """
        with self.path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(_FILE.size)
            magic, dim, found = _FILE.unpack(head) if len(head) == _FILE.size else (b"", 0, 0)
            if (magic, dim) != (_MAGIC, self.dim):
                raise self._damaged()
            at = max(offset if found == mark else 0, _FILE.size)
            file.seek(at)
            records = []
            while (step := self._next(file, size - at)) is not None:
                records.append(step[0])
                at += step[1]
            return records, at, found

    def append(self, record: Record, end: int) -> int:
        """Write ``record`` at ``end``, where the last whole record stops; where it ends. Hold ``writing()``."""
        with self.path.open("r+b") as file:
            file.truncate(end)  # a record that a kill cut off
            file.seek(end)
            file.write(record.encoded())
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def replace(self, records: Sequence[Record]) -> None:
        """Make ``records`` all there is. Hold ``writing()``."""
        head = _FILE.pack(_MAGIC, self.dim, int.from_bytes(os.urandom(8), "little"))
        atomic_write(self.path, head + b"".join(r.encoded() for r in records))

    def _next(self, file: BinaryIO, left: int) -> tuple[Record, int] | None:
        """The record here and its length; None at the end, also where the last record is cut off."""
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        magic, kind, n, about, checksum = _HEAD.unpack(head)
        rows = n if kind == _UPSERT else 0
        length = _HEAD.size + 8 * n + 4 * rows * self.dim + about
        if magic == b"rec1" and length > left:
            return None
        body = file.read(length - _HEAD.size) if magic == b"rec1" else b""
        if zlib.crc32(body) != checksum or kind not in (_UPSERT, _DELETE):
            if length >= left:  # a page of the last record never reached the disk
                return None
            raise self._damaged()
        ids = np.frombuffer(body, "<i8", n)
        vectors = np.frombuffer(body, "<f4", rows * self.dim, 8 * n).reshape(rows, self.dim)
        doc_ids, langs = json.loads(body[len(body) - about :]) if about else ([], [])
        return Record(ids, vectors, doc_ids, langs), length

    def _damaged(self) -> ConflictError:
        return ConflictError(
            T(
                en=f"The vectors in {str(self.path)!r} are damaged, or are not of length {self.dim}.",
                zh=f"{str(self.path)!r} 中的向量已损坏，或者长度不是 {self.dim}。",
            ),
            code="vectors_damaged",
        )
