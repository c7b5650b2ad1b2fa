"""Numbers that stand in a source, and those that nobody said."""

from __future__ import annotations

import pytest

from zhilu.text.numbers import unfounded

HOTEL = "Hotel: 4 nights, 96.50 euros a night\nFlight: 218 euros"


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("96.5 euros, 218.00", HOTEL),
        ("1,284 and １２", "1284 12"),
        ("99.33", "99.33333333"),
        ("17.5%", "0.175"),
        ("0.5", "50 %"),
        ("12.3万", "约 123000 人"),
        ("123000", "12.3 万"),
        ("4 nights", "four nights"),
        ("6 张", "六张桌子"),
        ("23 天", "二十三天"),
        ("There are 3 orders.", "id\n71\n82\n93"),
        ("1. one\n2. two", "nothing"),
        ("on 2 March 2026 at 9:30", "2026-03-02T09:30"),
        ("order A1024", "A1024 is on its way"),
    ],
)
def test_the_same_number_in_another_dress(said: str, source: str) -> None:
    assert unfounded(said, [source]) == []


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("It is 95.60 a night", ["95.60"]),
        ("In all 604 euros, 386 of them for the hotel", ["604", "386"]),
        ("李强的分机号是1234567890", ["1234567890"]),
        ("椅子：400 元", ["400"]),
        ("604 and once more 604", ["604"]),
        ("最多可以借三本书，借期为 fifteen 天。", ["fifteen", "三"]),
        ("In four nights, one or two things; 一个人，三心二意，六把椅子", []),
    ],
)
def test_a_number_that_nobody_said(said: str, found: list[str]) -> None:
    assert unfounded(said, [HOTEL, "椅子：6 把"]) == found


def test_arguments_have_factors_and_small_numbers_of_their_own() -> None:
    said = '{"expression": "3680 * 0.85 * 1.19 / 12 - 200"}'
    assert unfounded(said, ["3680 元打 85 折，加 19% 的税，减 200"], is_argument=True) == []
    assert unfounded("3860 * 0.85", ["3680 元打 85 折"], is_argument=True) == ["3860"]
    assert unfounded("LIMIT 1", [""], is_argument=True) == [] and unfounded("1", ["two\nlines\nor three"]) == ["1"]
