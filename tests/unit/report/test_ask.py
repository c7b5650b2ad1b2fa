"""From question to section: three queries, one vote, nothing told that was not agreed upon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zhilu.apps.report.acceptance import Case, cases, judge_case
from zhilu.apps.report.ask import ReportSection, answer, same_rows
from zhilu.apps.report.chart import choose_chart
from zhilu.apps.report.data.samples import make_sample
from zhilu.apps.report.data.schema import read_schema
from zhilu.apps.report.sql import QueryResult, check_sql, run_sql


class Writer:
    """Says what it is told, one reply after the other: the model's part, where the rules are what is tested."""

    def __init__(self, *replies: str) -> None:
        self.replies: Iterator[str] = iter(replies)
        self.asked: list[list[dict[str, str]]] = []

    async def chat(self, messages: list[dict[str, str]], **_: Any) -> dict[str, Any]:
        self.asked.append(messages)
        return {"choices": [{"message": {"content": next(self.replies)}, "finish_reason": "stop"}], "usage": {}}


@pytest.fixture
def power(tmp_path: Path) -> Path:
    make_sample("power", tmp_path / "power.db")
    return tmp_path / "power.db"


def ask(path: Path, writer: Writer, question: str = "How many sites are there?") -> ReportSection:
    async def run() -> ReportSection:
        last = None
        async for event in answer(writer, "m", question, path, read_schema(path)):  # type: ignore[arg-type]
            last = event
        assert last is not None and last.name == "done"
        return ReportSection.model_validate(last.data)

    return asyncio.run(run())


SITES = "```sql\nSELECT count(*) AS n FROM sites\n```"
ROWS = "```sql\nSELECT count(*) AS n FROM readings\n```"
REGIONS = "```sql\nSELECT count(DISTINCT region) AS n FROM sites\n```"


def test_two_that_agree_are_enough(power: Path) -> None:
    section = ask(
        power, Writer(SITES, "SELECT count(site) AS sites FROM sites", "There are 6 sites. They cost 7 euros.")
    )
    assert (section.status, section.agreed, section.result.rows if section.result else None) == ("answered", 2, [[6]])
    assert [(s.text, s.is_kept) for s in section.sentences] == [
        ("There are 6 sites.", True),
        ("They cost 7 euros.", False),
    ]


def test_the_third_decides(power: Path) -> None:
    section = ask(power, Writer(ROWS, SITES, SITES, "6"))
    assert (section.status, section.result.rows if section.result else None) == ("answered", [[6]])


def test_three_that_disagree_are_no_answer(power: Path) -> None:
    section = ask(power, Writer(ROWS, SITES, REGIONS))
    assert (section.status, section.sentences) == ("unsure", [])
    assert len(section.attempts) == 3


def test_a_refused_query_is_written_again_with_the_reason(power: Path) -> None:
    writer = Writer("SELECT count(*) FROM site", SITES, SITES, "There are 6 sites.")
    section = ask(power, writer)
    assert section.status == "answered"
    assert "no table 'site'" in writer.asked[1][-1]["content"]


def test_none_that_runs_is_a_failure_with_its_reasons(power: Path) -> None:
    section = ask(power, Writer(*["DROP TABLE sites"] * 6))
    assert (section.status, section.result) == ("failed", None)
    assert all(a.problem for a in section.attempts)


def test_where_nothing_can_be_proven_something_plain_is_said(power: Path) -> None:
    section = ask(power, Writer(SITES, SITES, "About seven or eight thousand."))
    assert section.sentences[0].is_kept
    assert "6" in section.sentences[0].text
    assert not section.sentences[1].is_kept


def test_the_right_queries_of_the_acceptance_run_are_right(tmp_path: Path) -> None:
    """Each passes our own check, has rows, and is judged right against itself."""
    for name in ("shop", "school", "power"):
        make_sample(name, tmp_path / f"{name}.db")
    for case in cases():
        path = tmp_path / f"{case.database}.db"
        for query in case.queries:
            result = run_sql(path, check_sql(query, read_schema(path)).sql)
            assert result.rows, case.question
            section = ReportSection(question=case.question, status="answered", result=result)
            assert judge_case(case, section, path) == "right"


def test_a_wrong_figure_is_judged_wrong_and_silence_as_such(power: Path) -> None:
    case = Case(database="power", question="?", queries=["SELECT region, count(*) FROM sites GROUP BY 1"])
    right = run_sql(power, "SELECT count(*) AS n, region, 'x' AS more FROM sites GROUP BY region")
    wrong = right.model_copy(update={"rows": [[n + 1, *rest] for n, *rest in right.rows]})
    assert judge_case(case, ReportSection(question="?", status="answered", result=right), power) == "right"
    assert judge_case(case, ReportSection(question="?", status="answered", result=wrong), power) == "wrong"
    assert judge_case(case, ReportSection(question="?", status="unsure", result=right), power) == "refused"
    nowhere = Case(database="power", question="?", queries=[])
    assert judge_case(nowhere, ReportSection(question="?", status="answered", result=right), power) == "wrong"
    assert judge_case(nowhere, ReportSection(question="?", status="failed"), power) == "right"


@pytest.mark.parametrize(
    ("rows", "mark"),
    [
        ([["a", 1], ["b", 2]], "bar"),
        ([["2025-01", 1], ["2025-02", 2]], "line"),
        ([[1, 2]], None),
        ([[f"n{i}", i] for i in range(40)], None),
        ([[i, i * i] for i in range(6)], "point"),
        ([["a", "x"], ["b", "y"]], None),
    ],
)
def test_the_chart_follows_from_the_columns(rows: list[list[Any]], mark: str | None) -> None:
    chart = choose_chart(QueryResult(columns=["a", "b"], rows=rows), "t")
    assert (chart.spec["mark"]["type"] if chart.spec else None) == mark
    assert chart.reason.en and chart.reason.zh


def test_same_rows_whatever_their_order_and_names() -> None:
    a = QueryResult(columns=["x", "y"], rows=[[1, "a"], [2.0, "b"]])
    b = QueryResult(columns=["p", "q"], rows=[["b", 2], ["a", 1.0000001]])
    assert same_rows(a, b)
    assert not same_rows(a, QueryResult(columns=["x", "y"], rows=[[1, "a"]]))
