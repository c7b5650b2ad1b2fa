"""What of a passage says something: no heading, title or header row; rows with their headers' words."""

from __future__ import annotations

import pytest

from zhilu.rag.answer.evidence import PassageEvidence
from zhilu.rag.answer.judge import judge
from zhilu.rag.answer.layout import readable, statements, title_set

TABLE = "| Item | Weekday | Weekend |\n|---|---|---|\n| Adult | 45 | 60 |\n| Senior | 20 | 30 |\n"
HOTEL = "| 城市 | 员工（元） | 经理（元） |\n|---|---|---|\n| 一线城市 | 450 | 600 |\n| 省会城市 | 350 | 480 |\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Riverside Gym\n\nOpen from 6:00.\n", ["Open from 6:00."]),
        ("Riverside Gym\n=============\n\nOpen from 6:00.\n", ["Open from 6:00."]),
        ("Riverside Gym\n\nOpen from 6:00.\n", ["Open from 6:00."]),
        ("读者须知\n\n一、开放时间\n周一闭馆。\n", ["周一闭馆。"]),
        ("**Prices**\nA day is 5 euros.\n", ["A day is 5 euros."]),
        ("- free of charge\n- no dogs\n", ["free of charge", "no dogs"]),
        ("Lost keys cost 15 euros\n\nMore text.\n", ["Lost keys cost 15 euros", "More text."]),
        (TABLE, ["Adult: Weekday 45, Weekend 60", "Senior: Weekday 20, Weekend 30"]),
        (HOTEL, ["一线城市：员工（元） 450，经理（元） 600", "省会城市：员工（元） 350，经理（元） 480"]),
        ("| Adult | 45 |\n| Senior | 20 |\n", ["Adult · 45", "Senior · 20"]),
        (
            "Batch | Sugar  | Jars\nSmall | 900 g  | 5\nLarge | 3.6 kg | 21\n",
            ["Small: Sugar 900 g, Jars 5", "Large: Sugar 3.6 kg, Jars 21"],
        ),
        ("组别｜名额｜报名费\n半程｜1200 人｜120 元\n", ["半程：名额 1200 人，报名费 120 元"]),
        ("Run `cat a | sort | uniq`.\n", ["Run `cat a · sort · uniq`."]),
    ],
)
def test_headings_and_header_rows_say_nothing(text: str, said: list[str]) -> None:
    found = statements(text)
    assert [s.said for s in found] == said
    assert all(text[s.start : s.end].strip() for s in found)


def test_a_title_is_known_by_its_name_wherever_it_stands() -> None:
    text = "Open daily. Pool\nWater is warm.\nPool\n"
    assert [s.said for s in statements(text, title_set("gym.md", "Gym › Pool"))][-1] == "Water is warm."


def test_a_model_reads_rows_with_their_headers() -> None:
    text = f"Prices.\n\n{TABLE}\nChildren swim free.\n"
    assert (
        readable(text)
        == "Prices.\n\n- Adult: Weekday 45, Weekend 60\n- Senior: Weekday 20, Weekend 30\n\nChildren swim free.\n"
    )
    assert readable("No table | here.\n") == "No table | here.\n"


@pytest.mark.parametrize(
    ("passage", "question", "said", "support"),
    [
        (TABLE, "What does a senior pay on weekends?", "30", "exact"),
        (TABLE, "What does a senior pay on weekends?", "20", "beside"),
        (TABLE, "What does a senior pay on weekends?", "60", "beside"),
        (TABLE, "What does a student pay?", "45", "unsupported"),
        (TABLE, "What does a senior pay on weekends?", "A senior pays 20 on a weekday and 30 on the weekend", "beside"),
        (TABLE, "What does a senior pay?", "20 on weekdays, 30 on weekends", "overlap"),
        (HOTEL, "经理去省会城市，酒店一晚最多多少钱？", "480 元", "overlap"),
        (HOTEL, "经理去省会城市，酒店一晚最多多少钱？", "600 元", "beside"),
        (HOTEL, "经理去省会城市，酒店一晚最多多少钱？", "350 元", "beside"),
    ],
)
def test_another_row_or_column_is_seen(passage: str, question: str, said: str, support: str) -> None:
    evidence = PassageEvidence(question, [passage], [1.0])
    found = judge(said, question, [passage], evidence.best())
    assert found.support == support
    if support == "beside":
        assert found.quote is not None and any(w in evidence.said_at(found.quote) for w in ("Senior", "省会"))
