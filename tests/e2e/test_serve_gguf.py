"""``zhilu serve FILE.gguf --engine zhilu`` with a real model: sensible answers over HTTP, in English and Chinese."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from zhilu.context import open_context
from zhilu.gate import Status
from zhilu.models import ModelStore
from zhilu.serving.engines.zhilu import ENGINE
from zhilu.serving.facts import LaunchOptions, ServedModel
from zhilu.serving.gates import check_adapter_applied, check_greedy_answer, check_protocol
from zhilu.serving.supervise.memory import estimate

# What is asked, and a word that a right answer holds.
ASKED = {
    "What is 2+2? Answer with the number.": "4",
    "What is the capital of Japan?": "Tokyo",
    "法国的首都是哪里？": "巴黎",
    "Translate to Chinese: The weather is nice today.": "天气",
    "Write a Python function that adds two numbers.": "def ",
}


@pytest.mark.real_model
@pytest.mark.timeout(1300)
@pytest.mark.parametrize("name", ["qwen-coder-0.5b", "qwen-coder-1.5b"])
def test_a_real_file_answers_in_both_languages(real_model: Callable[..., Path], name: str, own_home: Path) -> None:
    file = real_model(name, "*.gguf")
    limits = ["--context", "2048", "--concurrency", "2"]
    command = [sys.executable, "-m", "zhilu", "serve", str(file), "--engine", "zhilu", "--port", "0", "--json", *limits]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                break
        said = json.loads(text)
        with httpx.Client(base_url=said["url"], timeout=600, trust_env=False) as client:
            for question, word in ASKED.items():
                assert word in _answer(client, said["model"], question), question
        used = sum(child.memory_info().rss for child in psutil.Process(process.pid).children(recursive=True))
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    need = estimate(ServedModel("real", file), LaunchOptions(max_len=2048, concurrency=2), ENGINE.facts)
    print(f"{used / 1e6:.0f} MB of {need}")
    assert need is not None and used <= need.total, f"{used / 1e6:.0f} MB of {need}"


def _answer(client: httpx.Client, model: str, question: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": 60, "temperature": 0}
    deadline = time.monotonic() + 600
    while True:
        reply = client.post("/chat/completions", json=body)
        if reply.status_code == 200:
            return str(reply.json()["choices"][0]["message"]["content"])
        assert time.monotonic() < deadline and "starting" in reply.text, reply.text
        time.sleep(0.5)


@pytest.mark.real_model
@pytest.mark.timeout(1300)
@pytest.mark.usefixtures("needs_torch")
def test_the_gates_of_stage_two_hold_for_a_gguf_file(
    real_model: Callable[..., Path], own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.1 against llama.cpp, 2.2, 2.4 against transformers with PEFT; served in 8 bits or exactly, as the processor has it."""
    pytest.importorskip("peft")
    monkeypatch.setenv("ZHILU_STARTER", "none")
    context = open_context()
    ModelStore(context).import_folder(real_model("qwen-coder-0.5b", "*.gguf"), "coder")
    context = open_context({"model": "coder"})
    greedy = check_greedy_answer(context)
    assert greedy.status is Status.PASSED, greedy.why.en
    spoken = check_protocol(context)  # with tools that must be called: a small model repeats itself until it is stopped
    assert spoken.status is Status.PASSED, spoken.why.en
    applied = check_adapter_applied(context)
    assert applied.status is Status.PASSED, applied.why.en
