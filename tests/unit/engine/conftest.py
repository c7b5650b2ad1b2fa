"""A tiny real model, and engines made from it, with each of the runners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner.load import RUNNERS
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tokenizer(tiny: Path) -> Tokenizer:
    return Tokenizer(tiny)


@pytest.fixture(scope="session", params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "torch":
        request.getfixturevalue("needs_torch")
    return name


@pytest.fixture
def make_engine(tiny: Path, runner: str) -> Callable[..., Engine]:
    def make(**options: Any) -> Engine:
        return load_engine(EngineOptions(tiny, **{"max_len": 256, "threads": 1, "runner": runner, **options}))

    return make
