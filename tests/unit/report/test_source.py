"""Tables as people have them: read in with what was changed said."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from zhilu.apps.report.data.columns import typed
from zhilu.apps.report.data.source import Sources
from zhilu.context import Context, open_context
from zhilu.errors import ConflictError, InputError, NotFoundError


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    context: Context = open_context({"home": str(tmp_path / "home")})
    context.home.ensure()
    return Sources(context)


def test_columns_get_their_kinds() -> None:
    rows = [
        ["日期", "amount", "share", "code", "note"],
        ["2025/1/3", "1,200.50", "12%", "007", "a"],
        ["2025年2月14日", "¥300", "7 %", "008", ""],
        ["", "-5", "", "009", "c"],
    ]
    table = typed(rows, "x.csv")
    assert table.kinds == ["DATE", "NUMERIC", "NUMERIC", "TEXT", "TEXT"]
    assert table.rows[0] == ["2025-01-03", 1200.5, 12, "007", "a"]
    assert table.rows[1] == ["2025-02-14", 300, 7, "008", None]
    assert table.rows[2] == [None, -5, None, "009", "c"]
    assert table.notes == []


def test_what_fits_no_number_is_said() -> None:
    rows = [["n"], *[[str(i)] for i in range(9)], ["unknown"]]
    (note,) = typed(rows, "x.csv").notes
    assert "unknown" in note.en and "unknown" in note.zh
    (stays,) = typed([["n"], ["1"], ["?"]], "x.csv").notes
    assert "cannot be summed" in stays.en


def test_the_head_is_found_under_a_title_and_names_are_made_unique() -> None:
    table = typed([["Sales of the year", "", ""], ["a", "A", ""], ["1", "2", "3"]], "x.csv")
    assert table.names == ["a", "A_2", "column_3"]
    assert table.rows == [[1, 2, 3]]


def test_a_table_becomes_a_source(sources: Sources, tmp_path: Path) -> None:
    file = tmp_path / "销售.csv"
    file.write_bytes("地区;金额\n华东;3\n华北;4\n".encode("gb18030"))
    source = sources.add_file(file, file.name)
    (table,) = sources.schema(source).tables
    assert (table.name, [c.name for c in table.columns], table.num_rows) == ("销售", ["地区", "金额"], 2)
    assert sources.get("销售").id == source.id
    with pytest.raises(ConflictError):
        sources.add_file(file, file.name)
    sources.remove("销售")
    assert sources.every() == []
    with pytest.raises(NotFoundError):
        sources.get("销售")


def test_a_database_is_copied_and_the_original_left_alone(sources: Sources, tmp_path: Path) -> None:
    path = tmp_path / "their.db"
    with closing(sqlite3.connect(path)) as theirs, theirs:
        theirs.execute("CREATE TABLE t (a INTEGER)")
        theirs.execute("INSERT INTO t VALUES (1)")
    before = path.read_bytes()
    source = sources.add_file(path, path.name)
    assert [t.name for t in sources.schema(source).tables] == ["t"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"only a head\n"),
        ("a.csv", b""),
        ("a.exe", b"MZ"),
        ("a.db", b"no database at all"),
        ("a.db", b"SQLite format 3\x00" + b"\xff" * 500),
        ("a.xlsx", b"PK\x03\x04 broken"),
        ("a.csv", bytes(range(256)) * 4),
    ],
)
def test_what_is_no_table_is_refused_and_leaves_nothing(
    sources: Sources, tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError):
        sources.add_file(path, name)
    assert sources.every() == []
    assert not list(sources.folder.glob("*"))


@pytest.mark.parametrize("name", ["../../evil.csv", "a/b.csv", "..\\x.csv"])
def test_a_name_leads_nowhere(sources: Sources, tmp_path: Path, name: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    source = sources.add_file(path, name)
    assert sources.database(source).parent.parent == sources.folder
