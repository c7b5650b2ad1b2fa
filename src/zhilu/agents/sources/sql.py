"""``sql:FILE`` and ``sql-write:FILE``: a SQLite database, read-only by default (see ``tools.sqlite``)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zhilu.errors import InputError, NotFoundError
from zhilu.messages import T
from zhilu.tools import Tool, ToolResult, tool_from
from zhilu.tools.sqlite import connect_read_only, limit_seconds, only_reading, only_rows

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["SQL", "SQL_WRITE", "SqlDatabase", "SqlSource"]

_MOST_ROWS = 100
_SECONDS = 10.0


class SqlDatabase:
    """One SQLite file. Every call opens it anew: two calls never share a transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        if not self.path.is_file():
            raise NotFoundError(T(f"There is no database {str(path)!r}.", f"没有数据库 {str(path)!r}。"))
        self.schema()  # a file that is no database is refused before a model hears of it

    def schema(self) -> str:
        """Every table and view with its columns, as ``CREATE`` has them, one a line."""
        with self._open(read_only=True) as connection:
            try:
                names = connection.execute(
                    "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name"
                ).fetchall()
                lines = []
                for name, kind in names:
                    columns = connection.execute("SELECT name, type FROM pragma_table_info(?)", (name,)).fetchall()
                    said = ", ".join(f"{column} {kind_of}".strip() for column, kind_of in columns)
                    lines.append(f"{name}({said})" + (" -- view" if kind == "view" else ""))
            except sqlite3.DatabaseError as error:
                raise InputError(
                    T(
                        f"{self.path.name} is no SQLite database: {error}.",
                        f"{self.path.name} 不是 SQLite 数据库：{error}。",
                    )
                ) from error
        return "\n".join(lines)

    def query(self, sql: str) -> ToolResult:
        """Rows of one SELECT; ``data`` is ``{columns, rows, more}``."""
        return self._run(sql, read_only=True)

    def execute(self, sql: str) -> ToolResult:
        """One statement that changes rows; all of it or nothing."""
        return self._run(sql, read_only=False)

    def _run(self, sql: str, *, read_only: bool) -> ToolResult:
        with self._open(read_only=read_only) as connection:
            connection.set_authorizer(only_reading if read_only else only_rows)
            limit_seconds(connection, _SECONDS)
            try:
                with connection:  # commits, or takes everything back
                    cursor = connection.execute(sql.strip().rstrip(";"))
                    rows = cursor.fetchmany(_MOST_ROWS + 1)
                    changed = cursor.rowcount
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise self._refused(error, sql, read_only) from error
        if cursor.description is None:
            return ToolResult(f"done, {max(changed, 0)} rows changed", data={"changed": max(changed, 0)})
        columns = [entry[0] for entry in cursor.description]
        more = len(rows) > _MOST_ROWS
        shown = [[_plain(value) for value in row] for row in rows[:_MOST_ROWS]]
        text = "\n".join(
            [" | ".join(columns), *(" | ".join("NULL" if v is None else str(v) for v in row) for row in shown)]
        )
        if not shown:
            text += "\n(no rows)"
        if more:
            text += f"\n(only the first {_MOST_ROWS} rows)"
        return ToolResult(text, data={"columns": columns, "rows": shown, "more": more})

    def _open(self, *, read_only: bool) -> closing[sqlite3.Connection]:
        if read_only:
            return closing(connect_read_only(self.path))
        return closing(sqlite3.connect(f"{self.path.as_uri()}?mode=rw", uri=True, timeout=5))

    def _refused(self, error: Exception, sql: str, read_only: bool) -> InputError:
        reason = str(error)
        if "not authorized" in reason or "prohibited" in reason:
            reason = "only reading is allowed here" if read_only else "this is not allowed here"
        elif reason == "interrupted":
            reason = f"it takes longer than {_SECONDS:g} s"
        return InputError(
            T(
                f"The statement failed: {reason}. The tables are: {self.schema()}",
                f"语句执行失败：{reason}。数据表：{self.schema()}",
            ),
            param="sql",
        )


def _plain(value: Any) -> Any:
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value


class SqlSource:
    """A database as a ``sql_query`` tool whose description holds the tables; ``writes`` adds ``sql_execute``."""

    is_local = True

    def about(self, context: Context, argument: str) -> str:
        return SqlDatabase(Path(argument)).schema().replace("\n", "; ")

    def __init__(self, title: T, usage: str, example: str, *, writes: bool) -> None:
        self.title, self.usage, self.example, self._writes = title, usage, example, writes

    @asynccontextmanager
    async def open(self, context: Context, argument: str) -> AsyncIterator[list[Tool]]:
        database = SqlDatabase(Path(argument))
        tables = database.schema()

        def sql_query(sql: str) -> ToolResult:
            return database.query(sql)

        def sql_execute(sql: str) -> ToolResult:
            return database.execute(sql)

        what = f"the SQLite database {database.path.name}. Tables: {tables}"
        words = "\n\nArgs:\n    sql: one SQLite statement."
        sql_query.__doc__ = f"Read {what}. One SELECT statement.{words}"
        sql_execute.__doc__ = f"Change rows of {what}. One INSERT, UPDATE or DELETE statement.{words}"
        tools: list[Tool] = [tool_from(sql_query, title=T("Query the database", "查询数据库"))]
        if self._writes:
            tools.append(tool_from(sql_execute, effect="write", title=T("Change the database", "修改数据库")))
        yield tools


SQL = SqlSource(T("A SQLite database, only read", "SQLite 数据库（只读）"), "sql:FILE", "sql:./shop.db", writes=False)
SQL_WRITE = SqlSource(
    T("A SQLite database, changed after approval", "SQLite 数据库（修改前征求同意）"),
    "sql-write:FILE",
    "sql-write:./shop.db",
    writes=True,
)
