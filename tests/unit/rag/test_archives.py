"""ZIP archives: the files in them under their folders, and nothing that an archive could do to this machine."""

from __future__ import annotations

import io
import stat
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from zhilu.cli import cli
from zhilu.context import Context
from zhilu.errors import InputError, TooLargeError
from zhilu.host.app import create_app
from zhilu.rag.library import Library
from zhilu.rag.sources import members
from zhilu.rag.testing import HASH


def packed(files: dict[str, bytes | str]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    out.seek(0)
    return out


def names(stream: io.BytesIO, name: str = "docs.zip") -> list[str]:
    return [member.name for member in members(stream, name)]


def test_files_keep_their_folders() -> None:
    assert names(packed({"a.md": "a", "guide/b.md": "b", "empty/": ""})) == ["docs/a.md", "docs/guide/b.md"]
    assert names(packed({"docs/a.md": "a", "docs/b.md": "b"})) == ["docs/a.md", "docs/b.md"]


def test_what_a_file_manager_left_is_passed_over() -> None:
    assert names(packed({"a.md": "a", "__MACOSX/._a.md": "x", ".DS_Store": "x", "b/Thumbs.db": "x"})) == ["docs/a.md"]


def test_names_of_chinese_windows_are_read() -> None:
    raw = packed({"AAAA.txt": "x"}).getvalue().replace(b"AAAA.txt", "手册".encode("gb18030") + b".txt")
    assert names(io.BytesIO(raw)) == ["docs/手册.txt"]


def test_a_word_file_is_one_document() -> None:
    assert names(packed({"word/document.xml": "<x/>"}), "a.docx") == ["a.docx"]


def test_bombs_and_archives_without_files_are_refused() -> None:
    with pytest.raises(TooLargeError):
        list(members(packed({"a.txt": bytes(64 << 20)}), "bomb.zip"))
    with pytest.raises(InputError, match="no file"):
        list(members(packed({"empty/": ""}), "a.zip"))


def test_a_link_is_refused_by_name() -> None:
    entry = zipfile.ZipInfo("passwords")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = packed({"a.md": "a"})
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(entry, "/etc/passwd")
    found = list(members(out, "a.zip"))
    assert [(m.name, m.error.code if m.error else None) for m in found] == [
        ("a/a.md", None),
        ("a/passwords", "not_a_file"),
    ]


def test_an_archive_is_added_by_the_route_and_climbing_names_stay_names(context: Context) -> None:
    kb = Library(context).create("zips", embedder=HASH.name)
    sent = packed(
        {
            "guide/a.md": "# A\n\nApples.",
            "../../evil.md": "# B\n\nPears.",
            "c.bin": b"\x7fELF" + bytes(90),
            "in.zip": packed({"x.md": "x"}).getvalue(),
        }
    )
    with TestClient(create_app(context, ephemeral=True), base_url="http://127.0.0.1:8642") as client:
        answer = client.post(f"/zhilu/v1/kbs/{kb.id}/documents", files={"files": ("docs.zip", sent)}).json()
    assert sorted(d["name"] for d in answer["documents"]) == ["docs/guide/a.md", "evil.md"]
    assert {r["name"]: r["error"]["code"] for r in answer["rejected"]} == {
        "docs/c.bin": "unsupported_format", "docs/in.zip": "unsupported_format",
    }  # fmt: skip
    assert not (context.home.path.parent / "evil.md").exists()


def test_an_archive_is_added_on_the_command_line(context: Context, tmp_path: Path) -> None:
    Library(context).create("zips", embedder="none")
    (tmp_path / "docs.zip").write_bytes(packed({"guide/a.md": "# A\n\nApples."}).getvalue())
    done = CliRunner().invoke(
        cli, ["kb", "add", "zips", str(tmp_path / "docs.zip"), "--no-wait"], catch_exceptions=False
    )
    assert "docs/guide/a.md" in done.output


@given(st.binary(max_size=400))
def test_bytes_behind_the_mark_never_do_more_than_be_refused(rest: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"PK\x03\x04" + rest)
        with suppress(InputError):
            assert [m.name for m in members(file, "a.zip")]
