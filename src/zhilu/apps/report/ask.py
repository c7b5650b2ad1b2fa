"""One question about a database: written as SQL, checked, run, drawn and told.

A small model writes a wrong query often enough that one must not be believed. It writes three: one greedy and two sampled. What a
check refuses is written again, once, with the reason. Only a result that two of them agree on is shown as the answer
(self-consistency: Wang et al. 2022, https://arxiv.org/abs/2203.11171, section 2); else the person is told that the queries
disagree, and sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from zhilu.apps.report.chart import ReportChart, choose_chart
from zhilu.apps.report.data.schema import DatabaseSchema
from zhilu.apps.report.narrative import ToldSentence, judge, plain_sentences
from zhilu.apps.report.prompts import mend_messages, narrative_messages, query_messages
from zhilu.apps.report.sql import QueryResult, WrongSql, check_sql, run_sql
from zhilu.client import ModelClient
from zhilu.events import Event
from zhilu.jobs.base import Text
from zhilu.messages import T

__all__ = ["QueryAttempt", "ReportSection", "answer", "lang_of", "same_rows", "write_query"]

_FENCE = "```"
_SEEDS = (0, 1, 2)  # 0 is greedy
MAX_SQL_TOKENS = 300
MAX_TOLD_TOKENS = 160


class QueryAttempt(BaseModel):
    """One query that the model wrote; ``problem``: why it does not count."""

    sql: str
    problem: Text | None = None
    num_rows: int | None = None


class ReportSection(BaseModel):
    """A question and what came of it.

    ``status``: ``answered``; ``unsure``, the queries disagree; ``failed``, none could run. The result and the chart of an unsure
    section are those of the first query, for a person to look at, and nothing is told about it.
    """

    question: str
    status: Literal["answered", "unsure", "failed"]
    sql: str = ""
    said: Text | None = None
    agreed: int = 0
    attempts: list[QueryAttempt] = []
    result: QueryResult | None = None
    chart: ReportChart | None = None
    sentences: list[ToldSentence] = []
    model: str = ""
    tokens: int = 0


def lang_of(question: str) -> str:
    return "zh" if re.search("[\u4e00-\u9fff]", question) else "en"


async def answer(
    client: ModelClient, model: str, question: str, path: Path, schema: DatabaseSchema, *, help_model: bool = True
) -> AsyncIterator[Event]:
    """Events ``query`` (each attempt), ``result`` (the section so far) and ``done`` (the whole section).

    Args:
        help_model: write three queries and mend what the check refuses; else one query, believed as it is (to measure the help).
    """
    section = ReportSection(question=question, status="failed", model=model)
    found: list[tuple[str, T, QueryResult]] = []
    for seed in _SEEDS if help_model else _SEEDS[:1]:
        attempt, made = await write_query(client, model, question, path, schema, section, seed, mend=help_model)
        section.attempts.append(attempt)
        yield Event("query", attempt.model_dump(mode="json"))
        if made is not None:
            found.append(made)
        if _agreed(found) >= 2:
            break
    if found:
        best = max(found, key=lambda made: sum(same_rows(made[2], other[2]) for other in found))
        section.sql, section.said, section.result = best[0], best[1], best[2]
        section.agreed = sum(same_rows(best[2], other[2]) for other in found)
        section.status = "answered" if section.agreed >= 2 or not help_model else "unsure"
        section.chart = choose_chart(best[2], question)
        yield Event("result", section.model_dump(mode="json"))
    if section.status == "answered" and section.result is not None:
        section.sentences = await _told(client, model, question, section)
    yield Event("done", section.model_dump(mode="json"))


async def write_query(
    client: ModelClient,
    model: str,
    question: str,
    path: Path,
    schema: DatabaseSchema,
    section: ReportSection,
    seed: int,
    *,
    mend: bool,
) -> tuple[QueryAttempt, tuple[str, T, QueryResult] | None]:
    """Write one query and run it; one that is refused is written again, once."""
    sql = await _write(client, model, query_messages(question, schema), section, seed)
    for again in (True, False):
        try:
            checked = check_sql(sql, schema)
            result = run_sql(path, checked.sql)
        except WrongSql as error:
            if again and mend:
                sql = await _write(client, model, mend_messages(question, schema, sql, error.message.en), section, seed)
                continue
            return QueryAttempt(sql=sql, problem=error.message), None
        return QueryAttempt(sql=checked.sql, num_rows=len(result.rows)), (checked.sql, checked.said, result)
    raise AssertionError("unreachable")


async def _write(client: ModelClient, model: str, messages: list[Any], section: ReportSection, seed: int) -> str:
    sampling: dict[str, Any] = {"temperature": 0} if seed == 0 else {"temperature": 0.7, "top_p": 0.95, "seed": seed}
    reply = await client.chat(messages, model=model, max_tokens=MAX_SQL_TOKENS, **sampling)
    section.tokens += int((reply.get("usage") or {}).get("completion_tokens", 0))
    text = str(reply["choices"][0]["message"].get("content") or "")
    return _query_in(text)


def _query_in(text: str) -> str:
    """What stands in the first fenced block, without the name of its language; the whole text where there is none."""
    _, fence, rest = text.partition(_FENCE)
    if not fence:
        return text.strip()
    block = rest.partition(_FENCE)[0].strip()
    first, _, below = block.partition("\n")
    return below.strip() if first.strip().lower() in ("sql", "sqlite") else block


async def _told(client: ModelClient, model: str, question: str, section: ReportSection) -> list[ToldSentence]:
    """Sentences of the model that hold, and a plain one where none does."""
    result, lang = section.result, lang_of(question)
    if result is None:
        return []
    told: list[ToldSentence] = []
    if result.rows:
        messages = narrative_messages(question, result, lang)
        reply = await client.chat(messages, model=model, max_tokens=MAX_TOLD_TOKENS, temperature=0)
        section.tokens += int((reply.get("usage") or {}).get("completion_tokens", 0))
        choice = reply["choices"][0]
        told = judge(str(choice["message"].get("content") or ""), result, question)
        if choice.get("finish_reason") == "length" and told:
            told.pop()  # cut in the middle
    if not any(s.is_kept for s in told):
        en, zh = plain_sentences(result)
        told.insert(0, ToldSentence(text=zh if lang == "zh" else en, is_kept=True))
    return told


def _agreed(found: list[tuple[str, T, QueryResult]]) -> int:
    return max((sum(same_rows(a[2], b[2]) for b in found) for a in found), default=0)


def same_rows(a: QueryResult, b: QueryResult) -> bool:
    """The same rows whatever their order and the names of their columns; figures equal to six digits."""
    return _canonical(a) == _canonical(b)


def _canonical(result: QueryResult) -> list[str]:
    return sorted(json.dumps(sorted(_cell(c) for c in row), ensure_ascii=False) for row in result.rows)


def _cell(value: Any) -> str:
    return f"{float(value):.6g}" if isinstance(value, (int, float)) else "" if value is None else str(value)
