"""Question files and the figures made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from zhilu.errors import InputError
from zhilu.rag.evaluate import answer_scores, ndcg, read_questions, scores


def test_ndcg_by_hand() -> None:
    assert ndcg([True, False, False]) == 1.0
    assert ndcg([False, True]) == pytest.approx(0.63093, abs=1e-5)
    assert ndcg([True, False, True]) == pytest.approx((1 + 0.5) / (1 + 0.63093), abs=1e-5)
    assert ndcg([False]) == ndcg([]) == 0.0


def test_scores_by_hand() -> None:
    found = scores([[True, False], [False, False, True], [False], []])
    assert found["hit@1"] == 0.25 and found["hit@3"] == 0.5
    assert found["mrr@10"] == pytest.approx((1 + 1 / 3) / 4, abs=1e-4)


def test_answer_scores() -> None:
    rows = [
        {"answerable": True, "refused": False, "cited_right": True},
        {"answerable": True, "refused": True, "cited_right": False},
        {"answerable": False, "refused": True, "cited_right": False},
    ]
    found = answer_scores(rows)
    assert (found["answered_percent"], found["citation_contains_answer_percent"], found["refused_percent"]) == (
        50.0,
        100.0,
        100.0,
    )
    assert answer_scores([])["refused_percent"] is None


def test_question_file(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(
        '{"question": "a", "answer": "x"}\n\n{"question": "b", "answer": ["y", "z"], "doc": "d"}\n{"question": "c"}\n'
    )
    questions = read_questions(path)
    assert [q.answers for q in questions] == [["x"], ["y", "z"], []]
    assert [q.answerable for q in questions] == [True, True, False]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text('{"question": "a"}\nnot json\n{"questions": "b"}\n{"question": ""}\n')
    with pytest.raises(InputError, match=r"3 bad lines, 1 good\): 2: .*3: .*4: "):
        read_questions(path)
