"""Files that strangers sent, as they were sent: each once froze the gateway, was refused, lost words or was read wrongly."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from zhilu.context import Context
from zhilu.rag.answer.claims import identifiers, stands_in
from zhilu.rag.index.ingest import ingest_document
from zhilu.rag.library import Library
from zhilu.rag.load import Limits, load_limited
from zhilu.rag.load.sniff import sniff
from zhilu.rag.retrieve.search import retrieve
from zhilu.text.sentences import sentences

CASES = Path(__file__).with_name("cases")
HIDDEN = (
    "BLOCKSDT", "INLINESDT", "TRACKEDINS", "SMARTTAG", "TEXTBOX", "SDTTABLE", "SDTROW", "SDTCELL", "NESTEDTABLE", "EQUATION=mc2",
    "FLDSIMPLE-4711", "HYPERLINK text", "FOOTNOTEPART", "ENDNOTEPART", "HEADERPART", "FOOTERPART", "End of body",
)  # fmt: skip


def read(name: str) -> str:
    return load_limited(CASES / name, name).text


def test_comments_before_a_page_that_never_comes(tmp_path: Path) -> None:
    """26 of them took the gateway a minute, and four times as long for each two more: with 400 it would never end."""
    assert sniff(CASES / "redos_comments.md", "redos_comments.md", Limits()) == "markdown"
    path = tmp_path / "more.md"
    path.write_bytes((CASES / "redos_comments.md").read_bytes().replace(b"<!--", b"<!-- x --><!--") * 15)
    assert sniff(path, path.name, Limits()) == "markdown"
    assert load_limited(path, path.name).text


def test_sixty_thousand_exclamation_marks(tmp_path: Path) -> None:
    path = tmp_path / "bangs.txt"
    path.write_text("!" * 60_000)
    text = load_limited(path, path.name).text
    assert len(list(sentences(text))) < 1000 and len(text) == 60_000


def test_every_place_where_word_keeps_text_is_read() -> None:
    text = read("docx_hidden_parts.docx")
    assert [word for word in HIDDEN if word not in text] == []
    assert "DELETEDTEXT" not in text  # what was struck out is no longer said


def test_a_merged_table_is_read_and_one_of_a_billion_columns_takes_nothing() -> None:
    text = read("grid_offset_small.docx")
    assert "900 euros" in text and "Merged header" in text and "Text after the table" in text
    assert "span" in read("gridspan.docx")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("own__ja_euc_jp.txt", "倉庫管理システム取扱説明書"),
        ("own__ko_cp949.txt", "창고 관리 시스템 사용 설명서"),
        ("own__zh_utf-16-le.txt", "智能仓储系统使用手册"),
    ],
)
def test_letters_are_their_own(name: str, words: str) -> None:
    text = read(name)
    assert text.startswith(words) and "AX-2047B" in text


@pytest.mark.parametrize(
    ("name", "question", "code"),
    [
        ("rag_parts.md", "What is part FX-74-B/3?", "fx-74-b/3"),
        ("rag_releases.md", "When was version 2.99 released?", "2.99"),
        ("rag_releases.md", "When was version 1.10 released?", "1.10"),
    ],
)
def test_a_code_that_is_not_there_stands_nowhere(name: str, question: str, code: str) -> None:
    assert identifiers(question) == {code}
    assert not stands_in(code, read(name))


def test_codes_that_are_there_stand_there() -> None:
    parts, releases = read("rag_parts.md"), read("rag_releases.md")
    assert stands_in("fx-73-e/4", parts) and stands_in("fx-84-b/3", parts)
    assert all(stands_in(version, releases) for version in ("1.0.0", "1.1.10", "2.10.1", "3.2.0"))


def test_the_second_version_under_the_same_name_is_what_is_found(context: Context) -> None:
    kb = Library(context).create("rules", embedder="none")
    for version in (1, 2):
        data = (CASES / f"stale_rule0_v{version}.md").read_bytes()
        document, _ = kb.add(io.BytesIO(data), "rule0.md", max_mb=1)
        ingest_document(kb, document.id, None, lambda share, stage: None)
    hits = [hit.text for hit in retrieve(kb, "What is the parking fee at Lindholm?", None).hits]
    assert hits and all("6 euros" in text and "4 euros" not in text for text in hits)
