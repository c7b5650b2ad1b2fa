"""Only a query that reads may run, and what it names exists."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import pytest

from zhilu.apps.report.data.samples import SAMPLES, make_sample
from zhilu.apps.report.data.schema import DatabaseSchema, open_read_only, read_schema
from zhilu.apps.report.sql import WrongSql, check_sql, run_sql


@pytest.fixture
def power(tmp_path: Path) -> tuple[Path, DatabaseSchema]:
    path = tmp_path / "power.db"
    make_sample("power", path)
    return path, read_schema(path)


HOSTILE = (
    "DELETE FROM sites",
    "UPDATE sites SET region = 'x'",
    "INSERT INTO sites VALUES ('a', 'b', 1, 'c')",
    "DROP TABLE sites",
    "CREATE TABLE t (a)",
    "ALTER TABLE sites ADD COLUMN x",
    "ATTACH DATABASE '/tmp/x.db' AS x",
    "PRAGMA writable_schema = 1",
    "VACUUM INTO '/tmp/out.db'",
    "SELECT * FROM sites; DROP TABLE sites",
    "SELECT load_extension('evil')",
    "SELECT writefile('/tmp/zhilu-evil', 'x')",
    "SELECT readfile('/etc/passwd')",
    "WITH a AS (SELECT 1) DELETE FROM sites",
    "REPLACE INTO sites VALUES ('a', 'b', 1, 'c')",
    "BEGIN; DELETE FROM sites; COMMIT",
    "EXPLAIN DELETE FROM sites",
    "SELECT * FROM pragma_table_info('sites')",
    "/* SELECT */ DROP TABLE sites -- SELECT",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "SELECT randomblob(1000000000)",
    "",
)


@pytest.mark.parametrize("sql", HOSTILE)
def test_what_is_no_plain_query_is_refused_and_changes_nothing(power: tuple[Path, DatabaseSchema], sql: str) -> None:
    path, schema = power
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WrongSql):
        run_sql(path, check_sql(sql, schema).sql)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert not Path("/tmp/zhilu-evil").exists()


@pytest.mark.parametrize("sql", [sql for sql in HOSTILE if sql])
def test_the_database_itself_refuses_too(power: tuple[Path, DatabaseSchema], sql: str) -> None:
    """The second layer, without the first: the same texts straight at SQLite."""
    path, _ = power
    before = path.read_bytes()
    with pytest.raises((WrongSql, sqlite3.Warning, sqlite3.ProgrammingError)):
        run_sql(path, sql)
    assert path.read_bytes() == before


def test_an_open_database_cannot_be_written(power: tuple[Path, DatabaseSchema]) -> None:
    with open_read_only(power[0]) as database, pytest.raises(sqlite3.OperationalError, match=r"readonly|read-only"):
        database.execute("DELETE FROM sites")


@pytest.mark.parametrize(
    ("sql", "code", "word"),
    [
        ("SELECT region FROM site", "no_table", "sites"),
        ("SELECT regio FROM sites", "no_column", "region"),
        ("SELECT r.region FROM readings r", "no_column", "sites"),
        ("SELECT region FROM readings", "no_column", "sites"),
        ("SELECT site FROM sites WHERE region = 'North'", "no_value", "'north'"),
        ("SELECT site FROM sites WHERE region IN ('north', 'eastt')", "no_value", "'eastt'"),
        ("SELECT site FROM sites WHERE", "syntax", ""),
    ],
)
def test_a_wrong_name_or_value_is_said_with_the_right_one(
    power: tuple[Path, DatabaseSchema], sql: str, code: str, word: str
) -> None:
    with pytest.raises(WrongSql) as raised:
        check_sql(sql, power[1])
    assert raised.value.code == code
    assert word in raised.value.message.en
    assert word in raised.value.message.zh


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT site FROM sites WHERE region = 'north'",
        "SELECT s.region, sum(r.kwh) AS total FROM readings r JOIN sites s USING (site) GROUP BY 1 ORDER BY total DESC",
        "WITH a AS (SELECT site, sum(kwh) k FROM readings GROUP BY 1) SELECT site, k FROM a WHERE k > (SELECT avg(k) FROM a)",
        "SELECT site FROM sites WHERE site NOT IN (SELECT site FROM readings WHERE outage_minutes > 60)",
        "SELECT s.site FROM sites s WHERE EXISTS (SELECT 1 FROM readings r WHERE r.site = s.site AND r.kwh > 1000)",
        "SELECT month, kwh FROM readings WHERE site = 'Depot' UNION SELECT month, kwh FROM readings WHERE site = 'Quarry'",
        "SELECT substr(month, 6) AS m, avg(kwh) FROM readings GROUP BY m HAVING avg(kwh) > 0",
    ],
)
def test_what_people_ask_runs(power: tuple[Path, DatabaseSchema], sql: str) -> None:
    assert run_sql(power[0], check_sql(sql, power[1]).sql).rows


def test_it_is_told_what_a_query_does(power: tuple[Path, DatabaseSchema]) -> None:
    sql = "SELECT region, sum(kwh) AS total FROM readings JOIN sites USING (site) GROUP BY region ORDER BY total DESC LIMIT 2"
    said = check_sql(sql, power[1]).said
    assert said.en == (
        "From readings, sites; one row for each region; with sum; ordered by total, largest first; the first 2 only."
    )
    assert said.zh == "从 readings、sites 中，每个 region 一行，计算求和，按 total 从大到小排列，只取前 2 行。"


def test_a_long_result_is_cut_and_says_so(power: tuple[Path, DatabaseSchema]) -> None:
    result = run_sql(power[0], "SELECT a.site FROM readings a, readings b")
    assert (len(result.rows), result.is_cut) == (1000, True)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_the_same_everywhere(name: str, tmp_path: Path) -> None:
    totals = {"shop": 293, "school": 360, "power": 72}
    make_sample(name, tmp_path / "a.db")
    tables = read_schema(tmp_path / "a.db").tables
    assert max(t.num_rows for t in tables) == totals[name]
