"""``zhilu model pack``, and back through a package index, a folder and a mirror of one's own."""

from __future__ import annotations

import os
import signal
import threading
import time
import zipfile
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.unit.models.test_sources import serve_files

from zhilu.context import open_context
from zhilu.errors import InputError, UnsupportedError
from zhilu.jobs import JobStore
from zhilu.models import ModelStore
from zhilu.models.pull import submit_pull
from zhilu.models.sources.pack import pack
from zhilu.models.testing import write_gguf
from zhilu.tables import JobRow


@pytest.fixture
def context(own_home):
    context = open_context({})
    yield context
    context.close()


@pytest.fixture
def packed(tmp_path, context):
    """A model of 2.4 MB in the store, which is then removed, and its wheels."""
    file = write_gguf(tmp_path / "Tiny.gguf", values=600_000)
    ModelStore(context).import_folder(file, "Tiny_1.5")
    wheels = pack(context, "Tiny_1.5", tmp_path / "wheels", part_mb=1)
    ModelStore(context).remove("Tiny_1.5")
    return file.read_bytes(), wheels


@pytest.fixture
def only_wheels(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))


def test_packages_hold_no_code_and_are_the_same_each_time(tmp_path, context, packed):
    content, wheels = packed
    assert [path.name for path in wheels] == [
        *(f"zhilu_model_tiny_1_5_part00{n}-1.0.0-py3-none-any.whl" for n in (1, 2, 3)),
        "zhilu_model_tiny_1_5-1.0.0-py3-none-any.whl",
    ]
    assert b"".join(zipfile.ZipFile(w).read(zipfile.ZipFile(w).namelist()[0]) for w in wheels[:3]) == content
    for wheel in wheels:
        assert wheel.stat().st_size < 1_010_000
        assert not [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith((".py", ".so", ".pth"))]
    first = [path.read_bytes() for path in wheels]
    ModelStore(context).import_folder(tmp_path / "Tiny.gguf", "Tiny_1.5")
    assert [path.read_bytes() for path in pack(context, "Tiny_1.5", tmp_path / "again", part_mb=1)] == first


@contextmanager
def serve_index(wheels, held):
    """A package index of these wheels; whose name holds ``held`` is given out once ``go_on`` is set."""
    go_on = threading.Event()

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.strip("/").removeprefix("simple").strip("/")
            wheel = next((wheel for wheel in wheels if wheel.name == path), None)
            if wheel is None:
                names = [w.name for w in wheels if w.name.split("-")[0].replace("_", "-") == path]
                self.answer("".join(f'<a href="/simple/{name}">{name}</a>' for name in names).encode(), "text/html")
            elif held not in path or go_on.wait(100):
                self.answer(wheel.read_bytes(), "application/zip")

        def answer(self, content, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # the pip of the killed job
                self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple", go_on
    finally:
        go_on.set()
        server.shutdown()
        server.server_close()


def test_through_an_index_of_ones_own_and_back_killed_on_the_way(context, packed, only_wheels, monkeypatch):
    store = JobStore(context)
    with serve_index(packed[1], held="_part003") as (url, go_on):
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", url)
        job = submit_pull(context, "index", "Tiny_1.5")
        parts = ModelStore(context).incoming("Tiny_1.5") / ".parts.json"
        while not parts.exists():
            assert not store.get(job.id).ended, store.log_text(job.id)
            time.sleep(0.02)
        with context.database.session() as session:
            os.kill(session.get(JobRow, job.id).pid, signal.SIGKILL)
        go_on.set()
        done = store.wait(job.id, timeout=200)
    assert (done.status, done.attempt) == ("done", 2), store.log_text(job.id)
    info = ModelStore(context).get("Tiny_1.5")
    assert (info.source, info.format, info.supported) == ("index", "gguf", True)
    assert info.revision == "zhilu-model-tiny-1-5==1.0.0"
    (file,) = ModelStore(context).files("Tiny_1.5")
    assert file.read_bytes() == packed[0]


def test_through_a_folder_and_a_mirror_and_back(tmp_path, context):
    ModelStore(context).import_folder(write_gguf(tmp_path / "Tiny.gguf", values=9000), "tiny")
    (folder,) = pack(context, "tiny", tmp_path / "share", form="folder")
    assert sorted(path.name for path in folder.iterdir()) == ["Tiny.gguf", "zhilu-model.json"]
    ModelStore(context).remove("tiny")
    with serve_files(tmp_path / "share") as url:
        here = open_context({"model_folder": str(tmp_path / "share"), "model_mirror": url})
        for source in ("folder", "mirror"):
            done = JobStore(here).wait(submit_pull(here, source, "tiny", name=f"from-{source}").id, timeout=60)
            assert done.status == "done", JobStore(here).log_text(done.id)
            assert ModelStore(here).get(f"from-{source}").source == source
        here.close()


def test_a_wrong_file_is_refused_loudly_and_nothing_is_kept(tmp_path, context):
    ModelStore(context).import_folder(write_gguf(tmp_path / "Tiny.gguf", values=9000), "tiny")
    (folder,) = pack(context, "tiny", tmp_path / "share", form="folder")
    ModelStore(context).remove("tiny")
    write_gguf(folder / "Tiny.gguf", values=9000, name="Evil")
    here = open_context({"model_folder": str(tmp_path / "share")})
    done = JobStore(here).wait(submit_pull(here, "folder", "tiny").id, timeout=60)
    assert (done.status, done.error["code"]) == ("failed", "damaged_download")
    assert "SHA-256 is not the published one" in done.error["message"]
    assert [model.name for model in ModelStore(here).list()] == ["zhilu-nano"]
    here.close()


def test_a_file_that_changed_in_the_store_is_not_packed(tmp_path, context, monkeypatch):
    monkeypatch.setattr("zhilu.models.store.os.link", lambda *a: (_ for _ in ()).throw(OSError("no links")))
    (tmp_path / "m").mkdir()
    write_gguf(tmp_path / "m" / "Tiny.gguf")
    info = ModelStore(context).import_folder(tmp_path / "m", "tiny")
    with open(f"{info.path}/Tiny.gguf", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    with pytest.raises(InputError, match="has changed since it came here"):
        pack(context, "tiny", tmp_path / "out")
    with pytest.raises(UnsupportedError, match="Did you mean 'packages'"):
        pack(context, "tiny", tmp_path / "out", form="package")
