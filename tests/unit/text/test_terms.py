"""Segmentation, query terms and fusion."""

from __future__ import annotations

import pytest

from zhilu.rag.retrieve.fusion import dense_weight, fuse
from zhilu.rag.testing import HASH
from zhilu.text.terms import match_query, query_terms, segment, stem, terms


def test_chinese_becomes_characters_and_pairs() -> None:
    assert segment("知识库v2，OK") == "知 知识 识 识库 库 v2 OK"


def test_full_width_letters_are_the_same_words() -> None:
    assert segment("ＡＢＣ１２") == "ABC12"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the capital of France?", ["capital", "france"]),
        ("什么是知识库？", ["知", "知识", "识", "识库", "库"]),
        ("what is it", ["what", "is", "it"]),
        ("?!", []),
    ],
)
def test_query_terms_drop_grammar(question: str, expected: list[str]) -> None:
    assert query_terms(question) == expected


def test_match_query_cannot_be_broken_by_quotes_or_operators() -> None:
    assert match_query('a" OR title:x NEAR(y) *') == '"title" OR "x" OR "near" OR "y"'
    assert match_query("。。。") == ""


@pytest.mark.parametrize(
    ("a", "b"), [("founded", "founding"), ("cities", "city"), ("running", "run"), ("uses", "use"), ("classes", "class")]
)
def test_stem_joins_word_forms(a: str, b: str) -> None:
    assert stem(a) == stem(b)


def test_terms_of_mixed_text() -> None:
    assert terms("GPU 显存") == ["gpu", "显", "显存", "存"]


def test_a_bad_list_cannot_spoil_a_good_one() -> None:
    lexical = {1: 9.0, 2: 5.0, 3: 1.0}
    dense = {7: 0.9, 8: 0.8, 1: 0.1}

    class English(type(HASH)):
        languages = ("en",)

    assert fuse(lexical, dense, dense_weight("zh", English()))[0][0] == 1
    assert dense_weight("en", None) == 0.0 < dense_weight("en", English())
    assert [i for i, _ in fuse(lexical, dense, 0.0)][:2] == [1, 2]
    assert [i for i, _ in fuse({}, dense, 0.0)][:2] == [7, 8]
    assert fuse({}, {}, 0.5) == []


def test_fused_scores_are_between_0_and_1() -> None:
    fused = fuse({1: -3.0, 2: 4.0}, {2: 0.2, 3: 0.7}, 0.5)
    assert all(0.0 <= s <= 1.0 for _, s in fused) and [s for _, s in fused] == sorted(
        (s for _, s in fused), reverse=True
    )
