"""A safetensors folder as GGUF: every tensor's values, the tokenizer, and one file for one set of weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zhilu.engine import convert_gguf
from zhilu.engine.convert_gguf import CannotConvert, convert, target_of
from zhilu.models.shipped import NANO

pytest.importorskip("gguf", reason="the package gguf is not installed")


def read(file: Path) -> tuple[dict[str, object], dict[str, object]]:
    from gguf import GGUFReader

    reader = GGUFReader(file)
    return {name: field.contents() for name, field in reader.fields.items()}, {t.name: t for t in reader.tensors}


def test_nano_becomes_a_gguf_with_all_it_has(tmp_path: Path) -> None:
    import numpy as np

    file = tmp_path / "nano.gguf"
    convert(NANO, file, "f32")
    fields, tensors = read(file)
    config = json.loads((NANO / "config.json").read_text())
    tokenizer = json.loads((NANO / "tokenizer.json").read_text())
    assert fields["general.architecture"] == "qwen3"
    assert fields["qwen3.block_count"] == config["num_hidden_layers"]
    assert fields["qwen3.attention.key_length"] == config["head_dim"]
    tokens = fields["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list) and len(tokens) == config["vocab_size"]
    assert all(tokens[number] == text for text, number in tokenizer["model"]["vocab"].items())
    kinds = fields["tokenizer.ggml.token_type"]
    assert isinstance(kinds, list) and [kinds[t["id"]] for t in tokenizer["added_tokens"]] == [
        3 if t["special"] else 4 for t in tokenizer["added_tokens"]
    ]
    assert fields["tokenizer.ggml.eos_token_id"] == config["eos_token_id"]
    assert fields["tokenizer.ggml.pre"] == "qwen2"
    assert "<|im_start|>" in str(fields["tokenizer.chat_template"])
    stored = {name: values for name, _, values in convert_gguf._read(NANO)}
    assert len(tensors) == len(stored)
    embedding = tensors["token_embd.weight"].data  # type: ignore[attr-defined]
    assert np.array_equal(embedding, stored["model.embed_tokens.weight"])
    query = tensors["blk.0.attn_q.weight"].data  # type: ignore[attr-defined]
    assert np.array_equal(query, stored["model.layers.0.self_attn.q_proj.weight"])


def test_a_file_is_named_by_its_weights_and_made_once(tmp_path: Path) -> None:
    script = [sys.executable, convert_gguf.__file__, str(NANO), str(tmp_path), "stored"]
    command = [*script, "--", sys.executable, "-c", "import sys; print('serving', sys.argv[1])"]
    first = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    made = Path(first[1])
    assert first[0] == "serving" and made == target_of(NANO, tmp_path, "stored")
    before = made.stat().st_mtime_ns
    subprocess.run(command, capture_output=True, check=True)
    assert made.stat().st_mtime_ns == before
    assert target_of(NANO, tmp_path, "f32") != made
    assert [path.name for path in tmp_path.iterdir()] == [made.name]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rotary scaling"),
    ],
)
def test_what_has_no_counterpart_is_refused_and_leaves_nothing(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    config = json.loads((NANO / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(CannotConvert, match=said):
        convert(folder, tmp_path / "x.gguf")
    assert not list(tmp_path.glob("*gguf*"))
