"""An HTML export of a Confluence space (a ZIP): its pages with the names and the tree that they have there, and what is attached.

In the export, files are called by numbers (``123456.html``); the title and the pages above stand in each page. Menus, dates of
the export and lists of attachments are left out of what is read.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from zhilu.errors import InputError, NotFoundError, ZhiluError
from zhilu.messages import T
from zhilu.rag.load.admission import check_archive, check_size
from zhilu.rag.load.base import Limits
from zhilu.rag.sources.base import Found, SourceKind, SourcePlace

__all__ = ["CONFLUENCE", "ConfluenceWalk", "is_confluence"]

_MOST_HTML = 20 << 20


class ConfluenceWalk:
    """A page's stamp is its checksum in the archive."""

    def __init__(self, place: SourcePlace) -> None:
        self.path = Path(place.address.removeprefix("confluence:")).expanduser()
        self.max_mb = place.max_mb
        self.whole = False

    def __iter__(self) -> Iterator[Found]:
        if not self.path.is_file():
            raise NotFoundError(
                T(f"There is no file {str(self.path)!r}.", f"没有文件 {str(self.path)!r}。"), code="source_gone"
            )
        if not is_confluence(self.path):
            raise InputError(
                T(f"{self.path.name} is no HTML export of a Confluence space.", f"{self.path.name} 不是 Confluence 空间的 HTML 导出。"),
                param="address",
            )  # fmt: skip
        check_archive(self.path, Limits())
        with zipfile.ZipFile(self.path) as archive:
            attached: dict[str, str] = {}
            entries = {e.filename: e for e in archive.infolist() if not e.is_dir()}
            for name, entry in entries.items():
                if not name.endswith(".html") or PurePosixPath(name).name == "index.html":
                    continue
                try:
                    called, page, files = _page(_read(archive, entry))
                except ZhiluError as error:
                    yield Found(name, name, str(entry.CRC), None, error)
                    continue
                for path, title in files.items():
                    inside = (PurePosixPath(name).parent / path).as_posix()
                    attached[inside] = f"{called}/{title}"
                yield Found(name, f"{called}.html", f"{entry.CRC}", lambda p=page: io.BytesIO(p))  # type: ignore[misc]
            for path, title in attached.items():
                if (one := entries.get(path)) is not None:
                    yield Found(path, title, f"{one.CRC}", lambda e=one: self._attachment(e))  # type: ignore[misc]
        self.whole = True

    def _attachment(self, entry: zipfile.ZipInfo) -> IO[bytes]:
        check_size(entry.file_size, self.max_mb)
        with zipfile.ZipFile(self.path) as archive:
            return io.BytesIO(archive.read(entry.filename))


def is_confluence(path: Path) -> bool:
    """Whether this is a ZIP whose index speaks of a Confluence space."""
    try:
        with zipfile.ZipFile(path) as archive:
            index = next((n for n in archive.namelist() if PurePosixPath(n).name == "index.html"), None)
            if index is None:
                return False
            with archive.open(index) as file:
                head = file.read(200_000).lower()
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError):
        return False
    return b"space details" in head or b"confluence" in head


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > _MOST_HTML:
        raise InputError(
            T(f"{entry.filename} is too long a page.", f"{entry.filename} 页面太长。"), code="file_too_large"
        )
    try:
        return archive.read(entry.filename)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(
            T(f"{entry.filename} cannot be unpacked.", f"{entry.filename} 无法解压。"), code="damaged"
        ) from error


def _page(content: bytes) -> tuple[str, bytes, dict[str, str]]:
    """``(name with the pages above, what is read of it, attachments by path)``."""
    from lxml import etree, html  # type: ignore[import-untyped]

    try:
        root = html.fromstring(content, parser=html.HTMLParser(encoding="utf-8", huge_tree=False))
    except (etree.ParserError, ValueError, TypeError) as error:
        raise InputError(T("This page holds nothing.", "这个页面是空的。"), code="empty_file") from error
    heading = _text(root, "//*[@id='title-text']") or _text(root, "//title") or "page"
    above = [" ".join(str(e.text_content()).split()) for e in root.xpath("//*[@id='breadcrumbs']//a")]
    space = above[0] if above else ""
    own = heading.removeprefix(f"{space} :") if space else heading.partition(" : ")[2]  # the space stands in front
    title = own.strip() or heading
    body = next(iter(root.xpath("//*[@id='main-content']")), None)
    if body is None:
        body = root.find("body") if root.find("body") is not None else root
    files = {
        str(a.get("href")): " ".join(str(a.text_content()).split())
        for a in root.xpath("//a[starts-with(@href, 'attachments/')]")
        if str(a.text_content()).strip()
    }
    page = html.Element("html")
    made = etree.SubElement(page, "body")
    etree.SubElement(made, "h1").text = title
    made.append(body)
    called = "/".join(_flat(part) for part in [*above, title])
    return (
        called,
        html.tostring(page, encoding="utf-8", doctype="<!DOCTYPE html>"),
        {k: _flat(v) for k, v in files.items()},
    )


def _text(root: Any, path: str) -> str:
    found = root.xpath(path)
    return " ".join(str(found[0].text_content()).split()) if found else ""


def _flat(name: str) -> str:
    """A title is one step of a path, whatever strokes it has."""
    return name.replace("/", "-").replace("\\", "-").strip(". ")[:100] or "page"


CONFLUENCE = SourceKind(
    "confluence", True, lambda address: Path(address.removeprefix("confluence:")).stem or "space", ConfluenceWalk
)
