"""Checks before a parser sees the file: its name, its size, and what an archive would unpack to."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from pathlib import Path
from typing import BinaryIO

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.rag.load.base import Limits

__all__ = ["check_archive", "check_size", "safe_name", "safe_path"]

_RESERVED = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')


def safe_name(name: str) -> str:
    """The file's own name, without any folder: names are shown and stored in the database, never used as a path.

    Raises:
        InputError: nothing is left of it, as with ``".."`` or ``"/"``.
    """
    base = unicodedata.normalize("NFC", name).replace("\\", "/").rsplit("/", 1)[-1]
    base = "".join(c for c in _RESERVED.sub("_", base) if unicodedata.category(c) not in ("Cc", "Cf", "Cs")).strip()
    base = unicodedata.normalize("NFC", base)  # what stood between a letter and its accent may be gone
    if base.strip(". ") == "":
        raise InputError(
            T(en=f"{name[:200]!r} is not a file name.", zh=f"{name[:200]!r} 不是有效的文件名。"), code="bad_name"
        )
    if len(base.encode()) > 240:
        stem, dot, suffix = base.rpartition(".")
        suffix = dot + suffix if dot and len(suffix) < 12 else ""
        base = (stem if suffix else base).encode()[:200].decode("utf-8", "ignore") + suffix
    return base


def safe_path(name: str) -> str:
    """A name with the folders it came with, ``guide/install.md``; of a path that is absolute or climbs, the file's own name
    alone, for the rest of it says where this person's files are.

    Raises:
        InputError: as ``safe_name``.
    """
    parts = unicodedata.normalize("NFC", name).replace("\\", "/").split("/")
    *folders, own = parts
    folders = [part for part in folders if part != "."]
    if any(part in ("", "..") or part[1:2] == ":" for part in folders):
        folders = []
    path = "/".join([*map(safe_name, folders), safe_name(own)])
    return path if len(path) <= 1000 else safe_name(own)


def check_size(size: int, max_mb: int) -> None:
    """Raises ``TooLargeError`` above the upload limit; ``size`` in bytes, ``max_mb`` in MiB."""
    if size > max_mb * 1024 * 1024:
        raise TooLargeError(
            T(
                en=f"This file has {size / 1048576:.1f} MB; the limit is {max_mb} MB.",
                zh=f"这个文件有 {size / 1048576:.1f} MB，超过了 {max_mb} MB 的上限。",
            ),
            code="file_too_large",
            fix=f"zhilu settings set max_upload_mb {-(-size // 1048576)}",
        )


def check_archive(path: Path | BinaryIO, limits: Limits) -> None:
    """Refuse a ZIP container that would unpack to far more than it is, before anything is unpacked.

    The directory's sizes can lie, so every entry is also really inflated here, with a counter, and nothing is kept.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            declared = sum(e.file_size for e in entries)
            packed = max(sum(e.compress_size for e in entries), 1)
            limit = limits.archive_total_mb * 1024 * 1024
            if len(entries) > limits.archive_entries or declared > limit:
                raise _bomb(declared, len(entries))
            if declared > 8 * 1024 * 1024 and declared / packed > limits.archive_ratio:
                raise _bomb(declared, len(entries))
            if any(e.flag_bits & 1 for e in entries):
                raise InputError(
                    T(en="This document is locked with a password.", zh="这个文档有密码保护。"), code="encrypted"
                )
            inflated = 0
            for entry in entries:
                if entry.is_dir():
                    continue
                with archive.open(entry) as stream:
                    while block := stream.read(1 << 20):
                        inflated += len(block)
                        if inflated > limit:
                            raise _bomb(inflated, len(entries))
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise InputError(
            T(
                en="This document's container is damaged (a broken ZIP). Save or download it again.",
                zh="这个文档的容器已损坏（ZIP 结构错误）。请重新保存或下载。",
            ),
            code="zip_broken",
        ) from error


def _bomb(size: int, entries: int) -> TooLargeError:
    return TooLargeError(
        T(
            en=f"This document would unpack to {size / 1048576:.0f} MB in {entries} parts, far more than a document "
            "holds: refused as an archive bomb.",
            zh=f"这个文档解压后达 {size / 1048576:.0f} MB、{entries} 个部分，远超正常文档：按压缩炸弹拒绝。",
        ),
        code="archive_bomb",
    )
