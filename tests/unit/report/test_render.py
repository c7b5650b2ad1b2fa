"""A report as a file: what cannot be proven is not in it, and nothing of a stranger's text is markup."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from zhilu.apps.report.ask import ReportSection
from zhilu.apps.report.chart import choose_chart
from zhilu.apps.report.narrative import ToldSentence
from zhilu.apps.report.render import render
from zhilu.apps.report.reports import Report, Reports
from zhilu.apps.report.schedule import due_reports
from zhilu.apps.report.sql import QueryResult
from zhilu.context import open_context
from zhilu.errors import ConflictError, DamagedError, NotFoundError
from zhilu.messages import T

RESULT = QueryResult(columns=["地区", "total <b>"], rows=[["华东", 3.5], ["<script>alert(1)</script>", 2]])


def made(**changes: object) -> Report:
    section = ReportSection(
        question="各地区多少？",
        status="answered",
        sql="SELECT 1",
        said=T("From t.", "从 t 中。"),
        result=RESULT,
        chart=choose_chart(RESULT, "各地区多少？"),
        sentences=[ToldSentence(text="华东为 3.5。", is_kept=True), ToldSentence(text="华北为 9。", is_kept=False)],
        model="m",
    )
    report = Report(
        id="0123456789ab",
        title="季度报告",
        source_id="x",
        questions=["各地区多少？"],
        sections=[section],
        created_at=datetime.now(timezone.utc),
    )
    return report.model_copy(update=changes)


def test_html_holds_what_is_proven_and_no_markup_of_strangers() -> None:
    html = render(made(), "html").content.decode()
    assert "华东为 3.5。" in html
    assert "华北为 9。" not in html
    assert "<svg" in html
    assert "<script" not in html
    assert "://" not in html.replace("http://www.w3.org", "")


def test_docx_and_pdf_hold_it_too() -> None:
    import docx
    import pypdfium2

    document = docx.Document(io.BytesIO(render(made(), "docx").content))
    text = "\n".join(p.text for p in document.paragraphs)
    assert "华东为 3.5。" in text and "华北为 9。" not in text
    assert document.tables[0].rows[1].cells[0].text == "华东"
    assert len(document.inline_shapes) == 1
    pdf = pypdfium2.PdfDocument(render(made(), "pdf").content)
    try:
        page = pdf[0]
        words = page.get_textpage()
        said = words.get_text_bounded()
        words.close()
        page.close()
    finally:
        pdf.close()
    assert "华东为" in said and "华北" not in said


def test_an_unsure_section_says_so_and_shows_no_chart() -> None:
    section = made().sections[0].model_copy(update={"status": "unsure"})
    html = render(made(sections=[section]), "html").content.decode()
    assert "不一致" in html
    assert "<svg" not in html


def test_half_a_report_is_not_handed_out() -> None:
    with pytest.raises(ConflictError, match="0 of 1"):
        render(made(sections=[]), "html")


def test_reports_are_kept_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    context = open_context({"home": str(tmp_path)})
    context.home.ensure()
    reports = Reports(context)
    report = reports.create("t", "s", ["q"])
    assert reports.get(report.id) == report
    (reports.folder / f"{report.id}.json").write_text("{")
    with pytest.raises(DamagedError):
        reports.get(report.id)
    assert reports.list() == []
    for name in ("../../etc/passwd", "nope", "0123456789ab"):
        with pytest.raises(NotFoundError):
            reports.get(name)


def test_a_report_is_due_after_its_hours() -> None:
    now = datetime.now(timezone.utc)
    old = made(every_hours=2, made_at=now - timedelta(hours=3))
    new = made(every_hours=2, made_at=now - timedelta(hours=1))
    never = made(made_at=now - timedelta(days=9))
    assert due_reports([old, new, never, made(every_hours=1)], now) == [old]
