from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zhilu.engine.model.config import read_config, tensor_shapes
from zhilu.engine.testing import make_tiny_model
from zhilu.errors import InputError, NotFoundError, UnsupportedError


def edited(tmp_path: Path, arch: str = "llama", drop: tuple[str, ...] = (), **changes: Any) -> Path:
    path = make_tiny_model(tmp_path / "m", arch)
    file = path / "config.json"
    config = {k: v for k, v in json.loads(file.read_text()).items() if k not in drop}
    file.write_text(json.dumps({**config, **changes}))
    return path


def test_families_differ_where_they_should(tmp_path: Path) -> None:
    llama, qwen2, qwen3 = (read_config(make_tiny_model(tmp_path / a, a)) for a in ("llama", "qwen2", "qwen3"))
    assert (llama.qkv_bias, qwen2.qkv_bias, qwen3.qkv_bias) == (False, True, False)
    assert (llama.qk_norm, qwen2.qk_norm, qwen3.qk_norm) == (False, False, True)
    assert (llama.tied, qwen2.tied) == (False, True)
    assert "lm_head.weight" in dict(tensor_shapes(llama)) and "lm_head.weight" not in dict(tensor_shapes(qwen2))


@pytest.mark.parametrize(
    ("changes", "needle"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM"),
        ({"architectures": None}, "(none)"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ({"use_sliding_window": True, "sliding_window": 128}, "128"),
        ({"rope_parameters": {"rope_type": "proportional", "factor": 4.0}}, "proportional"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "0.5"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], needle: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        read_config(edited(tmp_path, **changes))
    assert needle in caught.value.message.en and needle in caught.value.message.zh
    assert caught.value.code == "unsupported_model"


@pytest.mark.parametrize(
    ("architecture", "what"),
    [
        ("Qwen3_5ForConditionalGeneration", "linear attention"),
        ("GptOssForCausalLM", "attention sinks"),
        ("DeepseekV3ForCausalLM", "latent attention"),
        ("Llama4ForConditionalGeneration", "chunked attention"),
        ("Gemma4ForConditionalGeneration", "different sizes"),
        ("GraniteMoeHybridForCausalLM", "state-space"),
        ("ChatGLMModel", "-hf"),
    ],
)
def test_what_people_pull_and_we_do_not_run_is_told_with_what_is_missing(
    tmp_path: Path, architecture: str, what: str
) -> None:
    with pytest.raises(UnsupportedError, match=what) as caught:
        read_config(edited(tmp_path, architectures=[architecture]))
    assert "llamacpp" in str(caught.value.fix) and "vllm" in str(caught.value.fix)


def test_numbers_are_checked_before_anything_is_made_of_them(tmp_path: Path) -> None:
    for key, value in {"num_hidden_layers": 10**9, "hidden_size": -64, "vocab_size": True, "head_dim": 2**40}.items():
        with pytest.raises(InputError, match=key):
            read_config(edited(tmp_path, **{key: value}))


def test_older_spellings_of_rope_are_read(tmp_path: Path) -> None:
    scaling = {"type": "linear", "factor": 2.0}
    rope = read_config(edited(tmp_path, drop=("rope_parameters",), rope_theta=5e5, rope_scaling=scaling)).rope
    assert (rope.theta, rope.kind, rope.factor) == (5e5, "linear", 2.0)


def test_head_dim_and_kv_heads_have_the_families_defaults(tmp_path: Path) -> None:
    config = read_config(edited(tmp_path, drop=("head_dim", "num_key_value_heads")))
    assert (config.head_dim, config.num_kv_heads) == (16, 4)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_config(tmp_path)
    with pytest.raises(InputError, match="vocab_size"):
        read_config(edited(tmp_path, vocab_size=None))
    with pytest.raises(InputError, match="evenly"):
        read_config(edited(tmp_path, num_key_value_heads=3))
