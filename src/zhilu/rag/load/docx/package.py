"""The parts of a Word file: which XML is the body, its styles, notes, headers and footers, found by their relations."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.docx.inline import local, value

__all__ = ["Package", "Styles", "open_package"]

_HEADING = re.compile(r"(?:heading|标题|標題)\s*([1-9])", re.IGNORECASE)


def open_package(path: Path) -> Package:
    """
    Raises:
        InputError: the container or its main part cannot be read (code ``docx_broken``).
    """
    try:
        return Package(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, NotImplementedError, EOFError) as error:
        raise _broken(error) from error


class Package:
    """An opened file. Its XML is parsed without entities and without the network.

    ``notes``: footnotes, endnotes and comments by (kind, id), those that Word draws itself (separators) left out.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._names = set(archive.namelist())
        main = next((t for kind, t in self._relations("").values() if kind == "officeDocument"), "word/document.xml")
        self._main = main
        self._related = self._relations(main)
        root = self._parse(main)
        found = next((e for e in root.iter() if local(e) == "body"), None)
        if found is None:
            raise ValueError("no body")
        self.body: Any = found
        self.styles = Styles(next(self.parts("styles"), None))
        self.notes: dict[tuple[str, str], Any] = {}
        for kind in ("footnote", "endnote", "comment"):
            for root in self.parts(f"{kind}s"):
                for element in root:
                    if local(element) == kind and value(element, "type") not in ("separator", "continuationSeparator"):
                        self.notes[kind, value(element, "id")] = element

    def parts(self, kind: str) -> Iterator[Any]:
        """The roots of all parts that the body is related to as ``kind``; one that cannot be read is left out."""
        for found, target in self._related.values():
            if found == kind and target in self._names:
                try:
                    yield self._parse(target)
                except ValueError:
                    continue

    def diagram(self, relation: str) -> list[str]:
        """The texts of a SmartArt drawing, a paragraph each."""
        target = self._related.get(relation, ("", ""))[1]
        if target not in self._names:
            return []
        paragraphs = (e for e in self._parse(target).iter() if local(e) == "p")
        lines = ("".join(e.text or "" for e in p.iter() if local(e) == "t") for p in paragraphs)
        return [line for line in lines if line.strip()]

    def close(self) -> None:
        self._archive.close()

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """id -> (kind, part) of what ``part`` refers to inside the package."""
        folder, name = posixpath.split(part)
        file = posixpath.join(folder, "_rels", f"{name}.rels")
        if file not in self._names:
            return {}
        found = {}
        for element in self._parse(file):
            if value(element, "TargetMode") != "External":
                target = value(element, "Target")
                whole = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
                found[value(element, "Id")] = (value(element, "Type").rpartition("/")[2], whole)
        return found

    def _parse(self, name: str) -> Any:
        from lxml import etree  # type: ignore[import-untyped]

        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
        try:
            return etree.fromstring(self._archive.read(name), parser)
        except etree.XMLSyntaxError as error:
            raise ValueError(f"{name}: {error}") from error


class Styles:
    """Which paragraph styles are headings or lists, by name or outline level, through what they are based on."""

    def __init__(self, root: Any) -> None:
        self._names: dict[str, str] = {}
        self._based: dict[str, str] = {}
        self._outline: dict[str, int] = {}
        for style in root if root is not None else ():
            if local(style) != "style":
                continue
            style_id = value(style, "styleId")
            for element in style:
                if local(element) == "name":
                    self._names[style_id] = value(element, "val").lower()
                elif local(element) == "basedOn":
                    self._based[style_id] = value(element, "val")
                elif local(element) == "pPr":
                    self._outline[style_id] = _outline_level(element)

    def of(self, paragraph: Any) -> str:
        """The lower-case name of a paragraph's style; its id where the file does not describe it."""
        style_id = _style_id(paragraph)
        return self._names.get(style_id, style_id.lower())

    def level(self, paragraph: Any) -> int:
        """1 to 6 for a heading, else 0."""
        properties = _properties(paragraph)
        if properties is not None and (own := _outline_level(properties)):
            return own if own < 10 else 0  # 10: body text, whatever the style says
        style, seen = _style_id(paragraph), set()
        while style and style not in seen:
            seen.add(style)
            name = self._names.get(style, "")
            if match := _HEADING.search(f"{name} {style}"):
                return int(match.group(1))
            if name == "title":
                return 1
            if level := self._outline.get(style, 0):
                return level if level < 10 else 0
            style = self._based.get(style, "")
        return 0


def _properties(paragraph: Any) -> Any:
    return next((e for e in paragraph if local(e) == "pPr"), None)


def _style_id(paragraph: Any) -> str:
    properties = _properties(paragraph)
    for element in properties if properties is not None else ():
        if local(element) == "pStyle":
            return value(element, "val")
    return ""


def _outline_level(properties: Any) -> int:
    """1 to 9 as given, 10 for body text, 0 if not given."""
    for element in properties:
        if local(element) == "outlineLvl" and value(element, "val").isdecimal():
            return min(int(value(element, "val")), 9) + 1
    return 0


def _broken(error: Exception) -> InputError:
    return InputError(
        T(
            en=f"This Word document is damaged and cannot be opened ({type(error).__name__}). "
            "Open it in Word or LibreOffice and save it again.",
            zh=f"这个 Word 文档已损坏，无法打开（{type(error).__name__}）。请用 Word 或 LibreOffice 打开后重新保存。",
        ),
        code="docx_broken",
    )
