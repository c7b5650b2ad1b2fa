"""Loaders and guards on real files; every refusal is one clear message in both languages."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from zhilu.errors import InputError, TooLargeError
from zhilu.rag.load import Limits, check_size, load_limited, safe_name
from zhilu.rag.load.decode import decode
from zhilu.rag.load.pdf import reflow

ZH = "知识库检索的质量取决于分词、切分与排序。每一个答案都要注明出处，文档没有提到的内容应当拒绝回答。"
EN = "Retrieval quality depends on segmentation, splitting and ranking. Every answer cites its source."


def make_pdf(path: Path, pages: list[list[str]], bookmarks: bool = False) -> Path:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    canvas = Canvas(str(path))
    for number, lines in enumerate(pages):
        canvas.setFont("STSong-Light", 12)
        if bookmarks:
            canvas.bookmarkPage(f"p{number}")
            canvas.addOutlineEntry(lines[0], f"p{number}", 0)
        for row, line in enumerate(lines):
            canvas.drawString(72, 780 - 18 * row, line)
        canvas.showPage()
    canvas.save()
    return path


def make_docx(path: Path) -> Path:
    import docx

    document = docx.Document()
    document.add_heading("员工手册", level=1)
    document.add_paragraph("本手册适用于全体员工。")
    document.add_heading("年假", level=2)
    document.add_paragraph("入职满一年的员工每年有十五天年假。")
    table = document.add_table(rows=2, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Level", "Days"
    table.cell(1, 0).text, table.cell(1, 1).text = "Senior", "20"
    document.save(str(path))
    return path


def refused(path: Path, limits: Limits | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        load_limited(path, path.name, limits)
    error = caught.value
    assert 400 <= error.http_status < 500
    assert error.message.en and error.message.zh and error.message.en != error.message.zh
    assert any("\u4e00" <= c <= "\u9fff" for c in error.message.zh)
    return error


def test_pdf_text_pages_and_bookmarks(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "手册.pdf", [["Install guide", EN], ["使用说明", ZH[:24], ZH[24:]]], bookmarks=True)
    loaded = load_limited(path, path.name)
    assert loaded.mime == "application/pdf"
    assert [p.page for p in loaded.pages] == [1, 2]
    assert EN in loaded.text[loaded.pages[0].start : loaded.pages[0].end]
    assert ZH[:24] in loaded.text[loaded.pages[1].start : loaded.pages[1].end]
    assert [(h.title, loaded.text[h.start :][: len(h.title)]) for h in loaded.outline] == [
        ("Install guide", "Install guide"),
        ("使用说明", "使用说明"),
    ]


def test_pdf_type_is_told_by_content(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "x.pdf", [[EN]]).rename(tmp_path / "x.txt")
    assert load_limited(path, "x.txt").mime == "application/pdf"


def test_pdf_with_a_damaged_table_is_repaired(tmp_path: Path) -> None:
    path = make_pdf(tmp_path / "a.pdf", [[EN]])
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"xref")])  # neither cross-reference table nor trailer
    assert EN in load_limited(path, path.name).text


def test_pdf_refusals(tmp_path: Path) -> None:
    import pikepdf

    whole = make_pdf(tmp_path / "whole.pdf", [[EN]])
    locked = tmp_path / "locked.pdf"
    with pikepdf.open(whole) as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(owner="o", user="u"))
    assert refused(locked).code == "pdf_encrypted"
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\n" + b"not a pdf at all " * 50)
    assert refused(broken).code == "pdf_broken"
    assert refused(make_pdf(tmp_path / "blank.pdf", [[]])).code == "no_text"


def test_reflow_joins_lines_and_keeps_paragraphs() -> None:
    page = (
        "这一段文字被排版成了两行，第一行在这里就到了边\n缘，第二行结束。\n- 第一项\n- 第二项\n\n"
        "An English line that is set up to the mar\ngin ends here."
    )
    assert reflow(page) == [
        "这一段文字被排版成了两行，第一行在这里就到了边缘，第二行结束。", "- 第一项", "- 第二项",
        "An English line that is set up to the mar gin ends here.",
    ]  # fmt: skip


def test_docx_headings_and_tables(tmp_path: Path) -> None:
    loaded = load_limited(make_docx(tmp_path / "a.docx"), "a.docx")
    assert [(h.level, h.title) for h in loaded.outline] == [(1, "员工手册"), (2, "年假")]
    assert "| Senior | 20 |" in loaded.text
    assert all(loaded.text[h.start :].startswith(h.title) for h in loaded.outline)


def test_docx_bomb_and_broken_container(tmp_path: Path) -> None:
    good = make_docx(tmp_path / "good.docx")
    bomb = tmp_path / "bomb.docx"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            out.writestr(name, source.read(name))
        out.writestr("word/media/x.xml", b"\0" * (40 * 1024 * 1024))
    error = refused(bomb)
    assert (error.code, error.http_status) == ("archive_bomb", 413)
    many = tmp_path / "many.docx"
    with zipfile.ZipFile(many, "w") as out:
        for number in range(200):
            out.writestr(f"e{number}", b"")
    assert refused(many, Limits(archive_entries=100)).code == "archive_bomb"
    cut = tmp_path / "cut.docx"
    cut.write_bytes(good.read_bytes()[:2000])
    assert refused(cut).code == "zip_broken"


def test_a_size_that_lies_in_the_zip_directory_is_found_out(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("word/document.xml", b"\0" * (4 * 1024 * 1024))
    data = buffer.getvalue().replace((4 * 1024 * 1024).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path = tmp_path / "liar.docx"
    path.write_bytes(data)
    assert refused(path).code in ("zip_broken", "archive_bomb")


@pytest.mark.parametrize("part", ["ppt/slides/slide1.xml", "readme.txt"])
def test_other_archives_are_named(tmp_path: Path, part: str) -> None:
    path = tmp_path / "x.docx"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(part, "x")
    assert refused(path).code == "unsupported_format"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "big5", "utf-32"])
def test_chinese_text_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    traditional = (
        "這是一份關於員工福利的說明文件，請各位同仁仔細閱讀。公司提供醫療保險與年度健康檢查，並且補助進修課程的費用。"
    )
    text = traditional if encoding == "big5" else ZH
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert load_limited(path, "a.txt").text == text


def test_short_gbk_line_and_latin_text() -> None:
    assert decode("订单编号".encode("gbk"))[0] == "订单编号"
    french = "Le café où l'élève étudiait était fermé à midi, après quoi il rentra chez lui très déçu. " * 4
    assert decode(french.encode("cp1252"))[0].strip() == french.strip()


def test_binary_empty_and_media_are_refused(tmp_path: Path) -> None:
    import random

    noise = random.Random(1).randbytes(5000)
    for name, data, code in (
        ("empty.txt", b"", "empty_file"),
        ("space.md", b" \n\t\n", "no_text"),
        ("noise.txt", noise, "not_text"),
        ("image.md", b"\x89PNG\r\n\x1a\n" + noise, "image_broken"),
        ("old.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + noise, "unsupported_format"),
        ("program.txt", b"MZ\x90\0" + noise, "unsupported_format"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        assert refused(path).code == code, name


def test_text_that_begins_like_a_program_is_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("MZ is how the file begins, and it is prose.")
    assert "prose" in load_limited(path, "a.txt").text


def test_markdown_outline_ignores_code(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("---\ntitle: t\n---\n# Top `x`\n\n```sh\n# not a heading\n```\n\nSub\n---\n\n## [Link](u) end ##\n")
    loaded = load_limited(path, "a.md")
    assert [(h.level, h.title) for h in loaded.outline] == [(1, "Top x"), (2, "Sub"), (2, "Link end")]
    assert loaded.text.startswith("# Top")


def test_html_without_menus(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        "<!DOCTYPE html><html><head><title>t</title><script>var evil=1</script></head><body><nav><a href=/>Home</a></nav>"
        f"<article><h1>Ranking</h1><p>{EN} {EN}</p><h2>中文</h2><p>{ZH}{ZH}</p></article><footer>Imprint</footer></body></html>"
    )
    loaded = load_limited(path, "page.html")
    assert EN in loaded.text and ZH in loaded.text and "evil" not in loaded.text
    assert "中文" in [h.title for h in loaded.outline]


def test_html_declared_encoding_and_fragment(tmp_path: Path) -> None:
    path = tmp_path / "page.htm"
    path.write_bytes(
        f"<html><head><meta charset=gb2312></head><body><h2>通知</h2><p>{ZH}</p></body></html>".encode("gbk")
    )
    loaded = load_limited(path, "page.htm")
    assert ZH in loaded.text


def test_chapters_of_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "law.txt"
    path.write_text("第一章 总则\n第一条 为了规范行为，制定本法。\n第二章 附则\n本法自公布之日起施行。")
    assert [h.title for h in load_limited(path, "law.txt").outline][:1] == ["第一章 总则"]


def test_a_hanging_parser_kills_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang = tmp_path / "site"
    hang.mkdir()
    # a real process that never ends: the worker module is replaced by one that spins
    (hang / "sitecustomize.py").write_text(
        "import sys\nif 'zhilu.rag.load.worker' in sys.orig_argv:\n while True: pass\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hang))
    path = tmp_path / "a.txt"
    path.write_text("x")
    monkeypatch.setattr("zhilu.rag.load.limited._GRACE_SECONDS", 0.5)
    assert refused(path, Limits(seconds=1)).code == "parse_timeout"


def test_a_parser_that_eats_memory_is_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"word " * 12_000_000)
    error = refused(path, Limits(memory_mb=120))
    assert error.code == "parse_failed" and "memory" in error.message.en.lower()


def test_too_many_characters(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("word " * 1000)
    error = refused(path, Limits(max_chars=100))
    assert isinstance(error, TooLargeError) and error.code == "text_too_long"


def test_file_over_the_upload_limit() -> None:
    with pytest.raises(TooLargeError, match=r"300\.0 MB; the limit is 200 MB"):
        check_size(300 * 1024 * 1024, 200)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\temp\\计划.docx", "计划.docx"), ("a\0b\n.md", "a_b_.md"), ("ok.pdf", "ok.pdf"), ("/x/", None),
     ("..", None), ("长" * 200 + ".pdf", "长" * 66 + ".pdf")],
)  # fmt: skip
def test_names_lose_their_folders(given: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(InputError):
            safe_name(given)
    else:
        assert safe_name(given) == kept


JA = "倉庫管理システム取扱説明書\n\n本システムは倉庫の入庫、出庫、棚卸を管理します。機器の型番は AX-2047B です。"
KO = "창고 관리 시스템 사용 설명서\n\n이 시스템은 창고의 입고, 출고 및 재고 조사를 관리합니다. 모델은 AX-2047B입니다."
ZH_HANT = "知識庫檢索的品質取決於分詞、切分與排序。\n每一個答案都要註明出處。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (JA, "euc_jp"), (JA, "cp932"), (KO, "cp949"), (KO, "euc_kr"), (ZH + "\n", "utf-16-le"), (ZH + "\n", "utf-16-be"),
        (EN + "\n", "utf-16-le"), (KO, "utf-16-le"), (JA, "utf-16-be"), (ZH, "gb18030"), (ZH_HANT, "big5"),
        ("他说 你 好 吗 我 很 好 " * 4, "gb18030"), ("阿爸安安八百办公报表", "gb18030"),
    ],
)  # fmt: skip
def test_east_asian_files_are_read_in_their_own_letters(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize("data", [b"\x80", b"\x81", b"a\xb0", b"\xff\xfe", b""])
def test_half_a_character_is_some_text_or_none(data: bytes) -> None:
    """Where nothing is whole, no share of anything can be taken."""
    try:
        assert len(decode(data)[0]) <= len(data)
    except InputError as error:
        assert error.code == "not_text"


@pytest.mark.parametrize("data", [b"a\0b" * 100, b"\0\1\2\3" * 200, bytes(range(256)) * 4])
def test_bytes_that_fall_among_letters_are_no_text(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode(data)
    assert caught.value.code == "not_text"


@pytest.mark.parametrize("encoding", ["iso-8859-2", "cp1250"])
@pytest.mark.parametrize(
    "text",
    [
        "Zażółć gęślą jaźń. Instrukcja obsługi pompy: włącz zasilanie, sprawdź ciśnienie wody.",
        "Příliš žluťoučký kůň úpěl ďábelské ódy. Návod k použití čerpadla: zkontrolujte tlak vody.",
        "Árvíztűrő tükörfúrógép. A szivattyú használati utasítása: ellenőrizze a víznyomást.",
        "Čovjek šeće kroz žutu šumu, gđa Đurđa kaže da će doći sutra.",
    ],
)
def test_central_european_files_are_read_in_their_own_letters(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "Die Größe der Übung übertrifft alles, schöne Öfen.",
        "El niño comió piña; ¿cuándo volverá el señor?",
        "L’œuvre coûte 5 €, très déçu.",
    ],
)
def test_western_files_stay_western(text: str) -> None:
    assert decode(text.encode("cp1252"))[0] == text
