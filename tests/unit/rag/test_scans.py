"""Scanned pages: what is said without OCR, and what becomes of them with it (a real engine in one test, a scripted one elsewhere)."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.pdfgen.canvas import Canvas
from tests.unit.rag.test_ingest import InProcess

from zhilu.context import Context
from zhilu.errors import CancelledByUser, InputError
from zhilu.models.ocr import OcrLine, OcrPage, find_ocr
from zhilu.rag.index.ingest import run_ingest
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.load import load_limited, scans
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.testing import HASH


def picture(text: str) -> Image.Image:
    image = Image.new("RGB", (900, 500), "white")
    ImageDraw.Draw(image).text((60, 80), text, font=ImageFont.load_default(36), fill="black")
    return image


def mixed_pdf(path: Path) -> Path:
    """Page 1 letters, page 2 a picture, page 3 letters."""
    canvas = Canvas(str(path), pagesize=(600, 400))
    canvas.drawString(50, 300, "The first page is printed with letters that a program can copy.")
    canvas.showPage()
    kept = path.with_suffix(".png")
    picture("Locker code 5521").save(kept)
    canvas.drawImage(str(kept), 0, 0, 600, 333)
    canvas.showPage()
    canvas.drawString(50, 300, "The third page is printed with letters again.")
    canvas.save()
    return path


class Scripted:
    """Stands for ``PageReader``: says the page's number, and remembers which pages it was asked for."""

    asked: list[int] = []

    def read(self, path: Path, page: int, check: Callable[[], None]) -> OcrPage:
        check()
        self.asked.append(page)
        if page == 13:
            raise InputError("took too long", code="ocr_timeout")
        return OcrPage(page, (OcrLine(f"Words of page {page}.", (0.1, 0.1, 0.5, 0.2), 0.9),))

    def close(self) -> None:
        pass


@pytest.fixture
def scripted_ocr(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    monkeypatch.setattr(scans, "find_ocr", lambda: "rapidocr")
    monkeypatch.setattr(scans, "PageReader", Scripted)
    Scripted.asked = []
    return Scripted


def ingest(context: Context, content: bytes, name: str, job: Any = None) -> tuple[KnowledgeBase, Any]:
    kb = Library(context).create(f"kb {len(Library(context).list())}", embedder=HASH.name)
    document, _ = kb.add(io.BytesIO(content), name, max_mb=20)
    run_ingest(job or InProcess(context), {"kb": kb.id, "documents": [document.id]})
    return kb, kb.read(document.id)


def test_pages_that_are_pictures_are_named(tmp_path: Path) -> None:
    loaded = load_limited(mixed_pdf(tmp_path / "a.pdf"), "a.pdf")
    assert loaded.scanned == (2,) and "first page" in loaded.text and "third page" in loaded.text


def test_what_ocr_read_stands_between_the_other_pages(
    context: Context, tmp_path: Path, scripted_ocr: type[Scripted]
) -> None:
    kb, document = ingest(context, mixed_pdf(tmp_path / "a.pdf").read_bytes(), "a.pdf")
    at = [(p.page, document.text[p.start : p.end].strip()[:17]) for p in document.pages]
    assert at == [(1, "The first page is"), (2, "Words of page 2."), (3, "The third page is")]
    (hit,) = retrieve(kb, "Words of page 2", None, k=1).hits
    assert hit.page in (1, 2) and document.error is None


def test_without_ocr_a_scan_says_so_with_its_command(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "find_ocr", lambda: None)
    sent = io.BytesIO()
    picture("a scan").save(sent, "PDF")
    _, document = ingest(context, sent.getvalue(), "scan.pdf")
    assert document.status == "failed"
    assert (document.error["code"], document.error["fix"]) == ("needs_ocr", "zhilu setup ocr")
    assert "OCR" in document.error["messages"]["en"] and "OCR" in document.error["messages"]["zh"]


def test_without_ocr_the_other_pages_are_read_and_the_gap_is_said(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "find_ocr", lambda: None)
    kb, document = ingest(context, mixed_pdf(tmp_path / "a.pdf").read_bytes(), "a.pdf")
    assert document.status == "ready" and "third page" in document.text
    assert document.error["code"] == "needs_ocr" and "2" in document.error["messages"]["en"]
    monkeypatch.setattr(scans, "find_ocr", lambda: "rapidocr")
    monkeypatch.setattr(scans, "PageReader", Scripted)
    kb.requeue(document.id)
    run_ingest(InProcess(context), {"kb": kb.id, "documents": [document.id]})
    again = kb.read(document.id)
    assert again.error is None and "Words of page 2." in again.text


def test_a_page_that_fails_costs_that_page(context: Context, scripted_ocr: type[Scripted]) -> None:
    sent = io.BytesIO()
    pages = [picture(str(n)) for n in range(14)]
    pages[0].save(sent, "TIFF", save_all=True, append_images=pages[1:])
    _, document = ingest(context, sent.getvalue(), "a.tiff")
    assert document.status == "ready" and document.num_pages == 14
    assert document.error["code"] == "pages_unread" and "13" in document.error["messages"]["en"]


def test_a_reading_that_was_stopped_goes_on_with_the_next_page(context: Context, scripted_ocr: type[Scripted]) -> None:
    sent = io.BytesIO()
    pages = [picture(str(n)) for n in range(6)]
    pages[0].save(sent, "TIFF", save_all=True, append_images=pages[1:])
    kb = Library(context).create("stopped", embedder=HASH.name)
    document, _ = kb.add(io.BytesIO(sent.getvalue()), "a.tiff", max_mb=20)

    class Stops(InProcess):
        def check(self) -> None:
            if len(Scripted.asked) == 3:
                raise CancelledByUser("stopped", code="stopped")

    with pytest.raises(CancelledByUser):
        run_ingest(Stops(context), {"kb": kb.id, "documents": [document.id]})
    job = InProcess(context)
    run_ingest(job, {"kb": kb.id, "documents": [document.id]})
    assert Scripted.asked == [1, 2, 3, 4, 5, 6]
    assert any(stage == "OCR, page 5 of 6" for _, stage, _ in job.stages)
    assert kb.document(document.id).status == "ready"


@pytest.mark.skipif(find_ocr() is None, reason="no OCR here: neither the extra ocr nor tesseract")
def test_a_photograph_is_found_by_its_words(context: Context) -> None:
    sent = io.BytesIO()
    picture("The spare key hangs in cabinet K7").save(sent, "JPEG", quality=92)
    kb, document = ingest(context, sent.getvalue(), "key.jpg")
    assert document.status == "ready" and document.mime == "image/jpeg"
    (hit,) = retrieve(kb, "Where does the spare key hang?", None, k=1).hits
    assert "cabinet K7" in hit.text and hit.page == 1
