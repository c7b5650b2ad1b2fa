"""SQL that a model wrote: read, checked against the database, explained, and run so that it can only read.

Three layers, each enough by itself against writing: the text must parse as one query; the file is opened read-only; SQLite's
authorizer refuses everything but reading. What is left is wrong answers, and two kinds of them are caught here because they are
silent: a name that does not exist, and a value that no row has (``region = 'East'`` where the column says ``east``).
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlglot
from pydantic import BaseModel
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.scope import traverse_scope

from zhilu.apps.report.data.schema import DatabaseColumn, DatabaseSchema, open_read_only
from zhilu.errors import InputError, nearest
from zhilu.messages import T
from zhilu.tools.sqlite import limit_seconds, only_reading

__all__ = ["Checked", "QueryResult", "WrongSql", "check_sql", "run_sql"]

MAX_ROWS = 1000
SECONDS = 5.0


class WrongSql(InputError):
    """The query is not one that may run, or names what is not there; the message helps whoever wrote it to mend it."""

    kind = "wrong_sql"


class QueryResult(BaseModel):
    """``is_cut``: there were more than ``MAX_ROWS`` rows."""

    columns: list[str]
    rows: list[list[Any]]
    is_cut: bool = False


@dataclass(frozen=True)
class Checked:
    """A query that may run. ``said`` tells in words what it does, from the query and not from the model."""

    sql: str
    tables: tuple[str, ...]
    said: T


def check_sql(text: str, schema: DatabaseSchema) -> Checked:
    """Check one query of a model.

    Raises:
        WrongSql: it is not a single query, or a table, column or value does not exist.
    """
    try:
        statements = [s for s in sqlglot.parse(text.strip().rstrip(";"), read="sqlite") if s is not None]
    except (SqlglotError, RecursionError) as error:
        line = str(error).splitlines()[0][:200]
        raise WrongSql(T(f"This SQL cannot be read: {line}", f"无法解析这条 SQL：{line}"), code="syntax") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise WrongSql(
            T(f"Only one query (SELECT) may run: {text[:200]!r}", f"只能运行一条查询（SELECT）：{text[:200]!r}"),
            code="not_a_query",
        )
    query = statements[0]
    _check_tables(query, schema)
    _check_columns(query, schema)
    _check_values(query, schema)
    names = dict.fromkeys(t.name for t in query.find_all(exp.Table) if schema.table(t.name))
    return Checked(query.sql(dialect="sqlite", pretty=True), tuple(names), _explain(query, tuple(names)))


def run_sql(path: Path, sql: str) -> QueryResult:
    """Run a query and read at most ``MAX_ROWS`` rows in at most ``SECONDS``.

    Raises:
        WrongSql: SQLite refuses it, or it takes too long.
    """
    with open_read_only(path) as database:
        limit_seconds(database, SECONDS)
        database.set_authorizer(only_reading)
        try:
            cursor = database.execute(sql)
            rows = cursor.fetchmany(MAX_ROWS + 1)
            columns = [str(d[0]) for d in cursor.description or ()]
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise WrongSql(
                    T(f"The query took more than {SECONDS:.0f} s.", f"查询超过了 {SECONDS:.0f} 秒。"), code="too_slow"
                ) from error
            raise WrongSql(T(f"SQLite refuses it: {error}", f"SQLite 拒绝执行：{error}"), code="refused") from error
        except sqlite3.Error as error:
            raise WrongSql(T(f"SQLite refuses it: {error}", f"SQLite 拒绝执行：{error}"), code="refused") from error
        finally:
            database.set_authorizer(None)
    kept = [[_plain(value) for value in row] for row in rows[:MAX_ROWS]]
    return QueryResult(columns=columns, rows=kept, is_cut=len(rows) > MAX_ROWS)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return round(value, 6) if isinstance(value, float) else value


def _check_tables(query: exp.Expr, schema: DatabaseSchema) -> None:
    made_here = {c.alias_or_name.lower() for c in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if table.name.lower() in made_here or schema.table(table.name):
            continue
        known = [t.name for t in schema.tables]
        near = nearest(table.name, known)
        raise WrongSql(
            T(
                f"There is no table {table.name!r}; the tables are {', '.join(known)}."
                + (f" Did you mean {near!r}?" if near else ""),
                f"没有表 {table.name!r}；现有的表：{'、'.join(known)}。" + (f"是不是 {near!r}？" if near else ""),
            ),
            code="no_table",
        )


def _check_columns(query: exp.Expr, schema: DatabaseSchema) -> None:
    """Every column stands in one of the tables of its scope, or is a name that the query itself gives."""
    given = {a.alias.lower() for a in query.find_all(exp.Alias)} | {
        c.name.lower() for alias in query.find_all(exp.TableAlias) for c in alias.columns
    }
    used = [t for name in {n.name for n in query.find_all(exp.Table)} if (t := schema.table(name))]
    for scope in traverse_scope(query):
        tables = {n: schema.table(s.name) for n, s in scope.sources.items() if isinstance(s, exp.Table)}
        derived = any(not isinstance(source, exp.Table) for source in scope.sources.values())
        for column in scope.columns:
            name, where = column.name, column.table
            if where and where in tables:
                table = tables[where]
                if table is None or table.column(name):
                    continue
                others = [t.name for t in schema.tables if t.column(name)]
                near = nearest(name, [c.name for c in table.columns])
                hint_en = (
                    f" {name!r} stands in {', '.join(others)}." if others else f" Nearest: {near!r}." if near else ""
                )
                hint_zh = (
                    f"{name!r} 在表 {'、'.join(others)} 中。" if others else f"最接近的是 {near!r}。" if near else ""
                )
                raise WrongSql(
                    T(
                        f"DatabaseTable {table.name!r} has no column {name!r}; it has "
                        f"{', '.join(c.name for c in table.columns)}.{hint_en}",
                        f"表 {table.name!r} 没有列 {name!r}；它有 {'、'.join(c.name for c in table.columns)}。{hint_zh}",
                    ),
                    code="no_column",
                )
            # One without its table may belong to an outer query: SQLite, which knows, says so when it runs.
            if where or name.lower() in given or derived or any(t.column(name) for t in used):
                continue
            _no_column(name, used, schema)


def _no_column(name: str, tables: list[Any], schema: DatabaseSchema) -> None:
    others = [t.name for t in schema.tables if t.column(name)]
    here = [c.name for t in tables for c in t.columns]
    near = nearest(name, here)
    where = ", ".join(t.name for t in tables)
    hint_en = f" It stands in {', '.join(others)}: join it." if others else f" Nearest: {near!r}." if near else ""
    hint_zh = f"它在表 {'、'.join(others)} 中，需要连接。" if others else f"最接近的是 {near!r}。" if near else ""
    raise WrongSql(
        T(f"No column {name!r} in {where}.{hint_en}", f"{where} 中没有列 {name!r}。{hint_zh}"), code="no_column"
    )


def _check_values(query: exp.Expr, schema: DatabaseSchema) -> None:
    """A text compared with a column whose values are all known must be one of them."""
    for comparison in query.find_all(exp.EQ, exp.NEQ, exp.In):
        column, literals = _compared(comparison)
        if column is None:
            continue
        known = _known_values(column, query, schema)
        if known is None:
            continue
        for literal in literals:
            if literal in known.values:
                continue
            near = next((v for v in known.values if v.lower() == literal.lower()), None) or nearest(
                literal, known.values
            )
            shown = ", ".join(repr(v) for v in known.values[:12])
            raise WrongSql(
                T(
                    f"No row has {known.name} = {literal!r}; the values are {shown}."
                    + (f" Did you mean {near!r}?" if near else ""),
                    f"没有一行的 {known.name} 是 {literal!r}；它的值有 {shown}。"
                    + (f"是不是 {near!r}？" if near else ""),
                ),
                code="no_value",
            )


def _compared(node: exp.Expr) -> tuple[exp.Column | None, list[str]]:
    if isinstance(node, exp.In):
        literals = [e.this for e in node.expressions if isinstance(e, exp.Literal) and e.is_string]
        return (node.this, literals) if isinstance(node.this, exp.Column) else (None, [])
    left, right = node.this, node.expression
    if isinstance(right, exp.Column) and isinstance(left, exp.Literal):
        left, right = right, left
    if isinstance(left, exp.Column) and isinstance(right, exp.Literal) and right.is_string:
        return left, [right.this]
    return None, []


def _known_values(column: exp.Column, query: exp.Expr, schema: DatabaseSchema) -> DatabaseColumn | None:
    aliases = {t.alias_or_name: t.name for t in query.find_all(exp.Table)}
    names = [aliases[column.table]] if column.table in aliases else list(aliases.values())
    found = [c for n in names if (t := schema.table(n)) and (c := t.column(column.name))]
    return found[0] if len(found) == 1 and found[0].kind == "text" and found[0].is_closed else None


_WORDS = {
    exp.Count: T("count", "计数"),
    exp.Sum: T("sum", "求和"),
    exp.Avg: T("average", "平均"),
    exp.Min: T("smallest", "最小值"),
    exp.Max: T("largest", "最大值"),
}


def _explain(query: exp.Expr, tables: tuple[str, ...]) -> T:
    """From which tables, under what condition, by what groups, in what order: read off the query."""
    en, zh = [f"From {', '.join(tables)}"], [f"从 {'、'.join(tables)} 中"]
    where = query.args.get("where")
    if where is not None:
        condition = where.this.sql(dialect="sqlite")
        en.append(f"only rows where {condition}")
        zh.append(f"只看满足 {condition} 的行")
    group = query.args.get("group")
    if group is not None and group.expressions:
        names = [_group_name(e, query) for e in group.expressions]
        en.append(f"one row for each {', '.join(names)}")
        zh.append(f"每个 {'、'.join(names)} 一行")
    made = dict.fromkeys(w for kind, w in _WORDS.items() if query.find(kind))
    if made:
        en.append(f"with {', '.join(w.en for w in made)}")
        zh.append(f"计算{'、'.join(w.zh for w in made)}")
    order, limit = query.args.get("order"), query.args.get("limit")
    if order is not None:
        what = ", ".join(o.this.sql(dialect="sqlite") for o in order.expressions)
        down = any(o.args.get("desc") for o in order.expressions)
        en.append(f"ordered by {what}, {'largest' if down else 'smallest'} first")
        zh.append(f"按 {what} {'从大到小' if down else '从小到大'}排列")
    if limit is not None:
        number = limit.expression.sql(dialect="sqlite")
        en.append(f"the first {number} only")
        zh.append(f"只取前 {number} 行")
    return T("; ".join(en) + ".", "，".join(zh) + "。")


def _group_name(node: exp.Expr, query: exp.Expr) -> str:
    if isinstance(node, exp.Literal) and not node.is_string:
        chosen = query.expressions[int(node.this) - 1]
        return str(chosen.alias_or_name or chosen.sql(dialect="sqlite"))
    return node.sql(dialect="sqlite")
