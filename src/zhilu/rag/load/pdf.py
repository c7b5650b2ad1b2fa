"""PDF: text per page by PDFium (pypdfium2). If PDFium cannot open a file, QPDF (pikepdf) repairs it first.

PDFium returns lines as printed; ``reflow`` joins them into paragraphs, so that sentences, Chinese bigrams and quotations do not
break at line ends. A page that is a picture, or whose characters its fonts do not map to letters, is named for OCR (see ``scans``).
"""

from __future__ import annotations

import io
import re
import statistics
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, TextBuilder, nothing_to_read
from zhilu.rag.load.decode import clean

__all__ = ["LOADER", "PdfLoader", "reflow"]

_DRAWN_LETTERS = 40  # shapes of a page without text; fewer are lines and frames
_TERMINAL = "。！？；：.!?;:”\"'）)"
_ITEM = re.compile(r"^\s*(?:[-•·●○▪◆*]|\(?\d{1,3}[.)、]|[（(][一二三四五六七八九十]+[)）]|[一二三四五六七八九十]+、)")


class PdfLoader:
    facts = LoaderFacts("pdf", T(en="PDF", zh="PDF"), "application/pdf", (".pdf",), ("pypdfium2",))

    def load(self, path: Path, limits: Limits) -> Loaded:
        document = _open(path)
        try:
            out = TextBuilder()
            scanned = []
            for index in range(len(document)):
                start = out.length + 2 if out.length else 0
                text, is_picture = _page_text(document, index)
                for paragraph in reflow(text):
                    out.add(paragraph)
                if is_picture:
                    scanned.append(index + 1)
                out.end_page(index + 1, min(start, out.length))
            if not out.length and not scanned:
                raise nothing_to_read(("PDF", " PDF "))
            out.outline = _bookmarks(document, "".join(out.parts), out)
            return replace(out.loaded(self.facts.mime), scanned=tuple(scanned))
        finally:
            document.close()


def _open(path: Path) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(str(path))
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise _encrypted() from error
        return pypdfium2.PdfDocument(_repaired(path))


def _repaired(path: Path) -> bytes:
    import pikepdf

    try:
        with pikepdf.open(path) as pdf:
            if not len(pdf.pages):
                raise _broken("no pages")
            buffer = io.BytesIO()
            pdf.save(buffer)
            return buffer.getvalue()
    except pikepdf.PasswordError as error:
        raise _encrypted() from error
    except (pikepdf.PdfError, ValueError, RuntimeError) as error:
        raise _broken(str(error).splitlines()[0][:120] if str(error) else type(error).__name__) from error


def _page_text(document: Any, index: int) -> tuple[str, bool]:
    """The page's text, and whether OCR must read it instead: then the text is empty. A page that cannot be parsed counts as
    empty, the others stay readable."""
    import pypdfium2

    try:
        page = document[index]
        try:
            letters = page.get_textpage()
            text = letters.get_text_range()
            if not text.strip():
                return "", _is_drawn(page)
            if _is_unmapped(letters):
                return "", True
        finally:
            page.close()
    except pypdfium2.PdfiumError:
        return "", False
    # PDFium writes U+FFFE where a word was hyphenated at a line end
    return clean(re.sub(r"[\ufffe\u00ad](?:\r?\n)?", "", text)), False


def _is_drawn(page: Any) -> bool:
    """Whether there is something on a page without text that could show some: a picture, or letters that are drawn."""
    from pypdfium2 import raw

    kinds = [item.type for item in islice(page.get_objects(max_depth=4), 200)]
    return raw.FPDF_PAGEOBJ_IMAGE in kinds or kinds.count(raw.FPDF_PAGEOBJ_PATH) >= _DRAWN_LETTERS


def _is_unmapped(letters: Any) -> bool:
    """Whether the fonts do not say which letters most characters are: then what PDFium gives are other letters, or none."""
    from pypdfium2 import raw

    count = letters.count_chars()
    places = range(0, count, max(count // 400, 1))
    kinds = [raw.FPDFText_GetUnicode(letters, n) for n in places]
    printed = [(n, code) for n, code in zip(places, kinds, strict=True) if code > 32]
    wrong = sum(
        raw.FPDFText_HasUnicodeMapError(letters, n) == 1 or code == 0xFFFD or 0xE000 <= code <= 0xF8FF
        for n, code in printed
    )
    return wrong > 0.3 * max(len(printed), 1)


def reflow(page: str) -> list[str]:
    """Printed lines to paragraphs.

    A line goes on in the next one unless it ends short of the page's usual width after a sentence, the next begins a
    list item, or an empty line stands between. Chinese lines join without a space.
    """
    lines = [line.strip() for line in page.split("\n")]
    widths = [_width(line) for line in lines if line]
    if not widths:
        return []
    full = statistics.quantiles(widths, n=10)[-1] if len(widths) > 1 else widths[0]
    paragraphs: list[str] = []
    current = ""
    for line in lines:
        if not line or (current and _ITEM.match(line)):
            paragraphs.append(current)
            current = line
        else:
            current = _join(current, line)
        if line and (_width(line) < 0.5 * full or (_width(line) < 0.85 * full and line[-1] in _TERMINAL)):
            paragraphs.append(current)
            current = ""
    return [p for p in [*paragraphs, current] if p]


def _width(line: str) -> int:
    return sum(2 if "\u2e80" <= c <= "\uffef" else 1 for c in line)


def _join(left: str, right: str) -> str:
    if not left or not right:
        return left or right
    wide = "\u2e80" <= left[-1] <= "\uffef" and "\u2e80" <= right[0] <= "\uffef"
    return left + right if wide else f"{left} {right}"


def _bookmarks(document: Any, text: str, out: TextBuilder) -> list[Heading]:
    """The PDF's own outline, each entry placed where its title is printed on its page (or at the page's top)."""
    found: list[Heading] = []
    try:
        entries = [(b.level, b.get_title(), b.get_dest()) for b in document.get_toc(max_depth=6)]
        places = [(level, title, dest.get_index() if dest else None) for level, title, dest in entries]
    except Exception:  # a broken outline is no reason to refuse the text
        return []
    for level, title, index in places:
        title = " ".join(clean(title or "").split())
        if not title or index is None or not 0 <= index < len(out.pages):
            continue
        page = out.pages[index]
        at = text.find(title, page.start, page.end)
        found.append(Heading(min(level + 1, 6), title, at if at >= 0 else page.start))
    return sorted(found, key=lambda h: h.start)


def _encrypted() -> InputError:
    return InputError(
        T(
            en="This PDF is locked with a password. Remove the password (print it to a new PDF, or "
            "`qpdf --decrypt --password=… in.pdf out.pdf`) and add it again.",
            zh="这个 PDF 有密码保护。请先去除密码（另存或打印为新 PDF，或用 `qpdf --decrypt --password=… in.pdf out.pdf`）再添加。",
        ),
        code="pdf_encrypted",
    )


def _broken(detail: str) -> InputError:
    return InputError(
        T(
            en=f"This PDF is damaged and could not be repaired ({detail}).",
            zh=f"这个 PDF 已损坏，且无法修复（{detail}）。",
        ),
        code="pdf_broken",
    )


LOADER = PdfLoader()
