from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from zhilu.engine.model.config import read_config
from zhilu.engine.model.weights import (
    as_bfloat16,
    as_float32,
    dropping_pages,
    load_tensors,
    map_tensors,
    release_pages,
)
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, NotFoundError


def load(path: Path) -> dict[str, Any]:
    return map_tensors(path, read_config(path))


def rewrite(path: Path, change: Any) -> None:
    tensors = load_file(path / "model.safetensors")
    change(tensors)
    save_file(tensors, path / "model.safetensors")


def test_sharded_and_single_files_hold_the_same(tmp_path: Path) -> None:
    single = load(make_tiny_model(tmp_path / "a"))
    sharded = load(make_tiny_model(tmp_path / "b", shards=3))
    assert list(single) == list(sharded)
    assert all(np.array_equal(single[name], sharded[name]) for name in single)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path, shards=2)
    (path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(NotFoundError, match="model-00002-of-00002"):
        load(path)


def test_all_disagreements_are_reported_at_once(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path)

    def spoil(tensors: dict[str, Any]) -> None:
        del tensors["model.norm.weight"]
        tensors["model.surprise"] = np.zeros(3, np.float32)
        tensors["model.layers.0.mlp.up_proj.weight"] = np.zeros((2, 2), np.float32)

    rewrite(path, spoil)
    with pytest.raises(InputError) as caught:
        load(path)
    text = caught.value.message.en
    assert "missing: model.norm.weight" in text and "unexpected: model.surprise" in text
    assert "up_proj.weight (2, 2) != (128, 64)" in text
    assert "缺少" in caught.value.message.zh


def test_harmless_surplus_is_ignored(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path, "qwen3")

    def add(tensors: dict[str, Any]) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.zeros(8, np.float32)

    rewrite(path, add)
    assert "lm_head.weight" not in load(path)


@pytest.mark.usefixtures("needs_torch")
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_numpy_sees_what_torch_sees(tmp_path: Path, dtype: str) -> None:
    import torch
    from safetensors.torch import save_file as save_torch

    path = make_tiny_model(tmp_path)
    file = path / "model.safetensors"
    tensors = {name: torch.from_numpy(a).to(getattr(torch, dtype)) for name, a in load_file(file).items()}
    save_torch(tensors, file)
    before = file.read_bytes()
    mapped = load(path)
    for name, expected in load_tensors(path, read_config(path)).items():
        np.testing.assert_array_equal(as_float32(mapped[name]), expected.float().numpy())
    release_pages(mapped)
    np.testing.assert_array_equal(as_float32(mapped[name]), expected.float().numpy())
    mapped["model.norm.weight"][:] = 0
    del mapped
    assert file.read_bytes() == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/smaps")
def test_what_was_read_of_a_mapped_file_leaves_the_memory_while_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    np.arange(2**20, dtype=np.int32).tofile(file)
    mapped = np.memmap(file, np.int32, "c")

    def resident_kb() -> int:
        after = Path("/proc/self/smaps").read_text().partition(str(file))[2]
        return int(after.partition("Rss:")[2].split()[0])

    whole = int(mapped.sum(dtype=np.int64))
    assert resident_kb() >= 4096
    with dropping_pages([mapped], every_seconds=0.01):
        for _ in range(1000):
            if resident_kb() == 0:
                break
            time.sleep(0.01)
        assert resident_kb() == 0
        assert int(mapped.sum(dtype=np.int64)) == whole  # read from the file again
    assert not any(thread.name == "drop-pages" for thread in threading.enumerate())


def test_another_dtype_is_refused_by_name(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path)
    rewrite(path, lambda t: t.update({"model.norm.weight": t["model.norm.weight"].astype(np.int8)}))
    with pytest.raises(InputError, match=r"'model\.norm\.weight' is stored as 'I8'"):
        load(path)


def test_pickles_and_damaged_files_are_refused(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path)
    (path / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(InputError, match="damaged"):
        load(path)
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    with pytest.raises(NotFoundError, match="pickle"):
        load(path)


@pytest.mark.usefixtures("needs_torch")
def test_bfloat16_is_rounded_as_torch_rounds() -> None:
    import torch

    values = np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
    values[:4] = [0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8]  # ties go to the even one
    expected = torch.from_numpy(values).to(torch.bfloat16)
    np.testing.assert_array_equal(as_float32(as_bfloat16(values)), expected.float().numpy())
