"""Which runner, which precision, and why: every automatic choice has its reason, and says so in ``describe()``."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zhilu.engine.engine import load_engine
from zhilu.engine.model.config import read_config
from zhilu.engine.options import EngineOptions
from zhilu.engine.processor import Processor
from zhilu.engine.runner import decoder_graph, load
from zhilu.engine.runner.load import choose_precision, choose_runner
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, MissingComponentError, UnsupportedError


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("openvino", "fastest on a CPU")),
        ({"device": "cpu"}, ("openvino", "fastest on a CPU")),
        ({"dtype": "bfloat16"}, ("openvino", "fastest on a CPU")),
        ({"runner": "torch"}, ("torch", "asked for")),
        ({"runner": "openvino"}, ("openvino", "asked for")),
        ({"device": "cuda:1"}, ("torch", "device cuda:1 was asked for")),
        ({"dtype": "float16"}, ("torch", "dtype float16 was asked for")),
    ],
)
def test_the_runner_and_the_reason(
    options: dict[str, str], expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_has_nvidia_driver", lambda: False)
    assert choose_runner(EngineOptions(Path("m"), **options)) == expected  # type: ignore[arg-type]


def test_a_gpu_that_torch_sees_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_has_nvidia_driver", lambda: True)
    monkeypatch.setattr(load, "has_torch", lambda: True)
    monkeypatch.setattr(load, "choose_device", lambda asked: ("cuda", "a CUDA GPU is there"))
    assert choose_runner(EngineOptions(Path("m"))) == ("torch", "a CUDA GPU is there")
    assert choose_runner(EngineOptions(Path("m"), device="cpu"))[0] == "openvino"
    monkeypatch.setattr(load, "has_torch", lambda: False)  # not installed yet: the CPU serves meanwhile
    assert choose_runner(EngineOptions(Path("m"))) == ("openvino", "fastest on a CPU")


def test_an_unknown_runner_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="openvno") as caught:
        choose_runner(EngineOptions(Path("m"), runner="openvno"))
    assert caught.value.fix == "--runner openvino" and caught.value.param == "runner"


def test_without_pytorch_its_runner_names_the_one_command(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zhilu.setup.require.find_spec", lambda name: None)
    with pytest.raises(MissingComponentError, match="needs PyTorch") as caught:
        load_engine(EngineOptions(tiny, max_len=64, threads=1, runner="torch"))
    assert caught.value.fix == "zhilu setup torch"


def test_precision_is_full_as_long_as_it_fits(tiny: Path) -> None:
    config = read_config(tiny)
    assert choose_precision("auto", config, 2**30) == ("full", "exact: the same greedy tokens as transformers")
    precision, why = choose_precision("auto", config, 2**20)
    assert precision == "int8" and "0.0 GB of free memory" in why
    assert choose_precision("full", config, 2**20) == ("full", "asked for")
    with pytest.raises(InputError, match="int3"):
        choose_precision("int3", config, 2**30)


@pytest.mark.parametrize(
    ("flags", "free", "chosen", "reason"),
    [
        ({"avx2", "avx_vnni"}, 2**33, "int8", "twice as fast"),
        ({"avx2", "avx512f", "amx_int8"}, 2**33, "int8", "twice as fast"),
        ({"avx2", "avx512f"}, 2**33, "full", "not faster"),
        (set(), 2**33, "full", "not faster"),
        ({"avx2", "avx_vnni"}, 2**27, "full", "half of the free memory"),
    ],
)
def test_a_gguf_file_is_computed_in_int8_where_the_processor_gains_by_it(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, flags: set[str], free: int, chosen: str, reason: str
) -> None:
    monkeypatch.setattr("zhilu.engine.runner.load.processor", lambda: Processor("a processor", frozenset(flags)))
    config = replace(read_config(tiny), vocab_size=5_000_000)
    precision, why = choose_precision("auto", config, free, has_blocks=True)
    assert precision == chosen and reason in why
    assert choose_precision("full", config, free, has_blocks=True) == ("full", "asked for")
    precision, why = choose_precision("auto", read_config(tiny), free, has_blocks=True)
    assert precision == "full" and "small" in why


@pytest.mark.usefixtures("needs_torch")
def test_where_openvino_fails_torch_goes_on_and_says_why(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a version would whose PagedAttention wants other inputs."""
    monkeypatch.setattr(decoder_graph, "_unused_inputs", list)
    monkeypatch.setattr(load, "_has_nvidia_driver", lambda: False)
    state = load_engine(EngineOptions(tiny, max_len=64, threads=1)).runner.describe()
    assert state["runner"] == "torch" and state["why"]["runner"].startswith("OpenVINO cannot run this model here: ")
    with pytest.raises(UnsupportedError, match="inputs"):
        load_engine(EngineOptions(tiny, max_len=64, threads=1, runner="openvino"))


@pytest.mark.usefixtures("needs_torch")
def test_without_openvino_torch_goes_on(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "find_spec", lambda name: None if name == "openvino" else find_spec(name))
    state = load_engine(EngineOptions(tiny, max_len=64, threads=1)).runner.describe()
    assert (state["runner"], state["why"]["runner"]) == ("torch", "OpenVINO is not installed")
    monkeypatch.setitem(sys.modules, "zhilu.engine.runner.openvino", None)
    with pytest.raises(MissingComponentError, match="not installed") as caught:
        load_engine(EngineOptions(tiny, max_len=64, threads=1, runner="openvino"))
    assert caught.value.fix == "python -m pip install openvino"


@pytest.mark.parametrize(
    "options",
    [
        {"runner": "openvino", "device": "cuda"},
        {"runner": "openvino", "dtype": "float16"},
        {"runner": "torch", "precision": "int8"},
    ],
)
def test_contradictions_are_refused(tiny: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        load_engine(EngineOptions(tiny, max_len=64, threads=1, **options))
    assert caught.value.fix


def test_every_choice_is_told(tiny: Path, runner: str) -> None:
    state = load_engine(EngineOptions(tiny, max_len=64, threads=1, runner=runner)).runner.describe()
    assert {"runner", "threads", "dtype", "kv_tokens"} <= set(state["why"])
    assert state["threads"] == 1 and state["block_size"] * state["num_blocks"] >= 64


def test_a_context_that_nobody_asked_for_is_as_long_as_the_memory_allows(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "long", max_position_embeddings=2**28)  # 137 GB of keys and values
    engine = load_engine(EngineOptions(folder, threads=1, kv_tokens=4096))
    assert engine.max_len == 4096 and "could read 268435456" in engine.runner.describe()["why"]["kv_tokens"]
    with pytest.raises(InputError, match="cannot hold one sequence"):
        load_engine(EngineOptions(folder, threads=1, kv_tokens=4096, max_len=8192))
    with pytest.raises(InputError, match="cannot hold one sequence"):
        load_engine(EngineOptions(folder, threads=1, kv_tokens=100))


def test_weights_with_nan_are_refused_by_torch_as_well(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = make_tiny_model(tmp_path / "nan")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 3] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"NaN or infinity: model\.layers\.1\.mlp\.up_proj"):
        load_engine(EngineOptions(folder, max_len=64, threads=1, runner="torch"))
