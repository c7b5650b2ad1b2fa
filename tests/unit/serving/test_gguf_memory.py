"""What our engine says that a GGUF file will take: its blocks as the runner holds them, not as the file has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zhilu.engine.model.config import read_config
from zhilu.engine.model.quants import FORMATS, Quantized
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner.load import load_runner
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.testing_gguf import write_gguf
from zhilu.serving.engines.zhilu import ENGINE
from zhilu.serving.facts import LaunchOptions, ServedModel
from zhilu.serving.supervise.memory import estimate


@pytest.mark.parametrize("kind", FORMATS)
def test_the_bits_of_each_kind_are_those_of_the_runners_constants(kind: str) -> None:
    form = FORMATS[kind]
    low = Quantized(kind, np.zeros((1, form.block_bytes), np.uint8), (1, form.block)).low_bit()
    parts = [low.codes, low.scales, *([low.minima] if low.minima is not None else [])]
    assert ENGINE.facts.memory is not None
    assert ENGINE.facts.memory.block_bits[kind] == sum(part.nbytes for part in parts) * 8 / form.block


@pytest.mark.parametrize("tied", [True, False])
def test_the_estimate_counts_what_is_multiplied_once(tmp_path: Path, tied: bool) -> None:
    wide = {
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 2,
        "head_dim": 64,
        "tie_word_embeddings": tied,
    }
    folder = make_tiny_model(tmp_path / "folder", "qwen3", **wide)
    file = write_gguf(tmp_path / "model.gguf", folder, "Q4_K")
    need = estimate(ServedModel("m", file), LaunchOptions(max_len=64), ENGINE.facts)
    runner = load_runner(read_config(file), EngineOptions(file, threads=1), 64)
    held = sum(array.nbytes for array in runner._constants.arrays().values())  # type: ignore[attr-defined]
    assert need is not None
    assert held <= need.weights <= held + 20_000  # the norms
    assert need.cache == 64 * sum(cache.nbytes for _, cache in runner._caches.values()) // (  # type: ignore[attr-defined]
        runner.num_blocks * runner.block_size
    )
    rounded = estimate(ServedModel("m", file), LaunchOptions(max_len=64, precision="int8"), ENGINE.facts)
    assert rounded is not None and rounded.weights > need.weights
