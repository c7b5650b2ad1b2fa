"""GGUF files: every block format to the last bit, every family as its safetensors, the constants' file, the tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import load_engine
from zhilu.engine.model.config import read_config
from zhilu.engine.model.gguf import find_gguf, read_gguf
from zhilu.engine.model.quants import FORMATS, Quantized
from zhilu.engine.model.weights import map_tensors, take_rows
from zhilu.engine.options import EngineOptions
from zhilu.engine.runner import constants, decoder_graph, load
from zhilu.engine.runner.base import Runner, StepChunk
from zhilu.engine.runner.constants import ConstantFile
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.testing_gguf import make_blocks, write_gguf
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import InputError, UnsupportedError

WIDE = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "head_dim": 64}
PROMPT = [5, 17, 200, 3, 88, 120, 45, 45, 9]


def runner_of(path: Path, name: str = "openvino", **options: Any) -> Runner:
    return load_engine(EngineOptions(path, max_len=128, threads=1, runner=name, **options)).runner


def logits(runner: Runner, prompt: list[int] = PROMPT) -> Any:
    return runner.run([StepChunk(prompt, 0, list(range(8)), num_logits=len(prompt))]).copy()


@pytest.mark.parametrize("kind", FORMATS)
def test_blocks_are_taken_apart_to_the_last_bit(kind: str) -> None:
    blocks = make_blocks(np.empty((6, 1024), np.float32), kind, np.random.default_rng(3)) if kind[0] != "Q" else None
    if blocks is None:
        blocks = np.random.default_rng(3).integers(0, 256, (6, 1024 // FORMATS[kind].block * FORMATS[kind].block_bytes))
        blocks = blocks.astype(np.uint8)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind])
        ours = Quantized(kind, blocks, (6, 1024)).float32()
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("arch", ["llama", "qwen2", "qwen3"])
def test_the_same_weights_give_the_same_logits_as_from_safetensors(tmp_path: Path, arch: str, runner: str) -> None:
    folder = make_tiny_model(tmp_path / "folder", arch, seed=4)
    file = write_gguf(tmp_path / "model.gguf", folder)
    np.testing.assert_array_equal(logits(runner_of(file, runner)), logits(runner_of(folder, runner)))


@pytest.mark.usefixtures("needs_torch")
@pytest.mark.parametrize("kind", FORMATS)
def test_openvino_multiplies_the_blocks_as_float32_does(tmp_path: Path, kind: str) -> None:
    folder = make_tiny_model(tmp_path / "folder", "qwen3", seed=5, **WIDE)
    file = write_gguf(tmp_path / "model.gguf", folder, kind)
    exact, ours = logits(runner_of(file, "torch")), logits(runner_of(file))
    assert np.abs(exact).max() > 0.1  # the comparison is of something
    np.testing.assert_allclose(ours, exact, atol=3e-4 * np.abs(exact).max(), rtol=0)


@pytest.mark.usefixtures("needs_torch")
def test_q_k_and_v_of_other_kinds_and_q_and_k_of_paired_rows(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "folder", "llama", seed=6, **WIDE)
    mixed = {
        "attn_q": "Q4_0",
        "attn_k": "Q4_0",
        "attn_v": "Q8_0",
        "ffn_down": "Q6_K",
        "output": "Q8_0",
        "token_embd": "Q5_0",
    }
    file = write_gguf(tmp_path / "model.gguf", folder, mixed)
    exact, ours = logits(runner_of(file, "torch")), logits(runner_of(file))
    np.testing.assert_allclose(ours, exact, atol=3e-4 * np.abs(exact).max(), rtol=0)
    q = map_tensors(file, read_config(file))["model.layers.0.self_attn.q_proj.weight"]
    stored = map_tensors(folder, read_config(folder))["model.layers.0.self_attn.q_proj.weight"]
    assert np.abs(take_rows(q, slice(None)) - take_rows(stored, slice(None))).max() < 0.1 * np.abs(stored).max()


@pytest.mark.usefixtures("needs_torch")
def test_a_group_whose_scale_is_zero_is_its_minimum(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "folder", "qwen3", seed=7, **WIDE)
    file = write_gguf(tmp_path / "model.gguf", folder, "Q4_K")
    header = read_gguf(file)
    tensor = header.tensors["blk.0.ffn_up.weight"]
    raw = bytearray(file.read_bytes())
    raw[tensor.start + 4 : tensor.start + 8] = bytes(4)  # the first row's first four scales
    file.write_bytes(raw)
    exact, ours = logits(runner_of(file, "torch")), logits(runner_of(file))
    np.testing.assert_allclose(ours, exact, atol=3e-4 * np.abs(exact).max(), rtol=0)


def test_llama_3s_stretched_positions_come_from_the_file(tmp_path: Path) -> None:
    rope = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64}  # fmt: skip
    folder = make_tiny_model(tmp_path / "folder", "llama", seed=8, rope_parameters=rope)
    from zhilu.engine.model.config import RopeConfig
    from zhilu.engine.runner.rope import inverse_frequencies

    stretched = inverse_frequencies(read_config(folder).rope, 16)
    factors = inverse_frequencies(RopeConfig(10000.0), 16) / stretched
    writer = write_gguf(tmp_path / "plain.gguf", folder)
    assert writer.is_file()
    real = gguf.GGUFWriter.write_header_to_file

    def with_factors(self: gguf.GGUFWriter, *args: Any, **kwargs: Any) -> None:
        self.add_tensor("rope_freqs.weight", factors.astype(np.float32))
        real(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf.GGUFWriter, "write_header_to_file", with_factors)
        file = write_gguf(tmp_path / "model.gguf", folder)
    np.testing.assert_allclose(logits(runner_of(file)), logits(runner_of(folder)), atol=2e-4)


def test_constants_are_made_once_and_mapped_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_KEPT_BYTES", 0)
    folder = make_tiny_model(tmp_path / "folder", "qwen3", seed=9, **WIDE)
    file = write_gguf(tmp_path / "model.gguf", folder, "Q4_K")
    plain = logits(runner_of(file))
    first, second = runner_of(file, cache=tmp_path / "cache"), runner_of(file, cache=tmp_path / "cache")
    assert "made in" in first.describe()["why"]["constants"]
    assert second.describe()["why"]["constants"] == "mapped from the data home's cache"
    np.testing.assert_array_equal(logits(first), plain)
    np.testing.assert_array_equal(logits(second), plain)
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name.startswith(f"{tmp_path.name}~")  # whose it is: removing the model removes it
    whole = kept.read_bytes()
    renamed = whole.replace(b'"codes"', b'"codez"')
    for damaged in (whole[:-100], renamed, whole[:4096] + whole[8192:], whole[:40], b""):  # a full disk, lost pieces
        kept.write_bytes(damaged)
        third = runner_of(file, cache=tmp_path / "cache")
        assert "made in" in third.describe()["why"]["constants"]
        np.testing.assert_array_equal(logits(third), plain)


def test_constants_of_another_model_with_the_same_name_size_and_time_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "_KEPT_BYTES", 0)
    file = tmp_path / "model.gguf"
    found = []
    for seed in (1, 2):
        folder = make_tiny_model(tmp_path / f"folder {seed}", "qwen3", seed=seed, **WIDE)
        write_gguf(file, folder, "Q4_K")
        os.utime(file, ns=(10**18, 10**18))
        runner = runner_of(file, cache=tmp_path / "cache")
        assert "made in" in runner.describe()["why"]["constants"]
        found.append((file.stat().st_size, logits(runner), logits(runner_of(file))))
    (size, first, _), (other_size, second, exact) = found
    assert size == other_size and not np.array_equal(first, second)
    np.testing.assert_array_equal(second, exact)


def test_constants_are_bounded_and_threads_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    source = tmp_path / "source"
    source.write_bytes(bytes(100))
    for number in range(6):
        file = ConstantFile(folder, f"model {number}", [source], "x", 10)
        file.place("a", lambda: {"codes": np.arange(9, dtype=np.int8)})
        file.finish()
        os.utime(file._path, (number, number))
    assert sorted(path.name.split("~")[0] for path in folder.iterdir()) == [
        f"model_{number}" for number in (2, 3, 4, 5)
    ]
    monkeypatch.setattr(constants, "_KEPT_BYTES", 20_000)
    ConstantFile(folder, "large", [source], "x", 15_000).finish()
    assert sorted(path.name.split("~")[0] for path in folder.iterdir()) == ["large", "model_5"]

    monkeypatch.setattr(decoder_graph, "_PIECE", 2**12)  # many pieces of a small matrix
    model = make_tiny_model(tmp_path / "folder", "qwen3", seed=9, **WIDE)
    tensors = map_tensors(write_gguf(tmp_path / "model.gguf", model, "Q4_K"), read_config(model))
    blocks = [tensors[f"model.layers.0.mlp.{name}_proj.weight"] for name in ("gate", "up")]
    for make in (decoder_graph._low_bit, decoder_graph._rounded):
        alone, together = make(blocks, 1), make(blocks, 3)
        assert all(np.array_equal(alone[part], together[part]) for part in alone) and alone.keys() == together.keys()


def test_half_precision_is_widened_once_for_all_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin would widen it again for each graph and keep every copy: 78 MB for a model of 19."""
    monkeypatch.setattr(load, "_KEPT_BYTES", 0)
    halves, floats = (make_tiny_model(tmp_path / name, "qwen3", seed=9, **WIDE) for name in ("halves", "floats"))
    rounded = {name: tensor.astype(np.float16) for name, tensor in load_file(halves / "model.safetensors").items()}
    save_file(rounded, halves / "model.safetensors")
    save_file({name: tensor.astype(np.float32) for name, tensor in rounded.items()}, floats / "model.safetensors")
    first, second = runner_of(halves, cache=tmp_path / "cache"), runner_of(halves, cache=tmp_path / "cache")
    assert "made in" in first.describe()["why"]["constants"]
    assert second.describe()["why"]["constants"] == "mapped from the data home's cache"
    for runner in (second, runner_of(halves), runner_of(floats)):
        np.testing.assert_array_equal(logits(runner), logits(first))


def test_a_cache_that_cannot_be_written_costs_memory_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_KEPT_BYTES", 0)
    folder = make_tiny_model(tmp_path / "folder", "qwen3", seed=9, **WIDE)
    file = write_gguf(tmp_path / "model.gguf", folder, "Q4_0")
    (tmp_path / "cache").write_text("a file where the folder should be")
    runner = runner_of(file, cache=tmp_path / "cache")
    assert "not kept" in runner.describe()["why"]["constants"]
    np.testing.assert_array_equal(logits(runner), logits(runner_of(file)))


def test_the_tokenizer_and_the_template_are_those_of_the_folder(tmp_path: Path) -> None:
    text = "The quick brown fox, the lazy dog and the others. " * 20
    folder = make_tiny_model(tmp_path / "folder", "qwen3", vocab_text=text)
    file = write_gguf(tmp_path / "model.gguf", folder)
    ours, theirs = Tokenizer(file), Tokenizer(folder)
    assert (ours.vocab_size, ours.eos_id, ours.special_ids) == (theirs.vocab_size, theirs.eos_id, theirs.special_ids)
    messages = [{"role": "user", "content": "The lazy fox\n 它 😀"}]
    prompt = ours.render_chat(messages)
    assert prompt == theirs.render_chat(messages)
    ids = ours.encode(prompt)
    assert ids == theirs.encode(prompt) and ours.decode(ids, skip_special_tokens=False) == prompt
    assert len(ids) < len(prompt.encode())  # merges are used


def test_a_folder_with_one_gguf_file_is_that_file(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "folder", "qwen2", seed=2)
    model = tmp_path / "model"
    model.mkdir()
    file = write_gguf(model / "tiny.gguf", folder)
    assert find_gguf(model) == file and find_gguf(folder) is None
    engine = load_engine(EngineOptions(model, max_len=64, threads=1))
    engine.add("a", PROMPT, SamplingParams(4, temperature=0))
    assert [output for _ in range(5) for output in engine.step()]
    write_gguf(model / "other.gguf", folder)
    with pytest.raises(InputError, match="several GGUF files"):
        read_config(model)


def test_what_is_not_run_is_named_with_the_engine_that_may(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "folder", "qwen2")
    file = write_gguf(tmp_path / "model.gguf", folder, metadata={"qwen2.rope.scaling.type": "yarn"})
    with pytest.raises(UnsupportedError, match="yarn"):
        read_config(file)
    raw = file.read_bytes().replace(b"qwen2", b"mamba")
    (tmp_path / "other.gguf").write_bytes(raw)
    with pytest.raises(UnsupportedError, match="mamba") as caught:
        read_config(tmp_path / "other.gguf")
    assert caught.value.fix == "--engine llamacpp"


def test_a_token_whose_name_says_end_ends_an_answer(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "model.gguf", make_tiny_model(tmp_path / "folder", "qwen2"))
    tokenizer = Tokenizer(file)
    named = {tokenizer.id_of("<|endoftext|>"), tokenizer.id_of("<|im_end|>")}
    assert named == set(read_config(file).eos_ids) and tokenizer.id_of("<|im_start|>") not in named
