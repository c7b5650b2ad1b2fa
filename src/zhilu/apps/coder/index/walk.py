"""The files of a repository that are read: text of known kinds, inside the folder, of a size that a person would read.

A repository is a stranger's. Links are not followed, what is no regular file is not opened, and nothing of it is run: not even
``git``, whose configuration may name programs.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.decode import decode

__all__ = ["LANGUAGES", "FoundFile", "RepoLimits", "SourceText", "read_file", "read_text", "walk"]

LANGUAGES = {
    ".py": "python", ".pyi": "python",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
    ".java": "java", ".go": "go", ".c": "c", ".h": "c",
    ".md": "text", ".rst": "text", ".txt": "text", ".toml": "text", ".yaml": "text", ".yml": "text", ".ini": "text",
    ".sh": "text", ".sql": "text", ".html": "text", ".css": "text", ".rs": "text", ".rb": "text", ".php": "text", ".cs": "text",
    ".kt": "text", ".swift": "text", ".cpp": "text", ".cc": "text", ".hpp": "text", ".vue": "text", ".proto": "text",
}  # fmt: skip
_SKIPPED = frozenset(
    {
        "node_modules", "__pycache__", "venv", "env", "dist", "build", "target", "out", "vendor", "coverage", "site-packages",
        "bower_components",
    }
)  # fmt: skip


@dataclass(frozen=True)
class RepoLimits:
    """``files`` and ``bytes`` of the whole repository, ``file_bytes`` of one file, ``depth`` of folders in folders."""

    files: int = 20_000
    bytes: int = 256 << 20
    file_bytes: int = 1 << 20
    line_chars: int = 5_000
    depth: int = 32
    entries: int = 500_000  # looked at in all, so that a folder of a million names ends


@dataclass(frozen=True)
class FoundFile:
    """``path`` is relative, with ``/``."""

    path: str
    language: str


@dataclass(frozen=True)
class SourceText:
    text: str
    encoding: str


def walk(
    root: Path, skipped: Counter[str], limits: RepoLimits = RepoLimits(), *, every_kind: bool = False
) -> Iterator[FoundFile]:
    """The files to read, sorted by path within their folders; ``skipped`` counts the others by reason (``link``, ``size``, …).

    Args:
        every_kind: also those of kinds that are not read, as ``text``.
    """
    pending: list[tuple[str, int]] = [("", 0)]
    files = looked_at = 0
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(root / folder) as found:
                entries = sorted(found, key=lambda e: e.name)
        except OSError:
            skipped["unreadable"] += 1
            continue
        below = []
        for entry in entries:
            looked_at += 1
            if looked_at > limits.entries or files >= limits.files:
                skipped["limit"] += 1
                return
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink():
                skipped["link"] += 1
            elif not _can_be_shown(entry.name):
                skipped["name"] += 1
            elif entry.is_dir(follow_symlinks=False):
                if entry.name in _SKIPPED or entry.name.startswith("."):
                    continue
                if depth + 1 > limits.depth:
                    skipped["depth"] += 1
                else:
                    below.append((path, depth + 1))
            elif not entry.is_file(follow_symlinks=False):
                skipped["special"] += 1
            elif (language := _language(entry.name, every_kind)) and entry.name[0] != ".":
                if entry.stat(follow_symlinks=False).st_size > limits.file_bytes:
                    skipped["size"] += 1
                else:
                    files += 1
                    yield FoundFile(path, language)
        pending.extend(reversed(below))


def _language(name: str, every_kind: bool) -> str | None:
    return LANGUAGES.get(PurePosixPath(name).suffix.lower(), "text" if every_kind else None)


def _can_be_shown(name: str) -> bool:
    """No control or direction characters, and UTF-8: the name is shown to people and to a model, and kept in a database."""
    return all(unicodedata.category(c)[0] != "C" for c in name) and "\\" not in name


def read_file(root: Path, path: str, limits: RepoLimits = RepoLimits()) -> bytes:
    """The bytes of a file of the repository.

    Raises:
        InputError: it is not inside, no regular file, or too large. OSError: it cannot be read.
    """
    place = root / path
    if not PurePosixPath(path).parts or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise _outside(path)
    folder = Path(os.path.realpath(place.parent))
    if not folder.is_relative_to(os.path.realpath(root)):
        raise _outside(path)
    # Opened without following a link and without waiting for a pipe's other end; then looked at once more.
    handle = os.open(folder / place.name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > limits.file_bytes:
            raise InputError(
                T(f"{path!r} is no file that is read here.", f"{path!r} 不是这里读取的文件。"), param="path"
            )
        return file.read(limits.file_bytes + 1)[: limits.file_bytes]


def read_text(data: bytes, limits: RepoLimits = RepoLimits()) -> SourceText | None:
    """The text of a source file; None for what is none: binary, or lines that no person wrote (minified)."""
    if b"\0" in data[:8192]:
        return None
    try:
        text, encoding = decode(data)
    except InputError:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if any(len(line) > limits.line_chars for line in text.split("\n")):
        return None
    return SourceText(text, encoding)


def _outside(path: str) -> InputError:
    return InputError(
        T(f"{path!r} is not inside the repository.", f"{path!r} 不在代码仓库内。"), param="path", code="outside"
    )
