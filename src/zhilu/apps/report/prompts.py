"""What the model is told: to write one query, to mend it, and to tell what the result says."""

from __future__ import annotations

from collections.abc import Sequence

from zhilu.apps.report.data.schema import DatabaseColumn, DatabaseSchema
from zhilu.apps.report.sql import QueryResult

__all__ = ["described", "mend_messages", "narrative_messages", "query_messages", "table_text"]

Messages = list[dict[str, str]]

_WRITE = (
    "You write one SQLite query that answers the question. Use only the tables and columns below, with the values as they are "
    "written there. Select the names people know rather than ids, and the figure that is asked for. Join tables on the columns "
    "that hold the same kind of key. Answer with the query in one ```sql block and nothing else."
)
_TELL = {
    "en": "You tell what a table of results says, in one to three short sentences, in English. Use the numbers exactly as they "
    "stand in the table. Work out no new numbers, name no cause, and say nothing that the table does not hold.",
    "zh": "你用中文说明查询结果，写一到三句短句。数字必须与表中完全一致，不要计算新的数字，不要猜测原因，也不要写表里没有的内容。",
}
MAX_TOLD = 20  # rows of a result that the model is shown


def described(schema: DatabaseSchema) -> str:
    """The tables as CREATE TABLE with what stands in each column behind it: the form that code models know best."""
    return "\n\n".join(
        f"CREATE TABLE {t.name} ( -- {t.num_rows} rows\n" + ",\n".join(f"  {_column(c)}" for c in t.columns) + "\n);"
        for t in schema.tables
    )


def _column(column: DatabaseColumn) -> str:
    kinds = {"number": "NUMERIC", "text": "TEXT", "date": "DATE"}
    if column.kind == "date" and column.values:
        note = f" /* {' to '.join(column.values)} */"
    elif column.values:
        shown = ", ".join(repr(v) for v in (column.values[:12] if column.is_closed else column.values[:3]))
        note = f" /* {shown}{'' if column.is_closed and len(column.values) <= 12 else ', ...'} */"
    else:
        note = ""
    return f"{column.name} {kinds[column.kind]}{note}"


def query_messages(question: str, schema: DatabaseSchema) -> Messages:
    return [
        {"role": "system", "content": _WRITE},
        {"role": "user", "content": f"{described(schema)}\n\nQuestion: {question}"},
    ]


def mend_messages(question: str, schema: DatabaseSchema, sql: str, problem: str) -> Messages:
    """The same question, with what was wrong about the last query."""
    return [
        *query_messages(question, schema),
        {"role": "assistant", "content": f"```sql\n{sql}\n```"},
        {"role": "user", "content": f"{problem}\nWrite the query again, mended. Answer with the query only."},
    ]


def narrative_messages(question: str, result: QueryResult, lang: str) -> Messages:
    more = f"\n({len(result.rows)} rows in all)" if len(result.rows) > MAX_TOLD else ""
    asked = {"en": "Question", "zh": "问题"}[lang]
    return [
        {"role": "system", "content": _TELL[lang]},
        {
            "role": "user",
            "content": f"{asked}: {question}\n\n{table_text(result.columns, result.rows[:MAX_TOLD])}{more}",
        },
    ]


def table_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *[["" if v is None else v for v in row] for row in rows]]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
