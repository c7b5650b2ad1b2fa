"""ZIP archives of documents. Nothing is unpacked to a path: members are read as streams, and their names are only names.

An archive that would unpack to far more than it holds is refused as a whole. What is no document of its owner (folders, links,
what a file manager left) is passed over; a member that is locked is refused by name.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.admission import check_archive
from zhilu.rag.load.base import Limits

__all__ = ["Member", "members", "members_or_why"]

# A ZIP with one of these is a document itself, or one that is refused by its own name (OpenDocument).
_DOCUMENTS = {
    "word/document.xml", "ppt/presentation.xml", "xl/workbook.xml", "xl/workbook.bin", "META-INF/container.xml", "mimetype",
}  # fmt: skip
_LEFT_BEHIND = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Member:
    """A file to add under ``name``. ``stream``: at its beginning, valid until the next member; None: ``error`` says why not."""

    name: str
    stream: IO[bytes] | None
    error: InputError | None = None


def members(stream: BinaryIO, name: str, limits: Limits | None = None) -> Iterator[Member]:
    """The files of the ZIP archive ``stream``, each named with the archive's own name and its folders; anything else is its
    own only member.

    Raises:
        TooLargeError: an archive bomb. InputError: a damaged or locked archive, or one without a file.
    """
    if not _is_archive(stream):
        yield Member(name, stream)
        return
    check_archive(stream, limits or Limits())
    stream.seek(0)
    with zipfile.ZipFile(stream) as archive:
        entries = [entry for entry in archive.infolist() if _is_file(entry)]
        if not entries:
            raise InputError(T("This archive holds no file.", "这个压缩包里没有文件。"), code="empty_archive")
        prefix = _prefix(name, [_name(entry) for entry in entries])
        for entry in entries:
            called = prefix + _name(entry)
            if stat.S_ISLNK(entry.external_attr >> 16):
                yield Member(
                    called, None, InputError(T("A link, not a file.", "这是链接，不是文件。"), code="not_a_file")
                )
                continue
            with archive.open(entry) as member:
                yield Member(called, member)


def members_or_why(stream: BinaryIO, name: str) -> Iterator[Member]:
    """As ``members``; an archive that cannot be opened is a member with that error."""
    try:
        yield from members(stream, name)
    except InputError as error:
        yield Member(name, None, error)


def _is_archive(stream: BinaryIO) -> bool:
    stream.seek(0)
    magic = stream.read(4)
    stream.seek(0)
    if magic not in (b"PK\x03\x04", b"PK\x05\x06"):
        return False
    try:
        with zipfile.ZipFile(stream) as archive:
            return not _DOCUMENTS & set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError):
        return False  # as a file of its own it is refused with the reason
    finally:
        stream.seek(0)


def _is_file(entry: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(entry.filename).parts
    return (
        not entry.is_dir() and bool(parts) and not any(part in _LEFT_BEHIND or part.startswith("._") for part in parts)
    )


def _name(entry: zipfile.ZipInfo) -> str:
    """Its name; where the archive does not say that it is UTF-8, Chinese Windows has written GB 18030."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        pass
    try:
        return entry.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return entry.filename


def _prefix(name: str, names: list[str]) -> str:
    """The archive's own name as the outermost folder, unless its files lie in a folder of that name already."""
    stem = PurePosixPath(name.replace("\\", "/")).name.rpartition(".")[0] or name
    return "" if all(n.startswith(f"{stem}/") for n in names) else f"{stem}/"
