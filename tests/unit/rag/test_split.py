"""Chunks: exact offsets, full cover, whole code and tables, sentences of both languages."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from zhilu.rag.index.split import heading_path, split
from zhilu.rag.load.base import Page
from zhilu.rag.load.markdown import headings
from zhilu.text.sentences import sentences, token_ends

PIECES = st.sampled_from(
    ["# One\n", "## Two 二\n", "### Three\n", "Hello world. ", "你好，世界。", "第二句！", "a b c\n", "\n\n", "```py\nx = 1\n",
     "```\n", "| a | b |\n", "|---|---|\n", "- item\n", "  ", "\u3000", "e.g. this, Mr. Fox. ", "x" * 90, "长" * 40, "🙂", "…", "\t"]
)  # fmt: skip


@examples(300)
@given(st.lists(PIECES, max_size=40).map("".join), st.integers(4, 40), st.integers(0, 12))
def test_chunks_cover_every_character_and_stay_in_size(text: str, size: int, overlap: int) -> None:
    overlap = min(overlap, size - 1)
    chunks = split(text, headings(text), size=size, overlap=overlap)
    covered = set()
    for chunk in chunks:
        piece = text[chunk.start : chunk.end]
        assert piece == piece.strip() != ""
        assert chunk.num_tokens <= size
        covered.update(range(chunk.start, chunk.end))
    assert {i for i, c in enumerate(text) if not c.isspace()} <= covered
    assert [c.start for c in chunks] == sorted(c.start for c in chunks)
    assert len({(c.start, c.end) for c in chunks}) == len(chunks)


@examples(100)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_chunk_lies_inside_another(text: str) -> None:
    chunks = split(text, headings(text), size=20, overlap=8)
    for before, after in itertools.pairwise(chunks):
        assert after.end > before.end


def test_code_that_fits_is_never_cut() -> None:
    code = "```python\n" + "\n".join(f"line_{i} = {i}" for i in range(12)) + "\n```"
    text = "Some words before it. " * 12 + "\n\n" + code + "\n\n" + "And words after it. " * 12
    chunks = split(text, size=120, overlap=20)
    assert any(code in text[c.start : c.end] for c in chunks)
    assert all(("```" not in text[c.start : c.end]) or code in text[c.start : c.end] for c in chunks)


def test_table_that_fits_is_never_cut() -> None:
    table = "| name | price |\n|---|---|\n" + "\n".join(f"| item {i} | {i} |" for i in range(8))
    text = "Words come first here. " * 10 + "\n\n" + table + "\n\n" + "Words again. " * 10
    assert any(table in text[c.start : c.end] for c in split(text, size=90, overlap=10))


def test_a_chunk_stays_under_its_heading() -> None:
    text = "# Guide\n\n## Install\n\nRun the installer.\n\n## Use\n\nPress the button.\n"
    chunks = split(text, headings(text))
    assert [c.heading for c in chunks] == ["Guide › Install", "Guide › Use"]
    assert text[chunks[0].start : chunks[0].end].startswith("# Guide")


def test_heading_path_forgets_closed_branches() -> None:
    text = "# A\n## B\n### C\nx\n## D\ny\n"
    outline = headings(text)
    assert heading_path(outline, text.index("x")) == "A › B › C"
    assert heading_path(outline, text.index("y")) == "A › D"


def test_overlap_is_whole_sentences() -> None:
    text = "".join(f"这是第{i}句话，内容各不相同。" for i in range(60))
    chunks = split(text, size=60, overlap=20)
    starts = {a for a, _ in sentences(text)}
    assert len(chunks) > 5
    assert all(c.start in starts for c in chunks)
    assert all(a.end > b.start for a, b in itertools.pairwise(chunks))


def test_sentences_of_both_languages() -> None:
    text = "他说：“走吧。”然后离开了！Mr. Fox paid 3.5 dollars, e.g. in cash. It works? Yes.\n没有句号的一行\n第二行"
    found = [text[a:b] for a, b in sentences(text)]
    assert found == [
        "他说：“走吧。”", "然后离开了！", "Mr. Fox paid 3.5 dollars, e.g. in cash.", "It works?", "Yes.", "没有句号的一行", "第二行",
    ]  # fmt: skip


def test_pages_are_where_chunks_begin() -> None:
    text = "First page text.\n\nSecond page text."
    pages = (Page(1, 0, 16), Page(2, 18, len(text)))
    assert [c.page for c in split(text, pages=pages, size=4, overlap=0)] == [1, 2]


def test_token_measure_is_close_to_wordpiece_and_not_below_it_for_long() -> None:
    assert len(token_ends("知识库 retrieval works.")) == 3 + 2 + 1 + 1


def test_overlap_as_large_as_the_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="below size"):
        split("text", size=10, overlap=10)


def test_a_hard_wrapped_paragraph_is_not_cut_at_its_lines() -> None:
    text = (
        "The gateway answers at the address below and it keeps doing so until the\nworkbench is stopped. Then it ends.\n"
        "- a list item that is long enough to be taken for a full line of text, really\n- another\n"
        "指路带你走过七个阶段：检查环境、看见模型内部、部署、微调、用文档检索增强、在它之上构建智能体和应用、弄懂\n原理。完。"
    )
    found = [text[a:b] for a, b in sentences(text)]
    assert len(found) == 6
    assert found[0].endswith("workbench is stopped.") and found[4].endswith("原理。")
