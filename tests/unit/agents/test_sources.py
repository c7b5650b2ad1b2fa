"""The kinds of tools that come with the product: what they do, and what they cannot be made to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.agents.sources.calculator import calculate
from zhilu.agents.sources.files import Folder
from zhilu.agents.sources.sql import SqlDatabase
from zhilu.context import open_context
from zhilu.errors import InputError, NotFoundError, ZhiluError
from zhilu.tools import open_tools
from zhilu.tools.testing import check_tool


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("(3 + 4) * 2.5", "17.5"), ("0.1 + 0.2", "0.3"), ("2 ** 10", "1024"), ("2^10", "1024"), ("17 % 5", "2"),
        ("15% * 18400", "2760"), ("40 * (1 + 19%)", "47.6"),
        ("10 / 3", "3.33333333333"), ("round(10 / 3, 2)", "3.33"), ("sqrt(2) * sqrt(2)", "2"), ("３×４".translate({0xff13: "3", 0xff14: "4"}), "12"),
        ("（1＋2）÷4", "0.75"), ("max(3, 9, 4)", "9"), ("12345678901234567890 * 10", "123456789012345678900"), ("1200 * 0.85 =", "1020"),
    ],
)  # fmt: skip
def test_the_calculator_is_right(expression: str, value: str) -> None:
    assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["9**9**9", "__import__('os')", "(1).__class__", "'a' * 9", "1 / 0", "", "x + 1", "[1 for _ in (1,)]", "(" * 300, "10 ** 999 ** 2",
     "1e999 - 1e999 + sqrt(-1)"],
)  # fmt: skip
def test_the_calculator_refuses_what_is_no_arithmetic(expression: str) -> None:
    with pytest.raises(InputError):
        calculate(expression)


@given(st.text(alphabet="0123456789+-*/%().^ esqrtpi,×÷", max_size=30))
def test_no_expression_breaks_the_calculator(expression: str) -> None:
    with contextlib.suppress(InputError):
        assert calculate(expression)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    root = tmp_path / "root"
    (root / "notes").mkdir(parents=True)
    (root / "notes" / "a.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "secret.txt").write_text("secret")
    os.symlink(tmp_path / "secret.txt", root / "link.txt")
    os.symlink(tmp_path, root / "up")
    return Folder(root)


def test_files_are_read_searched_and_written(folder: Folder) -> None:
    assert folder.list_files() == [{"path": "notes/a.txt", "bytes": 14}]
    assert folder.read_file("notes/a.txt", 2, 1) == "two\n[1 more lines: read on with start_line=3]"
    assert folder.search_files("TWO") == "notes/a.txt:2: two"
    assert folder.search_files("two or more") == "No line has 'two or more'. Closest to it:\nnotes/a.txt:2: two"
    with pytest.raises(NotFoundError, match=r"No line has 'nine'.*notes/a.txt"):
        folder.search_files("nine")
    with pytest.raises(NotFoundError, match="No file is called 'two'"):
        folder.search_files("two", "two")
    folder.write_file("new/b.txt", "hello")
    folder.append_to_file("new/b.txt", "world")
    assert (folder.root / "new/b.txt").read_text() == "hello\nworld\n"
    folder.replace_in_file("new/b.txt", "world", "there")
    assert (folder.root / "new/b.txt").read_text() == "hello\nthere\n"
    with pytest.raises(NotFoundError, match=r"notes/a\.txt"):
        folder.read_file("notes/a.tx")


ESCAPES = [
    "../secret.txt",
    "/etc/passwd",
    "link.txt",
    "up/secret.txt",
    "notes/../../secret.txt",
    ".",
    "",
    "x\x00y",
    "./../secret.txt",
    "up",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_no_path_leads_out_of_the_folder(folder: Folder, path: str) -> None:
    for attempt in (
        lambda: folder.read_file(path),
        lambda: folder.write_file(path, "x"),
        lambda: folder.append_to_file(path, "x"),
    ):
        with pytest.raises(ZhiluError):
            attempt()
    assert (folder.root.parent / "secret.txt").read_text() == "secret"


def test_no_pattern_leads_out_of_the_folder(folder: Folder) -> None:
    for pattern in ("../*", "/etc/*"):
        with pytest.raises(ZhiluError):
            folder.list_files(pattern)
    for pattern in ("up/*", "**/*", "*"):
        assert all(
            "secret" not in entry["path"] and "link" not in entry["path"] for entry in folder.list_files(pattern)
        )
    with pytest.raises(NotFoundError, match=r"The files: notes/a\.txt\.$"):
        folder.search_files("secret")


@pytest.fixture
def database(tmp_path: Path) -> SqlDatabase:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, city TEXT, total REAL)")
        connection.executemany(
            "INSERT INTO orders (city, total) VALUES (?, ?)", [("Ulm", 10.5), ("Köln", 3), ("Ulm", 4)]
        )
    connection.close()
    return SqlDatabase(path)


def test_a_database_is_asked(database: SqlDatabase) -> None:
    assert database.schema() == "orders(id INTEGER, city TEXT, total REAL)"
    result = database.query("SELECT city, sum(total) AS s FROM orders GROUP BY city ORDER BY s DESC;")
    assert result.data == {"columns": ["city", "s"], "rows": [["Ulm", 14.5], ["Köln", 3.0]], "more": False}
    with pytest.raises(InputError, match="orders"):
        database.query("SELECT * FROM order_items")


HOSTILE = [
    "DELETE FROM orders", "DROP TABLE orders", "UPDATE orders SET total = 0", "INSERT INTO orders (city) VALUES ('x')",
    "SELECT 1; DELETE FROM orders", "WITH x AS (SELECT 1) DELETE FROM orders", "ATTACH 'other.db' AS o", "PRAGMA writable_schema=ON",
    "VACUUM INTO 'copy.db'", "CREATE TABLE t (x)", "SELECT load_extension('x')", "PRAGMA query_only=OFF", "REPLACE INTO orders VALUES (1,'a',2)",
    "BEGIN; DELETE FROM orders; COMMIT", "ALTER TABLE orders ADD y", "EXPLAIN DELETE FROM orders",
]  # fmt: skip


@pytest.mark.parametrize("sql", HOSTILE)
def test_a_database_that_is_read_stays_as_it_is(database: SqlDatabase, sql: str) -> None:
    before = database.path.read_bytes()
    with pytest.raises(InputError):
        database.query(sql)
    assert database.path.read_bytes() == before and not (database.path.parent / "copy.db").exists()


def test_a_write_is_whole_and_reaches_nothing_else(database: SqlDatabase) -> None:
    assert database.execute("UPDATE orders SET total = 1 WHERE city = 'Ulm'").data == {"changed": 2}
    for sql in ("ATTACH 'other.db' AS o", "PRAGMA writable_schema=ON", "VACUUM INTO 'copy.db'"):
        with pytest.raises(InputError):
            database.execute(sql)
    assert not list(database.path.parent.glob("[co]*.db"))


def test_an_endless_query_is_given_up(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zhilu.agents.sources.sql._SECONDS", 0.2)
    with pytest.raises(InputError, match="longer"):
        database.query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n")


GOOD: dict[str, dict[str, Any]] = {
    "calculator": {"expression": "1+1"}, "list_files": {}, "read_file": {"path": "notes/a.txt"}, "search_files": {"text": "one"},
    "write_file": {"path": "w.txt", "content": "x"}, "append_to_file": {"path": "w.txt", "content": "y"},
    "replace_in_file": {"path": "notes/a.txt", "old": "two", "new": "2"}, "sql_query": {"sql": "SELECT 1"},
    "sql_execute": {"sql": "DELETE FROM orders WHERE id = 1"},
}  # fmt: skip


def test_every_tool_keeps_the_rules(folder: Folder, database: SqlDatabase) -> None:
    async def check() -> set[str]:
        names = ["calculator", f"files:{folder.root}", f"sql-write:{database.path}"]
        async with open_tools(open_context(), names) as tools:
            for tool in tools:
                await check_tool(tool, GOOD[tool.facts.name])
            return {tool.facts.name for tool in tools if tool.facts.effect == "read"}

    reading = asyncio.run(check())
    assert reading == {"calculator", "list_files", "read_file", "search_files", "sql_query"}
