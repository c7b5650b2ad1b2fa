"""Tables of a text: found where they stand, asked only for what the question names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.apps.docqa.tables.choose import choose
from zhilu.apps.docqa.tables.found import DocTable, number_in, tables_of
from zhilu.apps.docqa.tables.readings import Reading, readings_of
from zhilu.errors import InputError

TEXT = """# Trips

Words | that are no table.

| Town | Fare (EUR) | Minutes |
| --- | --- | --- |
| Aby | 12 | 45 |
| New Aby | 1,250 | 20 |
| Borg | 5 | 70 |

## 房间

| 房间 | 座位数 | 押金（元） |
| --- | --- | --- |
| 报刊室 | 85 | 100 |
| 自习室 | 160 | 20 |
"""
HEADINGS = [(0, "Trips"), (TEXT.index("## 房间"), "房间")]


def tables() -> list[DocTable]:
    return tables_of("d1", "trips.md", TEXT, HEADINGS)


def values(question: str) -> set[tuple[str, str]]:
    return {(r.want, r.result()[0]) for r in readings_of(question, tables())}


def test_tables_are_found_where_they_stand() -> None:
    first, second = tables()
    assert (first.columns, first.heading, len(first.rows)) == (("Town", "Fare (EUR)", "Minutes"), "Trips", 3)
    assert (second.columns[0], second.heading) == ("房间", "房间")
    for table in (first, second):
        for row in table.rows:
            assert TEXT[row.start : row.end] == "| " + " | ".join(row.cells) + " |"


def test_blocks_under_one_header_are_one_table_and_short_rows_are_filled() -> None:
    text = "| a | b |\n| --- | --- |\n| x | 1 |\n\n| a | b |\n| --- | --- |\n| y |\n| z \\| w | 3 | 4 |"
    (table,) = tables_of("d", "d", text)
    assert [row.cells for row in table.rows] == [("x", "1"), ("y", ""), ("z | w", "3")]


@given(st.text(alphabet="|-: \n\\ab数1\u2028", max_size=200))
def test_rows_always_point_into_the_text(text: str) -> None:
    for table in tables_of("d", "d", text):
        for row in table.rows:
            assert len(row.cells) == len(table.columns)
            shown = text[row.start : row.end]
            assert shown.startswith("|") and shown.endswith("|") and shown == shown.strip()


@pytest.mark.parametrize(
    ("cell", "number"),
    [("12", 12), ("€1,200.5", 1200.5), ("12 %", 12), ("7公里", 7), ("-3", -3), ("007", None), ("A4", None), ("", None),
     ("about it", None), ("2026-01-03", None), ("0.5", 0.5)],
)  # fmt: skip
def test_a_cell_is_a_number_or_is_not(cell: str, number: float | None) -> None:
    assert number_in(cell) == number


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the fare to Borg?", {("cells", "5")}),
        ("What is the fare to New Aby?", {("cells", "1,250")}),
        ("Fare to Aby and Borg?", {("cells", "12; 5")}),
        ("Which town has the highest fare?", {("max", "1,250")}),
        ("How many towns are there?", {("count", "3")}),
        ("How many towns take more than 40 minutes?", {("count", "2")}),
        ("Which towns have a fare under 100?", {("cells", "Aby; Borg")}),
        ("报刊室有多少个座位？", {("cells", "85")}),
        ("座位一共有多少？", {("sum", "245")}),
        ("自习室的押金是多少？", {("cells", "20")}),
        ("平均押金是多少？", {("mean", "60")}),
    ],
)
def test_a_question_means_what_it_names(question: str, expected: set[tuple[str, str]]) -> None:
    assert values(question) == expected


@pytest.mark.parametrize(
    "question",
    [
        "What is the fare to Oslo?",  # no such row: another row's fare would be a lie
        "What is the colour of Borg?",  # no such column
        "Which town has the highest tower?",
        "Who set the fare to Borg?",
        "When does the harbour office at Borg publish its yearly report about the fare?",
        "Borgholm fare?",  # a longer word that begins like a cell
        "会议室的座位数是多少？",
        "自习室几点关门？",
        "",
        "Tell me everything.",
    ],
)
def test_what_the_tables_do_not_hold_has_no_reading(question: str) -> None:
    assert values(question) == set()


def test_the_title_of_a_document_tells_two_tables_apart() -> None:
    there = tables_of("d2", "dives.md", "| Town | Fare (EUR) |\n| --- | --- |\n| Dunn | 7 |\n")
    found = readings_of("What is the average fare of the dives?", [*tables(), *there])
    assert [r.table.doc_name for r in found] == ["dives.md"]


class Chooser:
    """Chooses by a rule from the lines that it is shown."""

    def __init__(self, wanted: str, *, form: bool = True) -> None:
        self.wanted, self.form, self.asked = wanted, form, 0

    async def chat(self, messages: list[dict[str, str]], **rest: Any) -> dict[str, Any]:
        if not self.form and "response_format" in rest:
            raise InputError("no schemas here")
        self.asked += 1
        lines = [line for line in messages[0]["content"].split("\n") if line[:1].isdigit()]
        # "first": a model that likes a place more than an answer
        line = lines[0] if self.wanted == "first" else next(one for one in lines if self.wanted in one)
        number = line.partition(".")[0]
        said = f'{{"choice": {number}}}' if self.form else f"It is {number}."
        return {"choices": [{"message": {"content": said}}]}


def two() -> list[Reading]:
    table = tables()[0]
    return [Reading(table, "max", 1, tuple(table.rows)), Reading(table, "max", 2, tuple(table.rows))]


def chosen(model: Chooser, readings: list[Reading]) -> Reading | None:
    return asyncio.run(choose(model, "m", "Which is most?", readings))  # type: ignore[arg-type]


def test_a_model_is_asked_only_where_there_is_a_choice() -> None:
    model = Chooser("first")
    assert chosen(model, two()[:1]) == two()[0]
    assert chosen(model, []) is None
    assert model.asked == 0


@pytest.mark.parametrize("form", [True, False])
def test_what_is_chosen_twice_counts(form: bool) -> None:
    model = Chooser("Minutes", form=form)
    assert chosen(model, two()) == two()[1]
    assert model.asked == 2
    assert chosen(Chooser("none of these", form=form), two()) is None


def test_a_model_that_always_takes_the_first_line_chooses_nothing() -> None:
    assert chosen(Chooser("first"), two()) is None
