"""Damage to the files of a home beside its databases, and disks that are full or read-only: one table.

Every list of the workbench answers, with one clear message where something cannot be read and never as an unexpected error; a
start afterwards works; and what was acknowledged is there. The databases have their own: ``tests/unit/test_damage.py``,
``tests/unit/rag/test_damage.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from zhilu.context import open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import ZhiluError
from zhilu.host.app import create_app

LISTS = (
    "/health", "/zhilu/v1/status", "/zhilu/v1/settings", "/zhilu/v1/conversations", "/zhilu/v1/jobs", "/zhilu/v1/models",
    "/zhilu/v1/adapters", "/zhilu/v1/catalog", "/zhilu/v1/apis", "/zhilu/v1/kbs", "/zhilu/v1/roadmap", "/zhilu/v1/evidence/0.1",
    "/zhilu/v1/runs", "/zhilu/v1/datasets", "/zhilu/v1/engines", "/zhilu/v1/engines/running", "/v1/models", "/api/tags", "/api/ps",
)  # fmt: skip
ROWS = '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}\n'


@contextmanager
def workbench(home: Path | None = None) -> Iterator[TestClient]:
    """As a start makes it; no engine is started, since nothing is asked of a model."""
    context = open_context({"starter": "none", "torch": "none", **({"home": str(home)} if home else {})})
    try:
        client = TestClient(create_app(context), base_url="http://127.0.0.1:8642", raise_server_exceptions=False)
        with client:
            yield client
    finally:
        context.close()


def fill(home: Path) -> None:
    """Everything a person can have, each acknowledged by the API."""
    (home / "models").mkdir(parents=True, exist_ok=True)
    make_tiny_model(home / "models" / "tiny")
    with workbench(home) as client:
        assert client.post("/zhilu/v1/conversations", json={"title": "kept"}).is_success
        kb = client.post("/zhilu/v1/kbs", json={"name": "kept", "embedder": "none"}).json()["id"]
        path = f"/zhilu/v1/kbs/{kb}/documents"
        assert client.post(path, files={"files": ("a.md", b"# A\n\nThe fee is nine euros.\n")}).json()["documents"]
        assert client.put("/zhilu/v1/settings/lang", json={"value": "en"}).is_success
        assert client.post(
            "/zhilu/v1/datasets", files={"file": ("d.jsonl", ROWS.encode())}, data={"name": "d"}
        ).is_success
        assert client.get("/zhilu/v1/models").is_success
        deadline = time.monotonic() + 60
        while client.get(path).json()[0]["status"] not in ("ready", "failed") and time.monotonic() < deadline:
            time.sleep(0.05)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that each damage gets a copy of."""
    home = tmp_path_factory.mktemp("filled") / "zhilu"
    fill(home)
    return home


def check(client: TestClient) -> None:
    for path in LISTS:
        answer = client.get(path)
        if answer.is_success:
            continue
        error = answer.json()["error"]
        said = error if isinstance(error, str) else error["message"]
        assert said and "\n" not in said and "unexpected" not in said and "Traceback" not in said, (path, answer.text)


def kept(client: TestClient) -> None:
    titles = [c["title"] for c in client.get("/zhilu/v1/conversations").json()]
    assert "kept" in titles
    assert [kb["name"] for kb in client.get("/zhilu/v1/kbs").json()] == ["kept"]


def the(home: Path, pattern: str) -> Path:
    (path,) = home.glob(pattern)
    return path


def garbage(pattern: str) -> Callable[[Path], None]:
    def damage(home: Path) -> None:
        path = home / pattern if "*" not in pattern else the(home, pattern)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\xff\xfe{ garbage \x00" * 40)

    return damage


def half(pattern: str, content: object) -> Callable[[Path], None]:
    def damage(home: Path) -> None:
        text = json.dumps(content)
        path = home / pattern
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text[: len(text) // 2])

    return damage


def other(pattern: str, content: object) -> Callable[[Path], None]:
    """Well-formed, and not what belongs there."""

    def damage(home: Path) -> None:
        path = home / pattern
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    return damage


def gone(*names: str) -> Callable[[Path], None]:
    def damage(home: Path) -> None:
        for name in names:
            path = the(home, name)
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "run/engines.json garbage": garbage("run/engines.json"),
    "run/engines.json cut": half("run/engines.json", [{"name": "tiny", "engine": "zhilu"}]),
    "run/engines.json of other things": other("run/engines.json", {"a": [1]}),
    "run/gateway.json garbage": garbage("run/gateway.json"),
    "engines/served.json garbage": garbage("engines/served.json"),
    "engines/served.json of other things": other("engines/served.json", [1, 2]),
    "engines that are half there": garbage("engines/vllm/zhilu-engine.json"),
    "apis.json garbage": garbage("apis.json"),
    "apis.json cut": half("apis.json", {"apis": [{"name": "a", "base_url": "http://127.0.0.1:9/v1"}]}),
    "first-model note garbage": garbage("models/.first-model.json"),
    "model's config cut": half("models/tiny/config.json", {"architectures": ["LlamaForCausalLM"], "hidden_size": 1}),
    "model's note garbage": garbage("models/tiny/zhilu.json"),
    "model's weights gone": gone("models/tiny/model.safetensors"),
    "model folder gone": gone("models/tiny"),
    "adapter garbage": garbage("adapters/a/adapter_config.json"),
    "evidence garbage": garbage("evidence/0.1/2026-01-01T00-00-00.json"),
    "evidence cut": half("evidence/0.1/2026-01-01T00-00-00.json", {"task": "0.1", "gates": []}),
    "run note garbage": garbage("runs/r/run.json"),
    "run note cut": half("runs/r/run.json", {"name": "r", "recipe": "sft"}),
    "dataset note garbage": garbage("datasets/*/dataset.json"),
    "dataset file gone": gone("datasets/d/dataset.json"),
    "card garbage": garbage("kbs/*/card.json"),
    "usage log garbage": garbage("logs/usage.jsonl"),
    "log of changes garbage": garbage("zhilu.db-wal"),
    "cache, run and logs gone": gone("cache", "run", "logs"),
    "speeds garbage": garbage("cache/speeds.json"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_takes_nothing_else_down(own_home: Path, filled: Path, name: str) -> None:
    shutil.copytree(filled, own_home)
    DAMAGES[name](own_home)
    with workbench() as client:
        check(client)
        kept(client)
        assert client.post("/zhilu/v1/conversations", json={"title": "after"}).is_success


@pytest.mark.parametrize("content", [b"\xff\xfe garbage \x00", b"port = ", b"unheard_of = 1\n", b"port = 'x'\n"])
def test_damaged_settings_are_named_with_their_file(own_home: Path, content: bytes) -> None:
    open_context().close()
    (own_home / "settings.toml").write_bytes(content)
    said = subprocess.run(
        [sys.executable, "-m", "zhilu", "jobs", "list"], capture_output=True, text=True, check=False, timeout=60
    )
    assert said.returncode != 0 and "settings.toml" in said.stderr and "Traceback" not in said.stderr, said.stderr
    with pytest.raises(ZhiluError, match=r"settings\.toml"):
        open_context()


# --- disks that are full or read-only -----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home on a disk of its own, of 8 MB. A real one: what a full disk does to SQLite cannot be made up."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if (
        not mounted
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], check=False).returncode
    ):
        pytest.skip("only root may mount a disk to fill")
    home = place / "zhilu"
    monkeypatch.setenv("ZHILU_HOME", str(home))
    try:
        yield home
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


WRITES: dict[str, Callable[[TestClient, str], Any]] = {
    "a conversation": lambda c, kb: c.post("/zhilu/v1/conversations", json={"title": "x" * 200}),
    "a knowledge base": lambda c, kb: c.post("/zhilu/v1/kbs", json={"name": "new", "embedder": "none"}),
    "a document": lambda c, kb: c.post(
        f"/zhilu/v1/kbs/{kb}/documents", files={"files": ("b.md", b"# B\n\n" + b"words and words. " * 20_000)}
    ),
    "a setting": lambda c, kb: c.put("/zhilu/v1/settings/max_jobs", json={"value": 2}),
    "a dataset": lambda c, kb: c.post(
        "/zhilu/v1/datasets", files={"file": ("e.jsonl", ROWS.encode() * 3000)}, data={"name": "e"}
    ),
    "an API": lambda c, kb: c.post("/zhilu/v1/apis", json={"name": "a", "base_url": "http://127.0.0.1:9/v1"}),
}


def told(answer: Any, codes: tuple[str, ...]) -> bool:
    """Whether it was refused for the disk, in one message; one that needed no more room may have been done."""
    if answer.is_success:
        rejected = answer.json().get("rejected") if isinstance(answer.json(), dict) else None
        return bool(rejected) and rejected[0]["error"]["code"] in codes
    error = answer.json()["error"]
    assert error["code"] != "internal_error", answer.text
    assert "\n" not in error["message"] and error["messages"]["zh"], answer.text
    return error["code"] in codes


@pytest.mark.slow
def test_a_full_disk_is_said_at_each_write_and_what_was_acknowledged_is_there(small_disk: Path) -> None:
    fill(small_disk)
    with workbench() as client:
        kb = client.get("/zhilu/v1/kbs").json()[0]["id"]
        filler = small_disk.parent / "filler"
        handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with suppress(OSError):
            while True:
                os.write(handle, b"\0" * 4096)
        os.close(handle)
        refused = [name for name, write in WRITES.items() if told(write(client, kb), ("disk_full",))]
        assert len(refused) >= 4, refused
        check(client)
        kept(client)
    with workbench() as client:  # a start on the full disk
        kept(client)
    filler.unlink()
    with workbench() as client:
        kept(client)
        for name, write in WRITES.items():
            answer = write(client, kb)
            assert answer.is_success or not told(answer, ("disk_full",)), (name, answer.text)
        check(client)


@pytest.mark.slow
def test_a_read_only_home_is_one_clear_message_and_works_again(small_disk: Path) -> None:
    def zhilu(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "zhilu", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    disk = str(small_disk.parent)
    assert zhilu("settings", "set", "lang", "en").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for words in (("up", "--no-open", "--port", "0"), ("settings", "set", "lang", "zh"), ("kb", "create", "x")):
        said = zhilu(*words)
        assert said.returncode != 0 and "Traceback" not in said.stderr, said.stderr
        assert "read-only" in said.stderr or "only be read" in said.stderr, said.stderr
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert zhilu("settings", "get", "lang").stdout.strip().endswith("en")
    assert zhilu("kb", "create", "x").returncode == 0
