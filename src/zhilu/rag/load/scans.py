"""Pages that are pictures, read by OCR and put where they belong among the pages that hold text.

A loader names such pages (``Loaded.scanned``) and does not read them: a page takes seconds, and its reading has a process, limits and
progress of its own. What was read is kept beside the original (``ocr.jsonl``: the lines of each page with their places), so a
reading that was stopped goes on with the next page.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from zhilu.errors import CancelledByUser, InputError, MissingComponentError, ZhiluError
from zhilu.messages import T
from zhilu.models.ocr import INSTALL_OCR, OcrPage, PageReader, find_ocr, paragraphs
from zhilu.rag.load.base import Heading, Loaded, TextBuilder, nothing_to_read

__all__ = ["Report", "ScanReader", "refuse_scans"]

Report = Callable[[int, int], None]  # pages done, pages to read; raises to stop


class ScanReader:
    """Holds the process that reads pages, started with the first one. Not for several threads at once."""

    def __init__(self) -> None:
        self._reader: PageReader | None = None

    def __enter__(self) -> ScanReader:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader.close()

    def complete(
        self, loaded: Loaded, path: Path, report: Report = lambda done, total: None, kept: Path | None = None
    ) -> tuple[Loaded, ZhiluError | None]:
        """``loaded`` with its scanned pages read, and what is to be said of those that could not be; None: nothing.

        Args:
            path: the file it was loaded from.
            kept: where pages that were read are kept, and looked for first; None: nowhere.

        Raises:
            InputError: nothing of the document can be read: no OCR here (code ``needs_ocr``), no text (``no_text``), or why its
                pages failed. And what ``report`` raises.
        """
        if not loaded.scanned:
            return loaded, None
        if find_ocr() is None:
            if not loaded.text.strip():
                raise _needs_ocr(loaded)
            return loaded, _needs_ocr(loaded)
        read, failed = self._read(loaded.scanned, path, report, kept)
        whole = _together(loaded, read)
        if not whole.text.strip():
            raise failed or nothing_to_read(
                ("picture", "图片") if loaded.mime.startswith("image/") else ("scan", "扫描件")
            )
        return whole, failed

    def _read(
        self, pages: tuple[int, ...], path: Path, report: Report, kept: Path | None
    ) -> tuple[dict[int, OcrPage], InputError | None]:
        read = _kept_pages(kept)
        failed: list[tuple[int, ZhiluError]] = []
        for place, page in enumerate(pages):
            report(place, len(pages))
            if page in read:
                continue
            if self._reader is None:
                self._reader = PageReader()
            try:
                read[page] = self._reader.read(path, page, check=lambda place=place: report(place, len(pages)))  # type: ignore[misc]
            except (MissingComponentError, CancelledByUser):
                raise
            except InputError as error:
                failed.append((page, error))
                continue
            if kept is not None:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(read[page].data(), ensure_ascii=False) + "\n")
        return read, _unread(failed)


def refuse_scans(loaded: Loaded) -> Loaded:
    """``loaded``, where no OCR is wanted.

    Raises:
        InputError: all of its pages are pictures (code ``needs_ocr``).
    """
    if loaded.scanned and not loaded.text.strip():
        raise _needs_ocr(loaded)
    return loaded


def _together(loaded: Loaded, read: dict[int, OcrPage]) -> Loaded:
    """The pages in their order, each from where it was read; headings move with their page."""
    out = TextBuilder()
    outline = []
    for page in loaded.pages:
        start = out.length + 2 if out.length else 0
        if page.page in loaded.scanned:
            for paragraph in paragraphs(read[page.page].lines) if page.page in read else ():
                out.add(paragraph.text)
            moved = None
        else:
            out.add(loaded.text[page.start : page.end])
            moved = start - page.start
        out.end_page(page.page, min(start, out.length))
        for heading in loaded.outline:
            if page.start <= heading.start < max(page.end, page.start + 1):
                at = start if moved is None else heading.start + moved
                outline.append(Heading(heading.level, heading.title, min(at, out.length)))
    out.outline = sorted(set(outline), key=lambda h: h.start)
    return out.loaded(loaded.mime)


def _kept_pages(kept: Path | None) -> dict[int, OcrPage]:
    if kept is None or not kept.exists():
        return {}
    found = {}
    for line in kept.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            page = OcrPage.of(json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue  # a kill cut it off: that page is read again
        found[page.page] = page
    return found


def _needs_ocr(loaded: Loaded) -> InputError:
    if loaded.mime.startswith("image/"):
        said = T("This is a picture: it needs OCR.", "这是一张图片：需要 OCR。")
    else:
        pages, n = _list(loaded.scanned), len(loaded.scanned)
        if n == len(loaded.pages):
            said = T(
                f"This is a scan ({n} pages without text): it needs OCR.", f"这是扫描件（{n} 页没有文字）：需要 OCR。"
            )
        else:
            said = T(f"Pages {pages} are pictures or have unreadable characters: they need OCR.",
                     f"第 {pages} 页是图片，或字符无法识别：需要 OCR。")  # fmt: skip
    return InputError(said, code="needs_ocr", fix=INSTALL_OCR)


def _unread(failed: list[tuple[int, ZhiluError]]) -> InputError | None:
    if not failed:
        return None
    pages, why = _list([page for page, _ in failed]), failed[0][1].message
    return InputError(
        T(f"OCR could not read page {pages}: {why.en}", f"OCR 无法读取第 {pages} 页：{why.zh}"), code="pages_unread"
    )


def _list(pages: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, pages[:8])) + (" …" if len(pages) > 8 else "")
