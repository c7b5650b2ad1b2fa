"""EPUB: the chapters in the order of reading, each read as a web page is; the book's headings are theirs."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, nothing_to_read
from zhilu.rag.load.docx.inline import local, value
from zhilu.rag.load.html import page_text

__all__ = ["LOADER", "EpubLoader"]


class EpubLoader:
    facts = LoaderFacts(
        "epub", T(en="EPUB book", zh="EPUB 电子书"), "application/epub+zip", (".epub",), ("trafilatura", "lxml.html")
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        parts: list[str] = []
        outline: list[Heading] = []
        length = 0
        try:
            with zipfile.ZipFile(path) as archive:
                for name in _chapters(archive):
                    text, headings = page_text(archive.read(name), whole=True)
                    if not text.strip():
                        continue
                    if parts:
                        parts.append("\n\n")
                        length += 2
                    outline += [Heading(h.level, h.title, h.start + length) for h in headings]
                    parts.append(text)
                    length += len(text)
        except (zipfile.BadZipFile, KeyError, ValueError, EOFError, NotImplementedError) as error:
            raise InputError(
                T(
                    en=f"This book is damaged, or protected against copying, and cannot be opened ({type(error).__name__}).",
                    zh=f"这本电子书已损坏或有版权保护，无法打开（{type(error).__name__}）。",
                ),
                code="epub_broken",
            ) from error
        if not length:
            raise nothing_to_read(("book", "电子书"))
        return Loaded("".join(parts), self.facts.mime, outline=tuple(outline))


def _xml(data: bytes) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error


def _chapters(archive: zipfile.ZipFile) -> list[str]:
    """The parts that the book's spine names, those that are there."""
    container = _xml(archive.read("META-INF/container.xml"))
    package = next(value(e, "full-path") for e in container.iter() if local(e) == "rootfile")
    root, folder = _xml(archive.read(package)), posixpath.dirname(package)
    items = {value(e, "id"): value(e, "href") for e in root.iter() if local(e) == "item"}
    listed = [items[ref] for e in root.iter() if local(e) == "itemref" and (ref := value(e, "idref")) in items]
    there = set(archive.namelist())
    return [n for href in listed if (n := posixpath.normpath(posixpath.join(folder, unquote(href)))) in there]


LOADER = EpubLoader()
