"""DOCX: paragraphs, headings by style or outline level, lists, and tables as Markdown rows, in document order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.base import Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean

__all__ = ["LOADER", "DocxLoader"]

_HEADING_STYLE = re.compile(r"(?:heading|标题|標題)\s*([1-9])", re.IGNORECASE)


class DocxLoader:
    facts = LoaderFacts(
        "docx",
        T(en="Word document", zh="Word 文档"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        (".docx",),
    )

    def load(self, path: Path, limits: Limits) -> Loaded:
        import docx

        try:
            document = docx.Document(str(path))
        except Exception as error:  # python-docx raises KeyError, ValueError, XMLSyntaxError, … for broken packages
            raise InputError(
                T(
                    en=f"This Word document is damaged and cannot be opened ({type(error).__name__}). "
                    "Open it in Word or LibreOffice and save it again.",
                    zh=f"这个 Word 文档已损坏，无法打开（{type(error).__name__}）。请用 Word 或 LibreOffice 打开后重新保存。",
                ),
                code="docx_broken",
            ) from error
        out = TextBuilder()
        for block in document.iter_inner_content():
            if hasattr(block, "rows"):
                out.add(_table(block))
            else:
                out.add(_paragraph(block), level=_level(block))
        if not out.length:
            raise nothing_to_read(("Word document", "Word 文档"))
        return out.loaded(self.facts.mime)


def _paragraph(block: Any) -> str:
    text = clean(block.text)
    style = (block.style.name or "") if block.style is not None else ""
    return f"- {text.strip()}" if text.strip() and style.lower().startswith("list") else text


def _level(block: Any) -> int:
    """Heading level by the style's name ("Heading 2", "标题 2", "Title") or by the paragraph's outline level."""
    style = block.style
    while style is not None:
        if match := _HEADING_STYLE.search(f"{style.name or ''} {style.style_id or ''}"):
            return int(match.group(1))
        if (style.name or "").lower() == "title":
            return 1
        style = style.base_style
    outline = block._p.find(".//{*}pPr/{*}outlineLvl")
    if outline is not None and len(block.text) < 200:
        value = int(next(iter(outline.attrib.values())))
        return value + 1 if value < 9 else 0
    return 0


def _table(table: Any) -> str:
    """Rows as ``| a | b |``; a cell merged over several columns is written once."""
    lines = []
    for row in table.rows:
        cells: list[str] = []
        last = None
        for cell in row.cells:
            if cell._tc is not last:
                cells.append(" ".join(clean(cell.text).split()))
            last = cell._tc
        if any(cells):
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


LOADER = DocxLoader()
