"""The floor under every test: a home of its own, no user's files, no network beyond loopback."""

from __future__ import annotations

import ipaddress
import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sqlalchemy.exc import SQLAlchemyError
from tests.examples import EXAMPLES, SEED
from tests.unclosed import watch_connections

from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked
from zhilu.messages import set_lang

# Small models gain nothing from threads, and two test processes share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_HUB_OFFLINE"] = "1"

hypothesis.settings.register_profile("zhilu", max_examples=max(100, EXAMPLES), deadline=None)
hypothesis.settings.load_profile("zhilu")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A long run of the property tests makes the same examples again: hypothesis's own option, from ``ZHILU_SEED``."""
    if EXAMPLES and config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = str(SEED)


_users = itertools.count()

# A folder a model, such as `qwen-coder-0.5b/`. Read here, before the tests hide the user's home.
REAL_MODELS = Path(os.environ.get("ZHILU_TEST_MODELS") or Path.home() / ".cache" / "zhilu-test-models")


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data home and a user home that hold nothing, and none of the caller's settings.

    The databases of the contexts that a test opened are closed at its end, as a command's are: Python 3.13 warns of a
    connection that nobody closes.
    """
    folder = tmp_path_factory.getbasetemp() / "users" / str(next(_users))  # mktemp would list all the others each time
    folder.mkdir(parents=True)
    for name in [
        name for name in os.environ if name.startswith("ZHILU_") and name not in ("ZHILU_DATA", "ZHILU_KILLS")
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("ZHILU_HOME", str(folder / "zhilu"))
    monkeypatch.setenv("ZHILU_STARTER", "none")  # no test fetches a gigabyte unasked
    monkeypatch.setenv("ZHILU_TORCH", "none")  # a server under test installs nothing into the tests' environment
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    set_lang("auto")  # a test before this one in the same process may have spoken Chinese
    opened: list[Context] = []
    make = Context.__init__

    def make_and_remember(self: Context, *args: Any, **rest: Any) -> None:
        make(self, *args, **rest)
        opened.append(self)

    monkeypatch.setattr(Context, "__init__", make_and_remember)
    yield folder / "zhilu"
    for context in opened:
        end_jobs(context)
        context.close()
    close_knowledge_bases(folder)


def end_jobs(context: Context) -> None:
    """A job that a test leaves running would go on beside all the others: an acceptance run takes minutes of a processor."""
    if context._database is None:  # a context that opened none has started no job
        return
    with suppress(ZhiluError, SQLAlchemyError, OSError):  # some tests damage what is asked here
        for job in JobStore(context).list(status=("running",)):
            kill_marked(job.id)


def close_knowledge_bases(folder: Path) -> None:
    """What a process has opened stays open in it, as a gateway wants; here the next test has other ones."""
    library = sys.modules.get("zhilu.rag.library")
    for path in [path for path in (library._open if library else ()) if path.is_relative_to(folder)]:
        library._open.pop(path)[1].close()


@pytest.fixture(autouse=True)
def nothing_starts_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application in a test's own process starts no engine before one is asked for, which would be a process and two seconds
    of a processor each time. One in a process of its own starts the default model as a person's does."""

    async def wait_to_be_asked(*_: Any) -> None: ...

    monkeypatch.setattr("zhilu.serving.routes._start_first", wait_to_be_asked)


@pytest.fixture(scope="session")
def needs_torch() -> None:
    """Asked for by what compares with PyTorch; a Python for which none is installed skips it and passes all the rest."""
    pytest.importorskip("torch", reason="PyTorch is not installed here")


@pytest.fixture(autouse=True, scope="session")
def connections_are_closed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        watch_connections(patch)
        yield


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Connections to anything but this machine fail at once."""
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            raise OSError(f"tests reach only loopback, not {address!r}")
        return original(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def real_model() -> Callable[..., Path]:
    """``real_model("qwen-coder-0.5b")`` is the folder of a real model, ``real_model(NAME, "*.gguf")`` its one such file.

    For tests marked ``real_model``: skipped where the model is not here. ``ZHILU_TEST_MODELS`` names another folder.
    """

    def find(name: str, pattern: str | None = None) -> Path:
        folder = REAL_MODELS / name
        if pattern is None:
            found = [folder] if folder.is_dir() else []
        else:
            found = sorted(folder.glob(pattern))
        if not found:
            pytest.skip(f"no real model {name!r} at {REAL_MODELS} (ZHILU_TEST_MODELS names another folder)")
        assert len(found) == 1, f"which one of {[str(path) for path in found]}?"
        return found[0]

    return find
