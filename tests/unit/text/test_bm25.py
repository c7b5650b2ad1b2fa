from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zhilu.text.bm25 import ranked

PIECES = [
    "The ferry leaves at nine in the morning.",
    "Tickets for the ferry cost fourteen euros; the ferry takes bicycles.",
    "The library keeps maps of the harbour.",
    "图书馆每天九点开门，周一闭馆。",
]


def test_the_piece_with_the_rare_word_comes_first() -> None:
    assert ranked("What do tickets cost?", PIECES)[0][0] == 1
    assert ranked("When does the ferry leave in the morning?", PIECES)[0][0] == 0
    assert ranked("图书馆几点开门？", PIECES)[0][0] == 3


def test_who_shares_no_word_is_left_out() -> None:
    assert ranked("Where is the station?", PIECES) == []
    assert ranked("", PIECES) == [] == ranked("anything", [])


@given(st.text(max_size=40), st.lists(st.text(max_size=80), max_size=6))
def test_any_text_is_ranked(question: str, pieces: list[str]) -> None:
    found = ranked(question, pieces)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert len({place for place, _ in found}) == len(found) <= len(pieces)
