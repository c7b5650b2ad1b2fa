"""The ceiling of ``benchmarks/gguf_parity.py`` on a tiny file: the exact answers, and that they stand beside ours in one run."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zhilu.engine.engine import load_engine
from zhilu.engine.options import EngineOptions
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.testing_gguf import write_gguf

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gguf_parity.py"

pytestmark = pytest.mark.usefixtures("needs_torch")


@pytest.fixture
def parity(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))  # as when it is run
    spec = importlib.util.spec_from_file_location("gguf_parity_tiny", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    yield module


@pytest.fixture
def asked(tmp_path: Path) -> argparse.Namespace:
    file = write_gguf(tmp_path / "q.gguf", make_tiny_model(tmp_path / "m", "qwen2"), "Q8_0")
    return argparse.Namespace(file=file, threads=1, tokens=24, prompts=2, precision="full")


def test_exact_answers_are_the_same_alone_and_together_and_are_ours(
    parity: ModuleType, asked: argparse.Namespace
) -> None:
    """Prompts of other lengths are filled up at the left, which may change no answer."""
    pytest.importorskip("transformers")
    engine = load_engine(EngineOptions(asked.file, 1, max_len=512, kv_tokens=4096))
    prompts = [[5, 6, 7], [9] * 17, [*range(3, 40)], [11, 12]]
    together = parity.exact_answers(asked, prompts, engine.eos_ids)
    assert together == [parity.exact_answers(asked, [prompt], engine.eos_ids)[0] for prompt in prompts]
    assert together == parity.answers(engine, prompts, asked.tokens)
    assert len({tuple(answer) for answer in together}) == 4 and max(map(len, together)) == 24


def test_the_ceiling_stands_beside_ours(
    parity: ModuleType, asked: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp does not read a file without merges: another program stands in, which is right on the first prompt alone."""
    pytest.importorskip("transformers")
    engine = load_engine(EngineOptions(asked.file, 1, max_len=512, kv_tokens=4096))
    heard: list[list[int]] = []

    def ask(_path: str, body: dict[str, Any]) -> dict[str, Any]:
        if "n_probs" in body:
            return {"completion_probabilities": [{"top_logprobs": []}]}
        heard.append(body["prompt"])
        (right,) = parity.answers(engine, [body["prompt"]], asked.tokens)
        return {"tokens": right if len(heard) == 1 else [*right[:3], (right[3] + 1) % 200, *right[4:]]}

    monkeypatch.setattr(parity, "llama", lambda *_args, **_options: nullcontext(ask))
    told = parity.compare_greedy(asked)
    assert (told["equal"], told["ceiling"], told["equal_to_the_exact_answer"]) == (1, 1, 2)
    assert [(one["at"], one["ours_is_the_exact_answer"]) for one in told["apart"]] == [(3, True)]
