"""A knowledge base as one file: what is in it, what comes out of it, and what a stranger's file can do."""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from zhilu.context import Context
from zhilu.errors import InputError, MissingComponentError, TooLargeError, UnsupportedError
from zhilu.jobs import JobStore
from zhilu.messages import T
from zhilu.rag.cli import kb as kb_command
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.openai.attached import Attachments
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.share import unpack
from zhilu.rag.share.pack import pack

TEXTS = {
    "guide/power.md": "# Power\n\nThe charger needs 65 watts. A battery lasts eleven hours.\n",
    "leave.md": "# 年假\n\n入职满一年的员工每年有十五天年假。\n",
}


class Running:
    """What a job is given."""

    attempt = 1

    def __init__(self, context: Context) -> None:
        self.context, self.id = context, secrets.token_hex(4)

    def progress(self, fraction: float, stage: T, detail: str = "") -> None: ...

    def log(self, text: str) -> None: ...

    def check(self) -> None: ...


def take_in(context: Context, path: Path, job: Any = None, **params: Any) -> KnowledgeBase:
    given = {"path": str(path), "name": "copy", "embedder": None, "is_ours": False, **params}
    done = unpack.run_import(job or Running(context), given)
    return Library(context).open(done["kb"])


@pytest.fixture
def shared(fill: Callable[..., KnowledgeBase], tmp_path: Path) -> tuple[KnowledgeBase, Path]:
    kb = fill(TEXTS, embedder="zhilu-embed")
    kb.add_trace(
        {"id": "t", "question": "SECRET question", "answer": "a", "refused": False, "created_at": "", "seconds": 0}
    )
    kb.database.set_meta(description="about power")
    power = next(d for d in kb.documents() if d.name == "guide/power.md")
    Attachments(kb).set_attributes(f"file-{power.id}", {"year": 2025})
    path = tmp_path / "kb.zip"
    path.write_bytes(b"".join(pack(kb)))
    return kb, path


def changed(path: Path, changes: dict[str, bytes | None]) -> Path:
    """A copy with other parts; None leaves one out."""
    made = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        parts = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in parts.items():
            if content is not None:
                new.writestr(name, content)
    return made


def test_it_comes_out_as_it_went_in_and_nothing_is_embedded_again(
    context: Context, shared: tuple[KnowledgeBase, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kb, path = shared
    with zipfile.ZipFile(path) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
        assert b"SECRET" not in whole and str(context.home.path).encode() not in whole
        assert not [n for n in archive.namelist() if n.endswith(".db")]
    copy = take_in(context, path)
    assert (copy.name, copy.info().description, copy.embedder) == ("copy", "about power", "zhilu-embed")
    assert [(d.name, d.status, d.num_chunks) for d in copy.documents()] == [
        (d.name, "ready", d.num_chunks) for d in kb.documents()
    ]
    embedder = embedder_of(context, "zhilu-embed")
    for question in ("How long does the battery last?", "年假有几天"):
        there, here = (retrieve(one, question, embedder).hits for one in (kb, copy))
        assert [(h.text, h.score, h.dense) for h in there] == [(h.text, h.score, h.dense) for h in here] != []
    for old, new in zip(kb.documents(), copy.documents(), strict=True):
        assert kb.original(old.id).read_bytes() == copy.original(new.id).read_bytes()
        assert kb.read(old.id).outline == copy.read(new.id).outline
    assert [f.attributes for f in Attachments(copy).every() if f.attributes] == [{"year": 2025}]
    assert take_in(context, path, name="copy").name == "copy (2)"


def test_it_goes_on_where_it_was_stopped(
    context: Context, shared: tuple[KnowledgeBase, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, calls = Running(context), 0
    real = unpack.publish

    def dies(kb: KnowledgeBase, doc_id: str) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return real(kb, doc_id)

    monkeypatch.setattr(unpack, "publish", dies)
    with pytest.raises(KeyboardInterrupt):
        take_in(context, shared[1], job)
    assert [d.status for d in Library(context).open("copy").documents()] == ["ready", "queued"]
    copy = take_in(context, shared[1], job)
    assert (copy.name, [d.status for d in copy.documents()]) == ("copy", ["ready", "ready"])


def test_another_embedder_and_one_that_is_not_here(context: Context, shared: tuple[KnowledgeBase, Path]) -> None:
    copy = take_in(context, shared[1], embedder="none")
    assert copy.embedder == "none" and {d.status for d in copy.documents()} == {"ready"}
    with zipfile.ZipFile(shared[1]) as archive:
        about = json.loads(archive.read("zhilu-kb.json"))
    for name in ("e5-large", "zhilu.rag.testing:HASH"):  # the second would run code
        strange = changed(shared[1], {"zhilu-kb.json": json.dumps({**about, "embedder": name}).encode()})
        with pytest.raises(MissingComponentError) as missing:
            unpack.start_import(context, strange)
        assert "--embedder" in (missing.value.fix or "")
    with pytest.raises(InputError, match="numbers"):
        unpack.start_import(context, changed(shared[1], {"zhilu-kb.json": json.dumps({**about, "dim": 7}).encode()}))
    later = changed(shared[1], {"zhilu-kb.json": json.dumps({**about, "format": 2}).encode()})
    with pytest.raises(UnsupportedError):
        unpack.start_import(context, later)


def test_a_strangers_file_is_checked(context: Context, shared: tuple[KnowledgeBase, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(shared[1]) as archive:
        first = json.loads(archive.read("documents/0.json"))
    hostile: list[dict[str, bytes | None]] = [
        {"documents/0.json": json.dumps({**first, "chunks": [[0, 10**9, "", None, False]]}).encode()},
        {"documents/0.json": json.dumps({**first, "read": {"text": 5}}).encode()},
        {"documents/0.json": b"{"},
        {"vectors/0.f16": b"\x00\x7c" * 1000},
        {"vectors/0.f16": b""},
    ]
    for change in hostile:
        with pytest.raises(InputError):
            take_in(context, changed(shared[1], change), name="hostile")
        assert "hostile" not in {i.name for i in Library(context).list()}
    climbing = {**first, "name": "../../../etc/cron.d/x"}
    copy = take_in(context, changed(shared[1], {"documents/0.json": json.dumps(climbing).encode()}), name="climbing")
    assert [d.name for d in copy.documents()] == ["x", "leave.md"]
    left_out = take_in(context, changed(shared[1], {"originals/0": None}), name="less")
    assert [d.name for d in left_out.documents()] == ["leave.md"]

    for content in (b"", b"PK\x03\x04 cut", shared[1].read_bytes()[:-40]):
        broken = tmp_path / "broken.zip"
        broken.write_bytes(content)
        with pytest.raises(InputError):
            unpack.start_import(context, broken)
    bomb = changed(shared[1], {"originals/0": bytes(64 * 2**20)})
    with pytest.raises(TooLargeError):
        unpack.start_import(context, bomb)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "x")
    broken.write_bytes(other.getvalue())
    with pytest.raises(InputError, match="no shared knowledge base"):
        unpack.start_import(context, broken)


def test_what_a_strangers_file_cannot_do(context: Context, shared: tuple[KnowledgeBase, Path]) -> None:
    with zipfile.ZipFile(shared[1]) as archive:
        first = json.loads(archive.read("documents/0.json"))
    read, long = first["read"], len(first["read"]["text"])
    hostile: list[dict[str, Any]] = [
        {"chunks": [[0, 10, "", 2**70, False]]},  # no number of a page
        {"chunks": [[0, long, "", None, False]] * 5000},  # 5000 times the text on the disk
        {"read": {**read, "pages": [{"page": "x", "start": 0, "end": 1}]}},
        {"read": {**read, "outline": [{"title": "a", "start": 0, "level": {}}]}},
        {"read": {**read, "mime": 5}},
        {"file": ["file-x", "a", {"a": {"b": 1}}]},
        {"file": ["file-x", "a", {"a": "x" * 100_000}]},
    ]
    for change in hostile:
        parts: dict[str, bytes | None] = {"documents/0.json": json.dumps({**first, **change}).encode()}
        with pytest.raises(InputError):
            take_in(context, changed(shared[1], parts), name="hostile")
        assert "hostile" not in {i.name for i in Library(context).list()}


@pytest.mark.parametrize("part", ["zhilu-kb.json", "documents/0.json", "originals/0"])
def test_a_part_that_cannot_be_unpacked_is_said_and_nothing_stays(
    context: Context, shared: tuple[KnowledgeBase, Path], part: str
) -> None:
    path = changed(shared[1], {"originals/0": b"many words that are packed " * 1000})
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(part).header_offset + 30 + len(part)
    raw = bytearray(path.read_bytes())
    raw[start] |= 7  # a kind of block that deflate does not have
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        unpack.start_import(context, path)
        take_in(context, path, name="hostile")
    assert "hostile" not in {i.name for i in Library(context).list()}


def test_methods_that_take_memory_without_end_are_refused(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "lzma.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(
            "zhilu-kb.json", json.dumps({"format": 1, "name": "a", "embedder": "none", "dim": 0, "num_documents": 0})
        )
    with pytest.raises(InputError):
        unpack.start_import(context, path)


@pytest.mark.parametrize("name", ["   ", "n" * 101, "a\0b"])
def test_a_name_that_none_can_have_is_refused_before_a_job(
    context: Context, shared: tuple[KnowledgeBase, Path], name: str
) -> None:
    with pytest.raises(InputError, match="name"):
        unpack.start_import(context, shared[1], name)


def test_the_command_line(context: Context, shared: tuple[KnowledgeBase, Path], tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    run = CliRunner()
    done = run.invoke(kb_command, ["export", shared[0].id, "--to", str(file), "--json"], obj=context)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["bytes"] == file.stat().st_size
    again = run.invoke(kb_command, ["export", shared[0].id, "--to", str(file)], obj=context)
    assert again.exit_code != 0
    done = run.invoke(kb_command, ["import", str(file), "--name", "taken in", "--json"], obj=context)
    assert done.exit_code == 0, done.output
    assert JobStore(context).list(kind="kb-import")[0].status == "done"
    assert len(Library(context).open("taken in").documents()) == 2
