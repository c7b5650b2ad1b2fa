"""How far the OpenVINO runner's faster arithmetic is from the exact one: the margins that docs/en/models.md states."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zhilu
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner.base import StepChunk
from zhilu.engine.testing import make_tiny_model

NANO = Path(zhilu.__file__).parent / "models" / "shipped" / "nano"
QUESTION = "What is a paged key-value cache, and why is it useful?"

# The largest error of a logit, as a share of the standard deviation of the exact logits.
MARGINS = {"int8": 0.15, "bfloat16": 0.1}
OPTION = {"int8": "precision", "bfloat16": "dtype"}


def load(folder: Path, faster: str) -> Engine:
    options = EngineOptions(folder, max_len=512, threads=1, runner="openvino", max_num_seqs=4)
    return load_engine(replace(options, **{OPTION[faster]: faster} if faster else {}))


@pytest.fixture(scope="module", params=["tiny", "nano"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "nano":
        return NANO
    return make_tiny_model(tmp_path_factory.mktemp("m"), hidden_size=256, num_hidden_layers=4, intermediate_size=512)


@pytest.fixture(scope="module")
def exact(folder: Path) -> tuple[list[int], np.ndarray]:
    engine = load(folder, "")
    prompt = engine.tokenizer.encode(QUESTION)
    engine.add("0", prompt, SamplingParams(64, temperature=0, ignore_eos=True))
    answer = []
    while engine.requests:
        answer += [output.token.id for output in engine.step() if output.token]
    ids = prompt + answer
    return ids, logits(engine, ids)


def logits(engine: Engine, ids: list[int]) -> np.ndarray:
    """Of every tenth position; each is computed as the last of its piece."""
    table = list(range(-(-len(ids) // engine.runner.block_size)))
    pieces = range(0, len(ids) - 9, 10)
    return np.concatenate([engine.runner.run([StepChunk(ids[at : at + 10], at, table, True)]).copy() for at in pieces])


@pytest.mark.parametrize("faster", MARGINS)
def test_logits_stay_within_the_stated_margin(folder: Path, exact: Any, faster: str) -> None:
    if faster == "bfloat16" and not multiplies_bfloat16():
        pytest.skip("this CPU has no bfloat16 arithmetic")
    ids, expected = exact
    engine = load(folder, faster)
    assert engine.runner.describe()[OPTION[faster]] == faster
    error = np.abs(logits(engine, ids) - expected).max() / expected.std()
    print(f"{faster}: largest error {error:.3f} standard deviations")
    assert 1e-5 < error < MARGINS[faster]  # not zero either, or the faster arithmetic was not used


def multiplies_bfloat16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.parametrize("precision", ["full", "int8"])
def test_the_graph_of_a_single_stream_computes_what_the_other_does(folder: Path, precision: str) -> None:
    options = EngineOptions(folder, max_len=512, threads=1, runner="openvino", max_num_seqs=4, precision=precision)
    engine = load_engine(options)
    ids = engine.tokenizer.encode(QUESTION)
    table = [0, 1]
    engine.runner.run([StepChunk(ids[:-1], 0, table, 1)])
    last = StepChunk(ids[-1:], len(ids) - 1, table, 1)
    own = engine.runner.run([last]).copy()
    request, engine.runner._lone = engine.runner._lone, None
    assert request is not None, "a small model has a graph for single streams"
    other = engine.runner.run([last])
    assert np.abs(own - other).max() < 1e-4 * other.std()
    assert own.argmax() == other.argmax()
