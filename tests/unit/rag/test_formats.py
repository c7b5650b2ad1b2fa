"""Slides, spreadsheets, books, mail, tables, JSON and code: read as what they are, and broken or hostile ones refused in words."""

from __future__ import annotations

import json
import random
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest

from zhilu.errors import InputError
from zhilu.rag.index.split import split
from zhilu.rag.load import Limits, load_limited
from zhilu.rag.load.base import Loaded
from zhilu.rag.load.code import definitions
from zhilu.rag.load.sniff import sniff
from zhilu.rag.load.tables import table_blocks
from zhilu.rag.load.tables.delimited import delimiter_of

A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
P = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def packed(path: Path, parts: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in parts.items():
            out.writestr(name, data)
    return path


def relations(**targets: tuple[str, str]) -> str:
    rows = "".join(f'<Relationship Id="{i}" Type="{REL}/{kind}" Target="{to}"/>' for i, (kind, to) in targets.items())
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{rows}</Relationships>'


def shape(text: str, kind: str = "") -> str:
    place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp>{place}<p:txBody>{lines}</p:txBody></p:sp>"


def slide(*shapes: str) -> str:
    return f"<p:sld {A} {P}><p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld></p:sld>"


def make_pptx(path: Path, **more: str) -> Path:
    def cell(text: str) -> str:
        return f"<a:tc><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>"

    table = f"<a:tbl><a:tr>{cell('Plan')}{cell('Price')}</a:tr><a:tr>{cell('Basic')}{cell('12')}</a:tr></a:tbl>"
    frame = f"<p:graphicFrame><a:graphic><a:graphicData>{table}</a:graphicData></a:graphic></p:graphicFrame>"
    return packed(
        path,
        {
            "ppt/presentation.xml": f'<p:presentation {P} {R}><p:sldIdLst><p:sldId id="257" r:id="r2"/><p:sldId id="256" r:id="r1"/>'
            "</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(
                r1=("slide", "slides/slide1.xml"), r2=("slide", "slides/slide2.xml")
            ),
            "ppt/slides/slide1.xml": slide(
                shape("Prices", "title"), frame, f"<p:grpSp>{shape('in a group')}</p:grpSp>"
            ),
            "ppt/slides/slide2.xml": slide(shape("the lead"), shape("欢迎", "ctrTitle"), shape("7", "sldNum")),
            "ppt/slides/_rels/slide1.xml.rels": relations(n=("notesSlide", "../notesSlides/n.xml")),
            "ppt/notesSlides/n.xml": slide(shape("say it slowly", "body"), shape("3", "sldNum")),
            **more,
        },
    )


def make_xlsx(path: Path, sheets: dict[str, list[list[object]]], far: str = "") -> Path:
    parts: dict[str, str | bytes] = {}
    names, rels, types = [], {}, []
    for n, (name, rows) in enumerate(sheets.items(), start=1):
        cells = ""
        for r, row in enumerate(rows, start=1):
            made = "".join(
                f'<c r="{chr(65 + c)}{r}"><v>{v}</v></c>' if isinstance(v, (int, float))
                else f'<c r="{chr(65 + c)}{r}" t="inlineStr"><is><t>{v}</t></is></c>'
                for c, v in enumerate(row) if v != ""
            )  # fmt: skip
            cells += f'<row r="{r}">{made}</row>'
        xml = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}{far}</sheetData></worksheet>'
        parts[f"xl/worksheets/sheet{n}.xml"] = xml
        names.append(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>')
        rels[f"r{n}"] = ("worksheet", f"worksheets/sheet{n}.xml")
        types.append(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="'
            'application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        )
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
    parts["[Content_Types].xml"] = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{main}"/>{"".join(types)}</Types>'
    )
    parts["_rels/.rels"] = relations(w=("officeDocument", "xl/workbook.xml"))
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" {R}><sheets>{"".join(names)}</sheets></workbook>'
    )
    parts["xl/_rels/workbook.xml.rels"] = relations(**rels)
    return packed(path, parts)


def make_epub(path: Path, chapters: list[str]) -> Path:
    items = "".join(f'<item id="c{n}" href="text/c%20{n}.xhtml"/>' for n in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in reversed(range(len(chapters))))
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
    }
    for n, chapter in enumerate(chapters):
        parts[f"OEBPS/text/c {n}.xhtml"] = f"<html><head><title>t</title></head><body>{chapter}</body></html>"
    return packed(path, parts)


def read(path: Path) -> Loaded:
    loaded = load_limited(path, path.name)
    assert all(
        loaded.text[h.start :].lstrip("# ").startswith(h.title[:20])
        for h in loaded.outline
        if loaded.mime != "text/x-source"
    )
    assert all(0 <= p.start <= p.end <= len(loaded.text) for p in loaded.pages)
    return loaded


def refused(path: Path, limits: Limits | None = None) -> str | None:
    with pytest.raises(InputError) as caught:
        load_limited(path, path.name, limits)
    said = caught.value.message
    assert said.en and any("\u4e00" <= c <= "\u9fff" for c in said.zh)
    return caught.value.code


def test_slides_in_the_order_they_are_shown_each_a_page(tmp_path: Path) -> None:
    loaded = read(make_pptx(tmp_path / "talk.pptx"))
    assert [(h.title, h.level) for h in loaded.outline] == [("欢迎", 1), ("Prices", 1)]
    assert "| Plan | Price |\n| --- | --- |\n| Basic | 12 |" in loaded.text
    assert "in a group" in loaded.text and "[Notes] say it slowly" in loaded.text and "7" not in loaded.text
    second = loaded.pages[1]
    assert second.page == 2 and loaded.text[second.start : second.end].startswith("Prices") and len(loaded.pages) == 2


def test_sheets_are_pages_and_every_block_has_the_header(tmp_path: Path) -> None:
    rows: list[list[object]] = [["料号", "Name", "Stock"], *([f"FX-{n}", f"valve {n}", n] for n in range(200))]
    loaded = read(
        make_xlsx(tmp_path / "stock.xlsx", {"库存": rows, "Empty": [], "Notes": [["k", "", "v"], ["a", "", 1.5]]})
    )
    assert [h.title for h in loaded.outline] == ["库存", "Notes"] and [p.page for p in loaded.pages] == [1, 3]
    assert "| FX-137 | valve 137 | 137 |" in loaded.text and "| a | 1.5 |" in loaded.text
    passages = [loaded.text[c.start : c.end] for c in split(loaded.text, loaded.outline, loaded.pages)]
    found = next(p for p in passages if "FX-137 |" in p)
    assert "料号" in found


def test_a_sheet_with_a_far_corner_or_broken_or_not_a_sheet_is_refused(tmp_path: Path) -> None:
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    path = make_xlsx(tmp_path / "far.xlsx", {"s": [["a", "b"], [1, 2]]}, far=far)
    assert refused(path) in ("sheet_too_large", "parse_failed", "parse_timeout")
    whole = make_xlsx(tmp_path / "a.xlsx", {"s": [["a"]]}).read_bytes()
    (tmp_path / "cut.xlsx").write_bytes(whole[: len(whole) // 2])
    assert refused(tmp_path / "cut.xlsx") == "zip_broken"
    assert refused(packed(tmp_path / "no.xlsx", {"xl/workbook.xml": "no xml", "[Content_Types].xml": ""})) in (
        "sheet_broken", "no_text", "parse_failed",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [("a,b\n1,2\n", ","), ("a;b\n1,5;2\n3,5;4\n", ";"), ("a\tb\n1\t2\n", "\t"), ("one line\nof prose, with a comma\n", None)],
)  # fmt: skip
def test_what_divides_a_table(text: str, delimiter: str | None) -> None:
    assert delimiter_of(text) == delimiter


def test_csv_in_any_encoding_with_quotes_and_lines_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "价格.csv"
    path.write_bytes('套餐,价格,说明\n基础,12,"两行\n说明"\n高级,"1,200",含|竖线\n'.encode("gb18030"))
    loaded = read(path)
    assert loaded.text.splitlines() == [
        "| 套餐 | 价格 | 说明 |",
        "| --- | --- | --- |",
        "| 基础 | 12 | 两行 说明 |",
        "| 高级 | 1,200 | 含\\|竖线 |",
    ]
    (tmp_path / "prose.csv").write_text("This is prose. It has no table.\nNot at all, really.\n")
    assert "Not at all, really." in read(tmp_path / "prose.csv").text


def test_table_blocks_leave_no_row_out() -> None:
    rows = [["id", "v"], *([str(n), "x" * 40] for n in range(500))]
    blocks = list(table_blocks(rows))
    assert len(blocks) > 10 and all(b.startswith("| id | v |\n| --- | --- |\n") and len(b) < 1200 for b in blocks)
    ids = [line.split("|")[1].strip() for b in blocks for line in b.splitlines()[2:]]
    assert ids == [str(n) for n in range(500)]


def test_json_records_are_a_table_and_the_rest_keeps_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"sku": "A1", "n": 3}, {"sku": "B2", "n": None, "note": "x"}]))
    assert "| sku | n | note |" in read(path).text and "| B2 |  | x |" in read(path).text
    path.write_text(json.dumps({"名称": "灯", "parts": {"lamp": [1, 2]}}, ensure_ascii=False))
    assert "名称: 灯" in read(path).text and [h.title for h in read(path).outline] == ["parts"]
    lines = tmp_path / "b.jsonl"
    lines.write_text('{"q": "why", "a": "so"}\n{"q": "who", "a": "me"}\n')
    assert "| who | me |" in read(lines).text
    path.write_text('{"not": "closed"')
    assert read(path).text == '{"not": "closed"'
    path.write_text("[" * 100_000)
    assert read(path).text.startswith("[[[")


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    path = make_epub(
        tmp_path / "b.epub", ["<h1>Second</h1><p>It ends in the cellar.</p>", "<h1>First</h1><p>It begins here.</p>"]
    )
    loaded = read(path)
    assert loaded.text.index("It begins") < loaded.text.index("cellar")
    assert [h.title for h in loaded.outline] == ["First", "Second"]
    packed(tmp_path / "broken.epub", {"mimetype": "application/epub+zip", "META-INF/container.xml": "<no"})
    assert refused(tmp_path / "broken.epub") == "epub_broken"
    # entities that would grow to gigabytes are not expanded
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    packed(
        tmp_path / "bomb.epub", {"mimetype": "application/epub+zip", "META-INF/container.xml": bomb + "]><c>&j;</c>"}
    )
    assert refused(tmp_path / "bomb.epub") in ("epub_broken", "parse_failed")


def test_mail_with_headers_parts_and_attachments(tmp_path: Path) -> None:
    inner = EmailMessage()
    inner["Subject"], inner["From"] = "inner one", "c@example.org"
    inner.set_content("from the inside")
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "=?utf-8?b?5Lya6K6u?= at nine", "Ann <a@example.org>", "b@example.org"
    mail["Date"] = "Mon, 01 Jun 2026 09:00:00 +0000"
    mail.set_content("plain words")
    mail.add_alternative("<p>html words</p>", subtype="html")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename="plan.pdf")
    mail.add_attachment(inner)
    path = tmp_path / "m.eml"
    path.write_bytes(mail.as_bytes())
    text = read(path).text
    for said in (
        "会议 at nine",
        "From: Ann <a@example.org>",
        "plain words",
        "from the inside",
        "Attachments: plan.pdf",
    ):
        assert said in text
    assert "html words" not in text
    gbk = (
        b"From: a@b.cn\r\nMessage-ID: <1>\r\nSubject: x\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n"
        + "退款流程见附件".encode("gbk")
    )
    path.write_bytes(gbk)
    assert "退款流程" in read(path).text
    nested = b"".join(b"From: a@b\nSubject: s\nContent-Type: message/rfc822\n\n" for _ in range(3000))
    path.write_bytes(nested)
    assert load_or_code(path) in ("text", "parse_failed", "no_text", "parse_timeout")
    path.write_bytes(b"From: a\nContent-Type: multipart/mixed; boundary=" + b"x" * 3 + b"\n\n" + b"--x" * 20_000)
    assert load_or_code(path) in ("text", "parse_failed", "no_text")


def load_or_code(path: Path) -> str | None:
    try:
        return "text" if load_limited(path, path.name, Limits(seconds=20)).text else None
    except InputError as error:
        return error.code


def test_code_keeps_its_text_and_its_definitions_are_headings(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    source = "import os\n\n\nclass Pump:\n    def run(self) -> None: ...\n\n\nasync def main() -> None:\n    pass"
    path.write_text(source)
    loaded = read(path)
    assert loaded.text == source and [h.title for h in loaded.outline] == ["Pump", "main"]
    names = [
        h.title
        for h in definitions(
            "export default function go() {}\nfunc (s *T) Run() {}\npub fn x() {}\npublic class A {}\n"
        )
    ]
    assert names == ["go", "Run", "x", "A"]


def test_the_kind_is_told_by_content_first(tmp_path: Path) -> None:
    limits = Limits()
    for name, data, kind in (
        ("talk.txt", make_pptx(tmp_path / "x1").read_bytes(), "pptx"),
        ("b.docx", make_xlsx(tmp_path / "x2", {"s": [["a"]]}).read_bytes(), "sheets"),
        ("c.md", make_epub(tmp_path / "x3", ["<p>x</p>"]).read_bytes(), "epub"),
        ("d.txt", b"From: a@b\nMessage-ID: <1>\nSubject: s\n\nhello", "mail"),
        ("memo.txt", b"From: the office\nTo: all\n\nThe lift is out of order.", "text"),
        ("e.csv", b"<!doctype html><html><body>x</body></html>", "html"),
        ("f.json", b"just words", "text"),
        ("g.py", b"# Title\n\n```\n## x\n", "code"),
    ):
        path = tmp_path / "file"
        path.write_bytes(data)
        assert sniff(path, name, limits) == kind, name


@pytest.mark.parametrize("kind", ["pptx", "xlsx", "epub"])
def test_flipped_bytes_end_in_text_or_in_words(tmp_path: Path, kind: str) -> None:
    made = {
        "pptx": lambda: make_pptx(tmp_path / "a.pptx"),
        "xlsx": lambda: make_xlsx(tmp_path / "a.xlsx", {"s": [["a", "b"], [1, 2]]}),
        "epub": lambda: make_epub(tmp_path / "a.epub", ["<h1>x</h1><p>y</p>"]),
    }[kind]()
    whole, rng = made.read_bytes(), random.Random(3)
    for _ in range(6):
        data = bytearray(whole)
        for _ in range(8):
            data[rng.randrange(len(data))] = rng.randrange(256)
        made.write_bytes(bytes(data))
        assert load_or_code(made) is not None


def test_a_bomb_in_each_container_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    zeros = b"\0" * (20 * 1024 * 1024)
    for name, part in (
        ("a.pptx", "ppt/presentation.xml"),
        ("a.xlsx", "xl/workbook.xml"),
        ("a.epub", "META-INF/container.xml"),
    ):
        assert refused(packed(tmp_path / name, {part: zeros, "mimetype": "x"})) == "archive_bomb"
