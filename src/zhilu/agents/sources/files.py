"""``files:FOLDER``: list, read, search and, after approval, write the text files of one folder.

Nothing outside the folder is reached: every path is resolved, links and all, before it is opened.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from zhilu.agents.choose import words_of
from zhilu.errors import ConflictError, ForbiddenError, InputError, NotFoundError, TooLargeError, nearest
from zhilu.home import atomic_write
from zhilu.messages import T
from zhilu.tools import Tool, tool_from
from zhilu.tools.schema import LATER

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["FILES", "FilesSource", "Folder"]

_LARGEST = 2_000_000  # bytes of a file that is read or written
_MOST = 200  # files or lines that are listed
# A model chooses by these: "add it to the list" must not become a new list of one line.
_ANEW = T("Write a new file (what an old one holds is lost)", "写一个新文件（原有内容会被覆盖）")
_MORE = T("Add to a file, keeping what it holds", "添加到文件末尾，保留原有内容")
_CLOSE = 5  # lines shown where none has the text


Further = Annotated[int, Field(json_schema_extra={LATER: True})]


class Folder:
    """One folder. Paths are given relative to it, with ``/``."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        if not self.root.is_dir():
            raise NotFoundError(
                T(f"There is no folder {str(root)!r}.", f"没有文件夹 {str(root)!r}。"), fix=f"mkdir -p {root}"
            )

    def list_files(self, pattern: str = "**/*") -> list[dict[str, Any]]:
        """List the files of the folder with their size in bytes.

        Args:
            pattern: which ones, such as *.txt or notes/**/*.md; all by default.
        """
        if pattern.startswith("/") or ".." in Path(pattern).parts:
            raise _outside(pattern)
        try:
            found = [p for p in self.root.glob(pattern.strip() or "**/*") if p.is_file() and self._holds(p)]
        except (ValueError, NotImplementedError) as error:
            raise InputError(
                T(f"{pattern!r} is no pattern: {error}.", f"{pattern!r} 不是有效的模式：{error}。")
            ) from error
        return [{"path": p.relative_to(self.root).as_posix(), "bytes": p.stat().st_size} for p in sorted(found)[:_MOST]]

    def read_file(self, path: str, start_line: Further = 1, num_lines: Further = 400) -> str:
        """Read a text file of the folder.

        Args:
            path: as list_files gives it.
            start_line: the first line, counted from 1.
            num_lines: how many lines at most.
        """
        lines = self._text(self._inside(path)).splitlines()
        first = max(start_line, 1)
        part = lines[first - 1 : first - 1 + max(num_lines, 1)]
        rest = len(lines) - (first - 1) - len(part)
        return "\n".join(part) + (
            f"\n[{rest} more lines: read on with start_line={first + len(part)}]" if rest > 0 else ""
        )

    def search_files(self, text: str, pattern: str = "**/*") -> str:
        """Find the lines of the folder's text files that contain a text (case does not matter), or are closest to it.

        Args:
            text: what to look for, best one or two words as they stand there.
            pattern: which files, such as *.txt; all by default.
        """
        found: list[str] = []
        close: list[tuple[int, str]] = []  # words that a line shares with what is looked for
        wanted = set(words_of(text))
        for entry in self.list_files(pattern):
            try:
                lines = self._text(self.root / entry["path"]).splitlines()
            except (InputError, TooLargeError):
                continue
            for number, line in enumerate(lines, 1):
                told = f"{entry['path']}:{number}: {line[:300]}"
                if text.lower() in line.lower():
                    found.append(told)
                elif not found and (shared := len(wanted & set(words_of(line[:2000])))):
                    close.append((shared, told))
            if len(found) >= _MOST:
                break
        if found:
            return "\n".join(found[:_MOST])
        if close:
            best = [told for _, told in sorted(close, key=lambda one: -one[0])[:_CLOSE]]
            return "\n".join([f"No line has {text!r}. Closest to it:", *best])
        raise self._nothing(text, pattern)

    def write_file(self, path: str, content: str) -> str:
        """Write a text file of the folder: a new one, or in place of the old one.

        Args:
            path: relative to the folder, such as report.txt; folders in between are made.
            content: all of the new text.
        """
        target = self._inside(path, must_exist=False)
        if len(content.encode()) > _LARGEST:
            raise TooLargeError(T(f"{path}: more than {_LARGEST} bytes.", f"{path}：超过 {_LARGEST} 字节。"))
        before = target.stat().st_size if target.is_file() else 0
        target.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(target, content)
        lost = f", in place of the {before} bytes that it held" if before else ""
        return f"wrote {len(content.encode())} bytes to {target.relative_to(self.root).as_posix()}{lost}"

    def append_to_file(self, path: str, content: str) -> str:
        """Add text at the end of a file of the folder, on a new line.

        Args:
            path: relative to the folder; a new file is made where there is none.
            content: the text to add.
        """
        target = self._inside(path, must_exist=False)
        before = self._text(target) if target.exists() else ""
        joint = "" if not before or before.endswith("\n") else "\n"
        self.write_file(path, f"{before}{joint}{content.rstrip(chr(10))}\n")
        return f"added {len(content)} characters to {path}"

    def replace_in_file(self, path: str, old: str, new: str) -> str:
        """Replace a text that stands exactly once in a file of the folder.

        Args:
            path: of an existing file.
            old: the text as it stands there.
            new: what shall stand there instead.
        """
        before = self._text(self._inside(path))
        if not old or before.count(old) != 1:
            raise ConflictError(
                T(
                    f"{old[:80]!r} stands {before.count(old) if old else 0} times in {path}; it must be exactly once.",
                    f"{old[:80]!r} 在 {path} 中出现 {before.count(old) if old else 0} 次，必须恰好一次。",
                )
            )
        return self.write_file(path, before.replace(old, new))

    def _nothing(self, text: str, pattern: str) -> NotFoundError:
        there = ", ".join(entry["path"] for entry in self.list_files()[:20]) or "-"
        if not self.list_files(pattern):
            return NotFoundError(
                T(
                    f"No file is called {pattern!r}. The files: {there}.",
                    f"没有名为 {pattern!r} 的文件。现有文件：{there}。",
                )
            )
        return NotFoundError(
            T(f"No line has {text!r}. The files: {there}.", f"没有哪一行含有 {text!r}。现有文件：{there}。")
        )

    def _inside(self, path: str, *, must_exist: bool = True) -> Path:
        if not path.strip() or "\x00" in path:
            raise InputError(T(f"{path!r} is no path.", f"{path!r} 不是路径。"), param="path")
        target = (self.root / re.sub(r"^(\./)+", "", path.strip())).resolve()
        if not self._holds(target) or target == self.root:
            raise _outside(path)
        if must_exist and not target.is_file():
            there = [entry["path"] for entry in self.list_files()]
            close = nearest(path, there)
            said = f" Did you mean {close!r}?" if close else f" There are: {', '.join(there[:20]) or '-'}."
            raise NotFoundError(
                T(
                    f"There is no file {path!r}.{said}",
                    f"没有文件 {path!r}。" + (f"是不是 {close!r}？" if close else ""),
                )
            )
        if target.is_dir():
            raise ConflictError(T(f"{path!r} is a folder.", f"{path!r} 是一个文件夹。"))
        return target

    def _holds(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root)

    def _text(self, path: Path) -> str:
        if path.stat().st_size > _LARGEST:
            raise TooLargeError(
                T(f"{path.name} has more than {_LARGEST} bytes.", f"{path.name} 超过 {_LARGEST} 字节。")
            )
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError(T(f"{path.name} is no text in UTF-8.", f"{path.name} 不是 UTF-8 文本。")) from error


def _outside(path: str) -> ForbiddenError:
    return ForbiddenError(
        T(f"{path!r} is outside the folder.", f"{path!r} 在文件夹之外。"), param="path", code="outside_folder"
    )


class FilesSource:
    title = T("The files of a folder", "文件夹里的文件")
    usage = "files:FOLDER"
    is_local = True
    example = "files:./notes"

    def about(self, context: Context, argument: str) -> str:
        return ", ".join(entry["path"] for entry in Folder(Path(argument)).list_files()[:20])

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        folder = Folder(Path(argument))
        yield [
            tool_from(folder.list_files, title=T("List the files", "列出文件")),
            tool_from(folder.read_file, title=T("Read a file", "读文件")),
            tool_from(folder.search_files, title=T("Search the texts of the files", "在文件的文字中查找")),
            tool_from(
                folder.write_file,
                effect="write",
                repeatable=True,
                title=_ANEW,
            ),
            tool_from(
                folder.append_to_file,
                effect="write",
                title=_MORE,
            ),
            tool_from(
                folder.replace_in_file, effect="write", title=T("Change a few words of a file", "修改文件中的几个字")
            ),
        ]


FILES = FilesSource()
