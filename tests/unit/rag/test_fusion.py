"""Two lists into one: what each is worth, and passages whose words a question cannot name."""

from __future__ import annotations

from zhilu.rag.retrieve.fusion import fuse


def test_each_list_counts_by_its_weight() -> None:
    lexical, dense = {1: 9.0, 2: 3.0}, {1: 0.2, 2: 0.8, 3: 0.5}
    assert next(i for i, _ in fuse(lexical, dense, 0.1)) == 1
    assert next(i for i, _ in fuse(lexical, dense, 0.9)) == 2
    assert [i for i, _ in fuse({}, dense, 0.1)] == [2, 3, 1]
    assert [i for i, _ in fuse(lexical, {}, 0.9)] == [1, 2]


def test_words_of_another_language_are_not_held_against_a_passage() -> None:
    """3 means what is asked and is written in the other language; 1 shares words with the question by chance."""
    lexical, dense = {1: 9.0, 2: 1.0}, {1: 0.4, 2: 0.2, 3: 0.9}
    assert next(i for i, _ in fuse(lexical, dense, 0.5)) == 1
    scores = dict(fuse(lexical, dense, 0.5, foreign={3}))
    assert max(scores, key=scores.__getitem__) == 3 and 0 <= min(scores.values()) <= max(scores.values()) <= 1
    found_by_words = dict(fuse({**lexical, 3: 5.0}, dense, 0.5, foreign={3}))
    assert found_by_words == dict(fuse({**lexical, 3: 5.0}, dense, 0.5))  # its words were found, so they count
