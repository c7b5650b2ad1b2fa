"""Word files as strangers make them: text wherever Word keeps it, odd tables, both namespaces of the format."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest

from zhilu.rag.load import Limits, Loaded, load_limited
from zhilu.rag.load.docx import LOADER

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
NAMESPACES = (
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:v="urn:schemas-microsoft-com:vml" xmlns:r="' + RELATIONS + '"'
)


def docx(path: Path, body: str, *, namespace: str = W, **parts: str) -> Path:
    """A Word file with this body; ``parts`` by kind (``footnotes``, ``header`` …) are related to it."""
    root = f'xmlns:w="{namespace}" {NAMESPACES}'
    relation = f'<Relationship Id="r{{0}}" Type="{RELATIONS}/{{1}}" Target="{{2}}"/>'
    package = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("_rels/.rels", package.format(relation.format(0, "officeDocument", "word/document.xml")))
        archive.writestr("word/document.xml", f"<w:document {root}><w:body>{body}</w:body></w:document>")
        related = "".join(relation.format(n, kind, f"{kind}.xml") for n, kind in enumerate(parts, start=1))
        archive.writestr("word/_rels/document.xml.rels", package.format(related))
        for kind, content in parts.items():
            archive.writestr(f"word/{kind}.xml", f"<w:{kind} {root}>{content}</w:{kind}>")
    return path


def p(inner: str, properties: str = "") -> str:
    return f"<w:p>{properties}{inner}</w:p>"


def r(text: str) -> str:
    return f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'


def cell(inner: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>"


def row(*cells: str) -> str:
    return f"<w:tr>{''.join(cells)}</w:tr>"


def read(path: Path) -> Loaded:
    return LOADER.load(path, Limits())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (f"<w:sdt><w:sdtContent>{p(r('in a control'))}</w:sdtContent></w:sdt>", "in a control"),
        (p(r("a ") + f"<w:sdt><w:sdtContent>{r('value')}</w:sdtContent></w:sdt>" + r(" kg")), "a value kg"),
        (p(r("fee ") + f"<w:ins>{r('ninety')}</w:ins><w:del><w:r><w:delText>eighty</w:delText></w:r></w:del>"), "fee ninety"),
        (f"<w:ins>{p(r('a whole new paragraph'))}</w:ins>", "a whole new paragraph"),
        (p(f"<w:moveTo>{r('here')}</w:moveTo><w:moveFrom>{r('there')}</w:moveFrom>"), "here"),
        (p(f"<w:smartTag>{r('Rotterdam')}</w:smartTag>" + r(" harbour")), "Rotterdam harbour"),
        (p(r("case ") + f"<w:fldSimple>{r('4711')}</w:fldSimple>"), "case 4711"),
        (p('<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF x</w:instrText></w:r>' + r("see 3")), "see 3"),
        (p(f"<w:hyperlink>{r('a link')}</w:hyperlink>"), "a link"),
        (p(f"<w:customXml>{r('marked up')}</w:customXml>"), "marked up"),
        (p("<w:r><w:ruby><w:rt>" + r("kan") + "</w:rt><w:rubyBase>" + r("漢") + "</w:rubyBase></w:ruby></w:r>"), "漢"),
        (p("<m:oMath><m:r><m:t>E=mc2</m:t></m:r></m:oMath>"), "E=mc2"),
        (p("<m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"),
         "(a+b)/(2)"),
        (p("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:noBreakHyphen/><w:t>c</w:t><w:br/><w:t>d</w:t></w:r>"), "a\tb-c\nd"),
        (p(r("Yes ") + '<w:r><w:fldChar><w:ffData><w:checkBox><w:default w:val="1"/></w:checkBox></w:ffData></w:fldChar></w:r>'),
         "Yes ☒"),
    ],
)  # fmt: skip
def test_text_wherever_a_paragraph_keeps_it(tmp_path: Path, body: str, text: str) -> None:
    assert read(docx(tmp_path / "a.docx", body)).text == text


def test_text_boxes_are_read_once_in_either_form(tmp_path: Path) -> None:
    box = f"<w:txbxContent>{p(r('warranty is seven years'))}</w:txbxContent>"
    new = f'<mc:Choice Requires="wps"><w:drawing><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></w:drawing></mc:Choice>'
    old = f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
    both = p(r("before") + f"<w:r><mc:AlternateContent>{new}{old}</mc:AlternateContent></w:r>")
    assert read(docx(tmp_path / "a.docx", both)).text == "before\n\nwarranty is seven years"
    only_old = p(f"<w:r><mc:AlternateContent>{old}</mc:AlternateContent></w:r>")
    assert read(docx(tmp_path / "b.docx", only_old)).text == "warranty is seven years"


def test_notes_follow_what_refers_to_them(tmp_path: Path) -> None:
    body = p(r("See note") + '<w:r><w:footnoteReference w:id="2"/></w:r>') + p(r("End."))
    notes = f'<w:footnote w:id="0" w:type="separator">{p(r("---"))}</w:footnote><w:footnote w:id="2">{p(r("In March."))}</w:footnote>'
    comments = f'<w:comment w:id="0" w:author="Li">{p(r("这里不对"))}</w:comment>'
    loaded = read(
        docx(
            tmp_path / "a.docx",
            body,
            footnotes=notes,
            comments=comments,
            header=p(r("Contract 7")),
            footer=p(r("- 3 -")),
        )
    )
    assert loaded.text.split("\n\n") == [
        "Contract 7", "See note[^2]", "[^2]: In March.", "End.", "[Li 的批注] 这里不对",
    ]  # fmt: skip


def test_tables(tmp_path: Path) -> None:
    begins, goes_on = '<w:vMerge w:val="restart"/>', cell(p(""), "<w:vMerge/>")
    inner = f"<w:tbl>{row(cell(p(r('x'))), cell(p(r('y'))))}</w:tbl>"
    table = (
        row(cell(p(r("Plan"))), cell(p(r("Price"))))
        + f"<w:sdt><w:sdtContent>{row(cell(p(r('Team')), begins), cell(p(r('9'))))}</w:sdtContent></w:sdt>"
        + row(goes_on, f"<w:sdt><w:sdtContent>{cell(p(r('8 a|b')))}</w:sdtContent></w:sdt>")
        + row(cell(p(r("outer")) + inner), cell(p(r("z"))))
        + row(cell(p(r("wide")), '<w:gridSpan w:val="2"/>'))
    )
    assert read(docx(tmp_path / "a.docx", f"<w:tbl>{table}</w:tbl>")).text.split("\n") == [
        "| Plan | Price |", "| Team | 9 |", "| Team | 8 a\\|b |", "| outer x · y | z |", "| wide |",
    ]  # fmt: skip


def test_a_continued_cell_that_nothing_began_is_kept(tmp_path: Path) -> None:
    table = row(cell(p(r("Header")), '<w:gridSpan w:val="2"/>')) + row(
        cell(p(r("A2"))), cell(p(r("B2")), "<w:vMerge/>")
    )
    assert read(docx(tmp_path / "a.docx", f"<w:tbl>{table}</w:tbl>")).text == "| Header |\n| A2 | B2 |"


def test_a_table_that_is_only_a_frame_is_running_text(tmp_path: Path) -> None:
    style = "<w:pPr><w:pStyle w:val='Heading2'/></w:pPr>"
    frame = f"<w:tbl>{row(cell(p(r('Duties'), style) + p(r('She cooks.'))))}</w:tbl>"
    loaded = read(docx(tmp_path / "a.docx", frame))
    assert loaded.text == "Duties\n\nShe cooks." and [(h.level, h.title) for h in loaded.outline] == [(2, "Duties")]


@pytest.mark.parametrize("span", ["900000000", "99999999999999999999", "-3", "x", ""])
def test_a_cell_costs_what_a_cell_costs_whatever_it_claims(tmp_path: Path, span: str) -> None:
    begun = time.process_time()
    table = f"<w:tbl>{row(cell(p(r('a')), f'<w:gridSpan w:val={chr(34)}{span}{chr(34)}/>'), cell(p(r('b'))))}</w:tbl>"
    assert read(docx(tmp_path / "a.docx", table)).text == "| a | b |"
    assert time.process_time() - begun < 5


def test_headings_by_style_base_and_outline(tmp_path: Path) -> None:
    styles = (
        '<w:style w:styleId="a1"><w:name w:val="heading 2"/></w:style>'
        '<w:style w:styleId="mine"><w:name w:val="Chapter"/><w:basedOn w:val="a1"/></w:style>'
        '<w:style w:styleId="own"><w:name w:val="Own"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
        '<w:style w:styleId="loop"><w:name w:val="Loop"/><w:basedOn w:val="loop"/></w:style>'
    )
    names = ("mine", "own", "loop")
    body = "".join(p(r(f"of {n}"), f'<w:pPr><w:pStyle w:val="{n}"/></w:pPr>') for n in names)
    body += p(r("by itself"), '<w:pPr><w:outlineLvl w:val="3"/></w:pPr>')
    loaded = read(docx(tmp_path / "a.docx", body, styles=styles))
    assert [(h.level, h.title) for h in loaded.outline] == [(2, "of mine"), (1, "of own"), (4, "by itself")]
    assert "of loop" in loaded.text


def test_the_strict_variant_is_read_alike(tmp_path: Path) -> None:
    body = (
        p(r("strict"), '<w:pPr><w:outlineLvl w:val="0"/></w:pPr>')
        + f"<w:tbl>{row(cell(p(r('a'))), cell(p(r('b'))))}</w:tbl>"
    )
    path = docx(tmp_path / "a.docx", body, namespace=STRICT)
    loaded = load_limited(path, path.name)
    assert loaded.text == "strict\n\n| a | b |" and loaded.outline[0].level == 1


@pytest.mark.parametrize("depth", [200, 3000])
def test_deep_nesting_ends_in_text_or_one_clear_refusal(tmp_path: Path, depth: int) -> None:
    from zhilu.errors import InputError

    body = "<w:sdt><w:sdtContent>" * depth + p(r("deep")) + "</w:sdtContent></w:sdt>" * depth
    path = docx(tmp_path / "a.docx", body)
    try:
        assert load_limited(path, path.name).text == "deep"
    except InputError as error:
        assert error.code == "docx_broken"
