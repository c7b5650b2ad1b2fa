"""How often reports are right: 44 questions about three sample databases, with the right queries beside them (``cases.jsonl``).

An answer is right when its result holds the columns of a right query's result, whatever else it shows and whatever the order
(execution accuracy: Yu et al. 2018, Spider, https://arxiv.org/abs/1809.08887, section 4). Four questions cannot be answered from
the tables; there, not answering is right.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import cache
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel

from zhilu.apps.report.ask import ReportSection, answer
from zhilu.apps.report.data.samples import SAMPLES, make_sample
from zhilu.apps.report.data.schema import DatabaseSchema, read_schema
from zhilu.apps.report.sql import QueryResult, run_sql
from zhilu.client import ModelClient

__all__ = ["Case", "Judged", "cases", "judge_all", "judge_case", "judge_each"]


class Case(BaseModel):
    """``queries``: each of them is right; none: the tables do not hold the answer."""

    database: str
    question: str
    queries: list[str]


class Judged(BaseModel):
    """``outcome``: ``right``, ``refused`` (no answer where there is one), ``wrong``."""

    case: Case
    section: ReportSection
    outcome: str


@cache
def cases() -> tuple[Case, ...]:
    lines = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Case.model_validate(json.loads(line)) for line in lines)


async def judge_all(
    client: ModelClient, model: str, *, help_model: bool = True, each: Callable[[int, Judged], None] | None = None
) -> list[Judged]:
    """Ask every case; ``each`` is called after each with its number."""
    judged: list[Judged] = []
    async for one in judge_each(client, model, help_model=help_model):
        judged.append(one)
        if each is not None:
            each(len(judged) - 1, one)
    return judged


async def judge_each(client: ModelClient, model: str, *, help_model: bool = True) -> AsyncIterator[Judged]:
    """Ask every case, over databases made for this run."""
    with TemporaryDirectory() as folder:
        opened: dict[str, tuple[Path, DatabaseSchema]] = {}
        for name in SAMPLES:
            path = Path(folder, f"{name}.db")
            make_sample(name, path)
            opened[name] = (path, read_schema(path))
        for case in cases():
            path, schema = opened[case.database]
            section = await _asked(client, model, case.question, path, schema, help_model)
            yield Judged(case=case, section=section, outcome=judge_case(case, section, path))


async def _asked(
    client: ModelClient, model: str, question: str, path: Path, schema: DatabaseSchema, help_model: bool
) -> ReportSection:
    section = ReportSection(question=question, status="failed")
    async for event in answer(client, model, question, path, schema, help_model=help_model):
        if event.name == "done":
            section = ReportSection.model_validate(event.data)
    return section


def judge_case(case: Case, section: ReportSection, path: Path) -> str:
    if not case.queries:
        return "wrong" if section.status == "answered" else "right"
    if section.status != "answered" or section.result is None:
        return "refused"
    right = any(_holds(section.result, run_sql(path, query)) for query in case.queries)
    return "right" if right else "wrong"


def _holds(found: QueryResult, right: QueryResult) -> bool:
    """Whether some columns of ``found`` are those of ``right``, row for row."""
    if len(found.rows) != len(right.rows):
        return False
    wanted = Counter(tuple(_cell(c) for c in row) for row in right.rows)
    return any(
        Counter(tuple(_cell(row[i]) for i in chosen) for row in found.rows) == wanted
        for chosen in permutations(range(len(found.columns)), len(right.columns))
    )


def _cell(value: object) -> str:
    return f"{float(value):.2f}" if isinstance(value, (int, float)) else str(value)
