"""The engine of llama.cpp: its window, its memory before a start, and a real file that is asked in earnest."""

from __future__ import annotations

import json
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from zhilu.serving.engines.llamacpp import ENGINE
from zhilu.serving.facts import LaunchOptions, ServedModel
from zhilu.serving.supervise.memory import estimate, own_context, window_of
from zhilu.serving.supervise.ports import reserve_port


def gguf(path: Path, **facts: int) -> ServedModel:
    """A GGUF file without tensors; ``facts`` are the architecture's numbers."""

    def text(word: str) -> bytes:
        return struct.pack("<Q", len(word)) + word.encode()

    pairs = text("general.architecture") + struct.pack("<I", 8) + text("qwen2")
    for key, value in facts.items():
        pairs += text("qwen2." + key.replace("__", ".")) + struct.pack("<II", 4, value)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts) + 1) + pairs)
    return ServedModel(path.stem, path)


SMALL = {"block_count": 24, "embedding_length": 896, "attention__head_count": 14, "attention__head_count_kv": 2}


def test_the_window_is_what_was_asked_within_what_the_model_reads(tmp_path: Path) -> None:
    model = gguf(tmp_path / "q.gguf", context_length=32768, **SMALL)
    assert model.path and own_context(model.path) == 32768
    assert window_of(model, LaunchOptions(), ENGINE.facts) == (8192, 4)
    assert window_of(model, LaunchOptions(max_len=100_000, concurrency=1), ENGINE.facts) == (32768, 1)
    large = gguf(tmp_path / "l.gguf", context_length=32768, **{**SMALL, "attention__head_count_kv": 14})
    assert window_of(large, LaunchOptions(), ENGINE.facts) == (4096, 4)  # 4 x 8192 tokens would take 2.8 GB
    short = gguf(tmp_path / "s.gguf", context_length=2048, **SMALL)
    assert window_of(short, LaunchOptions(), ENGINE.facts) == (2048, 4)
    assert "--context 2048 --requests 4" in " ".join(ENGINE.launch(short, LaunchOptions(), 1).argv)


def test_the_cache_of_a_file_is_counted_from_its_own_figures(tmp_path: Path) -> None:
    model = gguf(tmp_path / "q.gguf", context_length=32768, **SMALL)
    need = estimate(model, LaunchOptions(max_len=1000, concurrency=2), ENGINE.facts)
    assert need is not None and need.per_token == 2 * 24 * 2 * 64 * 2
    assert need.cache == need.per_token * 2000 and need.weights == (tmp_path / "q.gguf").stat().st_size
    gguf(tmp_path / "m-00001-of-00002.gguf", **SMALL)
    (tmp_path / "m-00002-of-00002.gguf").write_bytes(bytes(5000))
    parts = estimate(ServedModel("m", tmp_path / "m-00001-of-00002.gguf"), LaunchOptions(), ENGINE.facts)
    assert parts is not None and parts.weights > 5000


def test_a_machine_without_the_wheel_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    is_there, why = ENGINE.installed()
    assert not is_there and "pip install xllamacpp" in why.en and "pip install xllamacpp" in why.zh


def _ask(port: int, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


@pytest.mark.real_model
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("name", ["qwen-coder-0.5b", "qwen-coder-1.5b"])
def test_a_real_file_takes_the_memory_that_was_stated(real_model: Callable[..., Path], name: str) -> None:
    model = ServedModel("real", real_model(name, "*.gguf"))
    options, port = LaunchOptions(max_len=2048, concurrency=2), reserve_port()
    need = estimate(model, options, ENGINE.facts)
    assert need is not None
    launch = ENGINE.launch(model, options, port)
    process = subprocess.Popen(launch.argv, stdin=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 600
        while _ask(port, "/health")[0] != 200:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        long = "The quick brown fox jumps over the lazy dog. " * 20 + "What is 2+2?"
        status, answer = _ask(
            port, "/v1/chat/completions", {"messages": [{"role": "user", "content": long}], "max_tokens": 8}
        )
        assert status == 200 and json.loads(answer)["usage"]["prompt_tokens"] > 200
        children = [process.pid, *(c.pid for c in psutil.Process(process.pid).children(recursive=True))]
        used = sum(psutil.Process(pid).memory_info().rss for pid in children)
        print(f"{used / 1e6:.0f} MB of {need}")
        assert need.weights + need.cache < used <= need.total, f"{used / 1e6:.0f} MB of {need}"
    finally:
        assert process.stdin is not None
        process.stdin.close()  # as when the gateway dies
        process.wait(10)
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_runs(pid) for pid in children) and _ask(port, "/health")[0] == 0


def _runs(pid: int) -> bool:
    """Whether it does: one that ended and that nobody asked for its exit code is still in the table."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
