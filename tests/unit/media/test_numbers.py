"""Numbers as they are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.media.speak.numbers import in_words


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("9:30", "nine thirty"),
        ("9:05", "nine oh five"),
        ("10:00", "ten o'clock"),
        ("in 1984", "in nineteen eighty four"),
        ("in 2005", "in two thousand five"),
        ("in 1900", "in nineteen hundred"),
        ("$3.50", "three dollars fifty cents"),
        ("$1", "one dollar"),
        ("15%", "fifteen percent"),
        ("21st", "twenty first"),
        ("30th", "thirtieth"),
        ("12,345.6", "twelve thousand three hundred forty five point six"),
        ("-5", "minus five"),
        ("007", "zero zero seven"),
        ("Dr. Li", "doctor Li"),
    ],
)
def test_a_number_is_read_as_people_do(written: str, read: str) -> None:
    assert in_words(written) == read


@given(st.text(max_size=60))
def test_no_digit_is_left(text: str) -> None:
    assert not any(c in "0123456789" for c in in_words(text))
