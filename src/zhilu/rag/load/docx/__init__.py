"""DOCX: paragraphs, headings by style or outline level, lists, notes, and tables as Markdown rows, in document order.

Word keeps text in many wrappers (content controls, tracked insertions, fields, smart tags, text boxes, equations) and in separate
files (notes, comments, headers, footers, diagrams). So the XML is walked by the elements' local names: an unknown wrapper is
entered, and only what is known not to be text is left out (deletions, the codes of fields). Local names also make the
strict variant of the format (other namespaces) the same as the common one. Nothing is expanded to a grid: a cell that claims to
span nine hundred million columns costs what any cell costs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.prompts import language_of
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean
from zhilu.rag.load.docx.inline import inline_text, local, value
from zhilu.rag.load.docx.package import Package, open_package

__all__ = ["LOADER", "DocxLoader"]

# Among blocks, but no text of the document: what was deleted or moved away, and properties.
_NO_TEXT = frozenset({"del", "moveFrom", "sectPr", "tblPr", "tblGrid", "trPr", "tcPr", "pPr", "sdtPr", "sdtEndPr"})
_MAX_SPAN = 1024  # columns; Word itself allows 63


class DocxLoader:
    facts = LoaderFacts(
        "docx",
        T(en="Word document", zh="Word 文档"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        (".docx",),
        ("lxml.etree",),
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        package = open_package(path)
        try:
            out = TextBuilder()
            for part in package.parts("header"):
                _Walk(package, out).part(part)
            body = _Walk(package, out)
            body.blocks(package.body)
            body.rest()
            for part in package.parts("footer"):
                _Walk(package, out).part(part)
        except RecursionError as error:
            raise InputError(
                T(
                    en="This Word document nests its parts deeper than any real one does; it is damaged or made to do harm.",
                    zh="这个 Word 文档的嵌套层数远超正常文档，文件已损坏或是恶意构造的。",
                ),
                code="docx_broken",
            ) from error
        finally:
            package.close()
        if not out.length:
            raise nothing_to_read(("Word document", "Word 文档"))
        return out.loaded(self.facts.mime)


class _Walk:
    """Writes the blocks of one part of the package to ``out``; notes follow the paragraph that refers to them."""

    def __init__(self, package: Package, out: TextBuilder) -> None:
        self.package = package
        self.out = out
        self._left = dict(package.notes)  # (kind, id) -> element, until it was written

    def part(self, root: Any) -> None:
        """A header or footer: only what says something, once."""
        inner = TextBuilder()
        _Walk(self.package, inner).blocks(root)
        text = "".join(inner.parts)
        if any(c.isalpha() for c in text) and text not in self.out.parts:
            self.out.add(text)

    def blocks(self, parent: Any) -> None:
        """Everything below ``parent`` that is a block, in order."""
        for element in parent:
            name = local(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element)
            elif name == "AlternateContent":
                self.blocks(_alternative(element))
            elif name and name not in _NO_TEXT:
                self.blocks(element)

    def rest(self) -> None:
        """Notes and comments that no paragraph refers to."""
        for key in list(self._left):
            self._note(key)

    def _paragraph(self, element: Any) -> None:
        inline = inline_text(element)
        text = clean(inline.text)
        style = self.package.styles.of(element)
        if text.strip():
            level = self.package.styles.level(element) if len(text) < 400 else 0
            self.out.add(f"- {text.strip()}" if not level and style.startswith("list") else text, level=level)
        for box in inline.boxes:
            self.blocks(box)
        for relation in inline.diagrams:
            for line in self.package.diagram(relation):
                self.out.add(clean(line))
        for key in inline.notes:
            self._note(key)

    def _note(self, key: tuple[str, str]) -> None:
        element = self._left.pop(key, None)
        if element is None:
            return
        inner = TextBuilder()
        _Walk(self.package, inner).blocks(element)
        text = " ".join("".join(inner.parts).split())
        if not text:
            return
        kind, number = key
        if kind == "comment":
            author = value(element, "author")
            by = T(f"Comment by {author}", f"{author} 的批注") if author else T("Comment", "批注")
            self.out.add(f"[{by.say(language_of(text))}] {text}")
        else:
            self.out.add(f"[^{number}]: {text}")

    def _table(self, table: Any) -> None:
        """Rows as ``| a | b |``. A cell merged over rows is written in each of them, for a row is read on its own; a table
        of one column is only a frame around its text."""
        rows = [list(_cells(row)) for row in _below(table, "tr")]
        if all(len(cells) <= 1 for cells in rows):
            for cells in rows:
                for cell in cells:
                    self.blocks(cell)
            return
        lines: list[str] = []
        above: dict[int, str] = {}  # grid column -> text of the merged cell that begins there
        for cells in rows:
            column, written = 0, []
            for cell in cells:
                span, merge = _merged(cell)
                text = self._cell(cell)
                if merge == "continue" and not text:
                    text = above.get(column, "")
                above[column] = text
                written.append(text.replace("|", "\\|"))
                column += span
            if any(written):
                lines.append("| " + " | ".join(written) + " |")
        self.out.add("\n".join(lines))

    def _cell(self, cell: Any) -> str:
        inner = TextBuilder()
        walk = _Walk(self.package, inner)
        walk._left = self._left
        walk.blocks(cell)
        lines = (line.strip() for line in "".join(inner.parts).split("\n"))
        # the rows of a table within the cell become its lines
        return " ".join(re.sub(r"^\| | \|$", "", line).replace(" | ", " · ") for line in lines if line)


def _below(parent: Any, wanted: str) -> Iterator[Any]:
    """The nearest elements called ``wanted`` below ``parent``, through any wrapper."""
    for element in parent:
        name = local(element)
        if name == wanted:
            yield element
        elif name and name not in _NO_TEXT and name not in ("p", "tbl"):
            yield from _below(element, wanted)


def _cells(row: Any) -> Iterator[Any]:
    return _below(row, "tc")


def _merged(cell: Any) -> tuple[int, str]:
    """How many grid columns a cell spans, and ``continue`` where it goes on with the cell above."""
    properties = next((e for e in cell if local(e) == "tcPr"), None)
    span, merge = 1, ""
    for element in properties if properties is not None else ():
        if local(element) == "gridSpan":
            given = value(element, "val")
            span = min(int(given), _MAX_SPAN) if given.isdecimal() and len(given) < 10 else 1
        elif local(element) == "vMerge":
            merge = value(element, "val") or "continue"
    return span, merge


def _alternative(element: Any) -> Any:
    """The first of the alternatives that holds text: newer drawings come with an older form of themselves."""
    choices = [e for e in element if local(e) in ("Choice", "Fallback")]
    return next((c for c in choices if any(local(e) in ("t", "tab") for e in c.iter())), ())


LOADER = DocxLoader()
