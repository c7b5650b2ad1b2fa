"""A report as a file to hand on: HTML (one file, opens anywhere), DOCX, PDF. What could not be proven is not in it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zhilu.apps.report.ask import ReportSection, lang_of
from zhilu.apps.report.chart import to_png, to_svg
from zhilu.apps.report.reports import Report
from zhilu.apps.report.sql import QueryResult
from zhilu.errors import ConflictError, MissingComponentError
from zhilu.messages import T

__all__ = ["Format", "Rendered", "render", "section_lines"]

Format = Literal["html", "docx", "pdf"]
MAX_SHOWN = 50  # rows of a table on paper
_FIX = "pip install 'zhilu[report]'"
_UNSURE = T(
    "The queries for this question disagree: no answer is given. A person must look at them.",
    "针对这个问题的几条查询结果不一致，因此不给出回答，需要人工查看。",
)
_FAILED = T("No query for this question could run.", "这个问题没有能够运行的查询。")
_MORE = T("{n} more rows are not shown", "另有 {n} 行未显示")
_QUERY = T("The query", "查询语句")
_MADE = T(
    "Made {at} by {model}. Every number in the sentences stands in a result below it.",
    "由 {model} 生成于 {at}。句子中的每个数字都来自其下的查询结果。",
)


@dataclass(frozen=True)
class Rendered:
    content: bytes
    media_type: str


def render(report: Report, form: Format) -> Rendered:
    """Raises: ConflictError: it is not whole yet. MissingComponentError: the extra ``report`` is not installed."""
    if not report.is_whole:
        raise ConflictError(
            T(
                f"This report has {len(report.sections)} of {len(report.questions)} sections: it is still being made.",
                f"这份报告完成了 {len(report.questions)} 节中的 {len(report.sections)} 节，还在生成。",
            ),
            fix=f"zhilu report make {report.id}",
        )
    if form == "html":
        return Rendered(_html(report).encode(), "text/html; charset=utf-8")
    if form == "docx":
        media = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        return Rendered(_docx(report), media)
    return Rendered(_pdf(report), "application/pdf")


def _lang(report: Report) -> str:
    return lang_of(report.title + "".join(report.questions))


def _made(report: Report) -> str:
    model = next((s.model for s in report.sections if s.model), "")
    at = report.made_at.strftime("%Y-%m-%d %H:%M UTC") if report.made_at else ""
    return _MADE.say(_lang(report)).format(at=at, model=model)


def section_lines(section: ReportSection, lang: str | None = None) -> list[str]:
    """What is said about a section: its sentences that hold, or why there is no answer."""
    if section.status == "unsure":
        return [_UNSURE.say(lang)]
    if section.status == "failed":
        return [_FAILED.say(lang)]
    return [s.text for s in section.sentences if s.is_kept]


def _spec(section: ReportSection) -> dict[str, Any] | None:
    return section.chart.spec if section.status == "answered" and section.chart else None


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "" if value is None else str(value)


def _html(report: Report) -> str:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    page = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template("report.html.j2")
    lang = _lang(report)
    return page.render(
        report=report,
        lang=lang,
        made=_made(report),
        query=_QUERY.say(lang),
        cell=_cell,
        max_shown=MAX_SHOWN,
        more=lambda n: _MORE.say(lang).format(n=n),
        lines=lambda s: section_lines(s, lang),
        svg=lambda s: _picture(s, to_svg),
        is_number=lambda v: isinstance(v, (int, float)),
    )


def _picture(section: ReportSection, draw: Any) -> Any:
    """The chart, or None: a report without its charts is still a report."""
    spec = _spec(section)
    if spec is None:
        return None
    try:
        return draw(spec)
    except MissingComponentError:
        return None


def _docx(report: Report) -> bytes:
    try:
        import docx
        from docx.shared import Cm
    except ImportError as error:
        raise _missing("python-docx") from error
    lang, document = _lang(report), docx.Document()
    document.add_heading(report.title, level=0)
    document.add_paragraph(_made(report))
    for section in report.sections:
        document.add_heading(section.question, level=1)
        for line in section_lines(section, lang):
            document.add_paragraph(line)
        if (png := _picture(section, to_png)) is not None:
            document.add_picture(io.BytesIO(png), width=Cm(14))
        if section.result is not None:
            _docx_table(document, section.result, lang)
        if section.sql:
            document.add_paragraph(section.sql, style="Intense Quote")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _docx_table(document: Any, result: QueryResult, lang: str) -> None:
    table = document.add_table(rows=1, cols=len(result.columns), style="Light Grid Accent 1")
    for cell, name in zip(table.rows[0].cells, result.columns, strict=True):
        cell.text = name
    for row in result.rows[:MAX_SHOWN]:
        for cell, value in zip(table.add_row().cells, row, strict=True):
            cell.text = _cell(value)
    if len(result.rows) > MAX_SHOWN:
        document.add_paragraph(_MORE.say(lang).format(n=len(result.rows) - MAX_SHOWN))


def _pdf(report: Report) -> bytes:
    try:
        from reportlab.lib import colors
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import ParagraphStyle
        from reportlab.lib.units import cm
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
        from reportlab.platypus import Image, Paragraph, SimpleDocTemplate, Spacer, Table
    except ImportError as error:
        raise _missing("reportlab") from error
    from xml.sax.saxutils import escape

    lang = _lang(report)
    # A font that every PDF reader has for Chinese; nothing is embedded, nothing is fetched.
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    font = "STSong-Light" if lang == "zh" or not report.model_dump_json().isascii() else "Helvetica"
    text = ParagraphStyle("text", fontName=font, fontSize=10, leading=15, wordWrap="CJK" if lang == "zh" else None)
    title = ParagraphStyle("title", parent=text, fontSize=20, leading=28, spaceAfter=10)
    head = ParagraphStyle("head", parent=text, fontSize=13, leading=20, spaceBefore=16, spaceAfter=4)
    code = ParagraphStyle("code", parent=text, fontSize=7.5, leading=10, textColor=colors.grey)
    story: list[Any] = [Paragraph(escape(report.title), title), Paragraph(escape(_made(report)), text)]
    for section in report.sections:
        story.append(Paragraph(escape(section.question), head))
        story += [Paragraph(escape(line), text) for line in section_lines(section, lang)]
        if (png := _picture(section, to_png)) is not None:
            picture = Image(io.BytesIO(png))
            picture._restrictSize(16 * cm, 10 * cm)
            story += [Spacer(1, 6), picture]
        if section.result is not None and section.result.rows:
            rows = [section.result.columns, *section.result.rows[:MAX_SHOWN]]
            small = ParagraphStyle("cell", parent=text, fontSize=8, leading=11)
            table = Table([[Paragraph(escape(_cell(v)), small) for v in row] for row in rows], repeatRows=1)
            table.setStyle(
                [("GRID", (0, 0), (-1, -1), 0.4, colors.lightgrey), ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke)]
            )
            story += [Spacer(1, 6), table]
            if len(section.result.rows) > MAX_SHOWN:
                story.append(Paragraph(_MORE.say(lang).format(n=len(section.result.rows) - MAX_SHOWN), text))
        if section.sql:
            story.append(Paragraph(escape(section.sql).replace("\n", "<br/>"), code))
    out = io.BytesIO()
    SimpleDocTemplate(out, pagesize=A4, title=report.title, leftMargin=2 * cm, rightMargin=2 * cm).build(story)
    return out.getvalue()


def _missing(package: str) -> MissingComponentError:
    return MissingComponentError(
        T(f"This needs {package}, which is not installed.", f"这需要 {package}，目前没有安装。"), fix=_FIX
    )
