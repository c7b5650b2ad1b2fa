"""PPTX: each slide is a page and a heading (its title); text boxes, tables, diagrams' text and the speaker's notes, in their order.

The XML is walked by local names, as that of DOCX (see ``docx``): unknown wrappers are entered, both variants of the format are alike.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.prompts import language_of
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean
from zhilu.rag.load.docx.inline import local, value
from zhilu.rag.load.tables import table_blocks

__all__ = ["LOADER", "SlidesLoader"]


class SlidesLoader:
    facts = LoaderFacts(
        "pptx",
        T(en="Slides", zh="演示文稿"),
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        (".pptx", ".ppsx"),
        ("lxml.etree",),
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        out = TextBuilder()
        try:
            with zipfile.ZipFile(path) as archive:
                for number, name in enumerate(_order(archive), start=1):
                    start = out.length + 2 if out.length else 0
                    _slide(archive, name, out)
                    if out.length > start:
                        out.end_page(number, start)
        except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, EOFError, NotImplementedError) as error:
            raise InputError(
                T(
                    en=f"These slides are damaged and cannot be opened ({type(error).__name__}). Open the file in its program and"
                    " save it again.",
                    zh=f"这个演示文稿已损坏，无法打开（{type(error).__name__}）。请用相应软件打开后重新保存。",
                ),
                code="pptx_broken",
            ) from error
        if not out.length:
            raise nothing_to_read(("presentation", "演示文稿"))
        return out.loaded(self.facts.mime)


def _parse(archive: zipfile.ZipFile, name: str) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        return etree.fromstring(archive.read(name), parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"{name}: {error}") from error


def _relations(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """id -> (kind, part) of what ``part`` refers to inside the file."""
    folder, name = posixpath.split(part)
    file = posixpath.join(folder, "_rels", f"{name}.rels")
    if file not in archive.namelist():
        return {}
    found = {}
    for element in _parse(archive, file):
        target = value(element, "Target")
        if value(element, "TargetMode") != "External" and target:
            whole = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[value(element, "Id")] = (value(element, "Type").rpartition("/")[2], whole)
    return found


def _order(archive: zipfile.ZipFile) -> list[str]:
    """The slides as they are shown, not as they are numbered in the file."""
    relations = _relations(archive, "ppt/presentation.xml")
    there = set(archive.namelist())
    listed = []
    for element in _parse(archive, "ppt/presentation.xml").iter():
        if local(element) == "sldId":
            # the relation's id is the attribute of the relations' namespace; the other "id" is a number
            ids = [v for k, v in element.attrib.items() if k.endswith("}id")]
            listed += [relations[i][1] for i in ids if i in relations and relations[i][1] in there]
    if listed:
        return listed
    names = [n for n in there if re.fullmatch(r"ppt/slides/slide\d+\.xml", n)]
    return sorted(names, key=lambda n: int(re.findall(r"\d+", n)[-1]))


def _slide(archive: zipfile.ZipFile, name: str, out: TextBuilder) -> None:
    shapes = list(_shapes(_parse(archive, name)))
    title = next((s for s in shapes if _kind(s) in ("title", "ctrTitle")), None)
    if title is not None:
        out.add(" ".join(_paragraphs(title)), level=1)
    for shape in shapes:
        if shape is title:
            continue
        if (table := next((e for e in shape.iter() if local(e) == "tbl"), None)) is not None:
            rows = [[" ".join(_paragraphs(c)) for c in row if local(c) == "tc"] for row in table if local(row) == "tr"]
            for block in table_blocks(rows):
                out.add(block)
        elif _kind(shape) not in ("sldNum", "dt", "ftr"):
            out.add("\n".join(_paragraphs(shape)))
    for kind, target in _relations(archive, name).values():
        if kind in ("notesSlide", "diagramData") and target in archive.namelist():
            root = _parse(archive, target)
            bodies = [s for s in _shapes(root) if _kind(s) == "body"] if kind == "notesSlide" else [root]
            text = "\n".join(line for body in bodies for line in _paragraphs(body))
            if text and kind == "notesSlide":
                text = T(f"[Notes] {text}", f"[备注] {text}").say(language_of(text))
            out.add(text)


def _shapes(root: Any) -> Iterator[Any]:
    """Shapes and frames, those of groups too, in their order."""
    for element in root:
        if local(element) in ("sp", "graphicFrame"):
            yield element
        elif local(element) != "Fallback":
            yield from _shapes(element)


def _kind(shape: Any) -> str:
    """What the shape is a placeholder for; empty if it is none."""
    return next((value(e, "type") or "body" for e in shape.iter() if local(e) == "ph"), "")


def _paragraphs(root: Any) -> list[str]:
    lines = []
    for paragraph in (e for e in root.iter() if local(e) == "p"):
        text = "".join(
            "\n" if local(e) == "br" else (e.text or "") for e in paragraph.iter() if local(e) in ("t", "br")
        )
        if text := clean(text).strip():
            lines.append(text)
    return lines


LOADER = SlidesLoader()
