"""Broken and hostile model files: one clear message each, at once and without the memory that they ask for."""

from __future__ import annotations

import json
import pickle
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zhilu.engine.engine import load_engine
from zhilu.engine.model.gguf import read_gguf
from zhilu.engine.options import EngineOptions
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.testing_gguf import write_gguf
from zhilu.errors import InputError, ZhiluError

MOST_MB = 300  # what a refusal may add to the largest memory of this process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("m") / "folder", "qwen2", seed=1)


@pytest.fixture
def file(tmp_path: Path, folder: Path) -> Path:
    return write_gguf(tmp_path / "model.gguf", folder, "Q8_0")


def patched(file: Path, at: int, raw: bytes) -> None:
    data = bytearray(file.read_bytes())
    data[at : at + len(raw)] = raw
    file.write_bytes(data)


def description(file: Path, name: str) -> int:
    """The place after a tensor's name in the header: dimensions, sizes, kind, offset follow."""
    return file.read_bytes().rindex(name.encode()) + len(name)


def a_key(name: str, kind: int, raw: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + raw


def header(pairs: list[bytes], num_pairs: int | None = None, num_tensors: int = 0) -> bytes:
    return (
        b"GGUF" + struct.pack("<IQQ", 3, num_tensors, len(pairs) if num_pairs is None else num_pairs) + b"".join(pairs)
    )


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def drop_key(file: Path, key: str) -> None:
    """Rename it: nobody finds it any more."""
    raw = file.read_bytes()
    assert key.encode() in raw
    file.write_bytes(raw.replace(key.encode(), b"X" * len(key)))


def nan_scale(file: Path) -> None:
    patched(file, read_gguf(file).tensors["blk.0.ffn_up.weight"].start, np.array([np.nan], np.float16).tobytes())


def nan_norm(file: Path) -> None:
    patched(file, read_gguf(file).tensors["blk.1.attn_norm.weight"].start, np.array([np.nan], np.float32).tobytes())


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda f: f.write_bytes(b""), "too short"),
    "cut inside the header": (lambda f: f.write_bytes(f.read_bytes()[:900]), "ends inside its header"),
    "cut inside the weights": (cut, "cut"),
    "wrong magic": (lambda f: patched(f, 0, b"GGML"), "GGML"),
    "a pickle under that name": (lambda f: f.write_bytes(pickle.dumps({"weights": [1.0] * 99})), "begins with"),
    "version 9": (lambda f: patched(f, 4, struct.pack("<I", 9)), "version 9"),
    "big-endian": (lambda f: patched(f, 4, struct.pack(">I", 3)), "big-endian"),
    "2^60 tensors": (lambda f: patched(f, 8, struct.pack("<Q", 2**60)), "tensors"),
    "2^60 keys": (lambda f: patched(f, 16, struct.pack("<Q", 2**60)), "keys"),
    "a string of 2^60 bytes": (lambda f: patched(f, 24, struct.pack("<Q", 2**60)), "ends inside its header"),
    "an array of 2^60 numbers": (
        lambda f: f.write_bytes(header([a_key("a", 9, struct.pack("<IQ", 4, 2**60))])),
        "array of",
    ),
    "thirty million empty strings": (
        lambda f: f.write_bytes(header([a_key("a", 9, struct.pack("<IQ", 8, 30_000_000) + bytes(8_000_000))])),
        "array of 30000000",
    ),
    "arrays in arrays": (
        lambda f: f.write_bytes(header([a_key("a", 9, struct.pack("<IQIQ", 9, 1, 9, 1) + bytes(64))])),
        "type 9",
    ),
    "an unknown type of value": (lambda f: f.write_bytes(header([a_key("a", 99, bytes(16))])), "unknown type 99"),
    "seventeen dimensions": (
        lambda f: patched(f, description(f, "blk.0.ffn_up.weight"), struct.pack("<I", 17)),
        "17 dimensions",
    ),
    "a size of 2^62": (
        lambda f: patched(f, description(f, "blk.0.ffn_up.weight") + 4, struct.pack("<Q", 2**62)),
        "would end at byte",
    ),
    "an unknown block format": (
        lambda f: patched(f, description(f, "blk.0.ffn_up.weight") + 20, struct.pack("<I", 777)),
        "number 777",
    ),
    "a place beyond the file": (
        lambda f: patched(f, description(f, "blk.0.ffn_up.weight") + 24, struct.pack("<Q", 2**50)),
        "would end at byte",
    ),
    "two tensors in one place": (
        lambda f: patched(f, description(f, "blk.0.ffn_up.weight") + 24, struct.pack("<Q", 0)),
        "overlap",
    ),
    "no tokenizer": (lambda f: drop_key(f, "tokenizer.ggml.tokens"), "holds no tokenizer"),
    "no number of layers": (lambda f: drop_key(f, "qwen2.block_count"), "block_count"),
    "a tensor is missing": (lambda f: drop_key(f, "blk.1.ffn_down.weight"), "missing"),
    "an end that is no token": (
        lambda f: patched(f, f.read_bytes().index(b"eos_token_id") + 16, struct.pack("<I", 2**31)),
        "eos_token_id",
    ),
    "NaN among the scales": (nan_scale, "NaN"),
    "NaN in a norm": (nan_norm, "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_broken_file_is_refused_with_its_fault(file: Path, case: str) -> None:
    damage, needle = FILES[case]
    damage(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=needle.replace("(", r"\(")) as caught:
        load_engine(EngineOptions(file, max_len=64, threads=1))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MB * 1024
    assert caught.value.message.zh != caught.value.message.en and len(caught.value.message.en) < 600


def test_a_vocabulary_of_another_model_is_refused(tmp_path: Path, folder: Path, file: Path) -> None:
    other = make_tiny_model(tmp_path / "other", "qwen2", vocab_text="one two three four " * 30)
    (tmp_path / "mixed").mkdir()
    for path in folder.iterdir():
        (tmp_path / "mixed" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "mixed" / "tokenizer.json").write_bytes((other / "tokenizer.json").read_bytes())
    with pytest.raises(InputError, match="tokens, its weights have"):
        load_engine(EngineOptions(write_gguf(tmp_path / "mixed.gguf", tmp_path / "mixed"), max_len=64, threads=1))


@pytest.mark.parametrize(
    ("template", "needle"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "too much"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "too much"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 'x' * 99999999999 }}", "too much"),
        ("{% set s = namespace(v='xxxxxxxxxxxxxxxx') %}{% for a in range(60) %}{% set s.v = s.v ~ s.v %}{% endfor %}", "too much"),
        ("{% set s = namespace(v='xxxxxxxxxxxxxxxx') %}{% for a in range(60) %}{% set s.v = s.v + s.v %}{% endfor %}", "too much"),
        ("{{ 'x'.ljust(9999999999) }}", "too much"),
        ("{{ 'x' | center(9999999999) }}", "too much"),
        ("{{ '%9999999999d' | format(1) }}", "too much"),
        ("{{ '%9999999999d' % 1 }}", "too much"),
        ("{{ '{:9999999999}'.format(1) }}", "too much"),
        ("{{ 9 ** 99999999 }}", "too much"),
        ("{{ ''.__class__.__mro__ }}", "__class__"),
    ],
)  # fmt: skip
def test_a_template_that_never_ends_or_fills_the_memory_is_stopped(
    tmp_path: Path, folder: Path, template: str, needle: str
) -> None:
    from zhilu.engine.text.chat_template import ChatTemplate

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=needle):
        ChatTemplate(template, {}).render([{"role": "user", "content": "hello"}])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MB * 1024


def test_weights_with_nan_are_refused_from_safetensors_too(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    model = make_tiny_model(tmp_path / "m", "llama")
    tensors = load_file(model / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 3] = np.inf
    save_file(tensors, model / "model.safetensors")
    for precision in ("full", "int8"):
        with pytest.raises(ZhiluError, match="NaN"):
            load_engine(EngineOptions(model, max_len=64, threads=1, precision=precision))


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("gptq", "GPTQ"),
        ("awq", "AWQ"),
        ("fp8", "FP8"),
        ("bitsandbytes", "bitsandbytes"),
        ("compressed-tensors", "compressed"),
    ],
)
def test_quantized_safetensors_are_refused_by_name(tmp_path: Path, method: str, name: str) -> None:
    model = make_tiny_model(tmp_path / "m", "llama")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": method}}))
    with pytest.raises(InputError, match=method) as caught:
        load_engine(EngineOptions(model, max_len=64, threads=1))
    assert "vllm" in str(caught.value.fix)
