"""Many files through one server: each has a limited process of its own, and none harms the next."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from zhilu.errors import InputError
from zhilu.rag.load import Limits, Reader, load_limited

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.txt"
    path.write_text("The pump weighs nine kilograms.\n")
    return path


def test_it_reads_what_a_process_of_its_own_reads(tmp_path: Path, plain: Path) -> None:
    files = {"a.md": "# One\n\nText.", "b.html": "<html><body><p>" + "A page about pumps. " * 30 + "</p></body></html>"}
    paths = [plain]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        paths.append(tmp_path / name)
    with Reader() as reader:
        for path in [*paths, *paths]:
            assert reader.load(path, path.name) == load_limited(path, path.name)


def test_refusals_are_the_same_and_harm_nothing(tmp_path: Path, plain: Path) -> None:
    broken = tmp_path / "b.pdf"
    broken.write_bytes(b"%PDF-1.4 broken " * 9)
    with Reader() as reader:
        for _ in range(2):
            with pytest.raises(InputError) as caught:
                reader.load(broken, "b.pdf")
            assert caught.value.code == "pdf_broken" and caught.value.message.zh
            assert reader.load(plain, "plain.txt").text.startswith("The pump")


@pytest.mark.parametrize(
    ("what", "code"), [("sleep", "parse_timeout"), ("burn", "parse_timeout"), ("grow", "parse_failed"), ("die", "parse_failed")]
)  # fmt: skip
def test_a_parser_that_hangs_burns_grows_or_dies_costs_its_file_alone(
    tmp_path: Path, plain: Path, monkeypatch: pytest.MonkeyPatch, what: str, code: str
) -> None:
    module = tmp_path / "hostile_loader.py"
    module.write_text(HOSTILE)
    (tmp_path / "sitecustomize.py").write_text(
        "import zhilu.rag.load as load\nload.LOADERS.add('markdown', 'hostile_loader:LOADER')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bad = tmp_path / "bad.md"
    bad.write_text(what)
    with Reader() as reader:
        with pytest.raises(InputError) as caught:
            reader.load(bad, "bad.md", Limits(seconds=2 if code == "parse_timeout" else 60, memory_mb=600))
        assert caught.value.code == code
        assert reader.load(plain, "plain.txt").text.startswith("The pump")


HOSTILE = """
import os, signal, time
from zhilu.rag.load.base import LoaderFacts
from zhilu.messages import T
class Hostile:
    facts = LoaderFacts("markdown", T("x", "y"), "text/markdown", (".md",))
    def load(self, path, limits):
        what = path.read_text()
        if what == "sleep":
            time.sleep(60)
        while what == "burn":
            pass
        if what == "grow":
            kept = [bytearray(50 << 20) for _ in range(100)]
        os.kill(os.getpid(), signal.SIGSEGV)
LOADER = Hostile()
"""


def test_a_server_that_was_killed_is_started_again(plain: Path) -> None:
    with Reader() as reader:
        reader.load(plain, "plain.txt")
        assert reader._server is not None
        os.kill(reader._server.pid, signal.SIGKILL)
        time.sleep(0.1)
        for _ in range(2):
            assert reader.load(plain, "plain.txt").text.startswith("The pump")
