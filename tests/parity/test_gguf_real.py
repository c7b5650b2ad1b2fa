"""A real GGUF file: our engine's tokens, answers and numbers beside llama.cpp's and transformers' (benchmarks/gguf_parity.py)."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gguf_parity.py"

pytestmark = [pytest.mark.real_model, pytest.mark.timeout(1300)]


@pytest.fixture(scope="module")
def parity() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))  # as when it is run
        spec = importlib.util.spec_from_file_location("gguf_parity", SCRIPT)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "gguf_parity", module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def asked(real_model: Callable[..., Path]) -> argparse.Namespace:
    file = real_model("qwen-coder-0.5b", "*.gguf")
    return argparse.Namespace(
        file=file, threads=1, corpus=None, lines=400, prompts=4, tokens=16, precision="full", pages=0
    )


def test_tokens_are_llama_cpps(parity: ModuleType, asked: argparse.Namespace) -> None:
    pytest.importorskip("xllamacpp")
    found = parity.compare_tokens(asked)
    assert found["lines"] == 400 and found["equal"] == 400, found["others"]


def test_greedy_answers_part_from_llama_cpps_only_where_two_tokens_are_nearly_equal(
    parity: ModuleType, asked: argparse.Namespace
) -> None:
    pytest.importorskip("xllamacpp")
    found = parity.compare_greedy(asked)
    assert found["prompts"] == 4
    assert all(other["gap_ours"] < 0.5 for other in found["apart"]), found["apart"]


@pytest.mark.usefixtures("needs_torch")
def test_logits_are_those_of_the_dequantised_weights(parity: ModuleType, asked: argparse.Namespace) -> None:
    pytest.importorskip("transformers")
    found = parity.compare_logits(argparse.Namespace(**{**vars(asked), "prompts": 2}))
    assert found["spread"] > 1 and found["likeliest_differs"] == 0
    assert found["largest"] < 2e-3 * found["spread"], found


@pytest.mark.usefixtures("needs_torch")
def test_eight_bits_lose_little_of_a_file_that_was_rounded_more_coarsely(
    parity: ModuleType, asked: argparse.Namespace
) -> None:
    """What ``precision auto`` chooses for such a file where the processor multiplies 8-bit integers at once."""
    pytest.importorskip("transformers")
    found = parity.compare_logits(argparse.Namespace(**{**vars(asked), "precision": "int8", "pages": 1}))
    assert found["precision"] == "int8" and found["positions"] > 500
    assert 0 < found["mean_divergence_nats"] < 0.02, found
    assert found["nats_a_token"] == pytest.approx(found["nats_a_token_exact"], rel=0.01)
    assert found["likeliest_differs"] < 0.1 * found["positions"], found
