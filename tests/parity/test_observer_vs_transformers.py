"""What the observer saw equals transformers' eager attention: maps, hidden states and logits, to 1e-5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zhilu.engine.observe import Observer
from zhilu.engine.testing import make_tiny_model
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.models.shipped import NANO

pytestmark = pytest.mark.usefixtures("needs_torch")
TEXT = "The cat sat on the mat because the cat was tired. 猫坐在垫子上，因为猫累了。"


def seen_by_transformers(folder: Path, ids: list[int]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.inference_mode():
        return model(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)


def check(folder: Path, ids: list[int]) -> None:
    observer = Observer(folder)
    seen = observer.observe(ids, range(observer.config.num_layers))
    theirs = seen_by_transformers(folder, ids)
    for layer, maps in enumerate(theirs.attentions):
        np.testing.assert_allclose(seen.attention[layer], maps[0].numpy(), atol=1e-5)
    for mine, states in zip(seen.hidden[:-1], theirs.hidden_states[:-1], strict=True):
        np.testing.assert_allclose(mine, states[0].numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(observer.logits(seen.hidden[-1]), theirs.logits[0].numpy(), rtol=1e-4, atol=2e-4)


def test_zhilu_nano() -> None:
    check(NANO, Tokenizer(NANO).encode(TEXT))


@pytest.mark.parametrize("arch", ["llama", "qwen2", "qwen3"])
def test_each_family(arch: str, tmp_path: Path) -> None:
    check(make_tiny_model(tmp_path / "m", arch, seed=3), list(range(40, 90)))


@pytest.mark.real_model
def test_a_real_model(real_model: Any) -> None:
    folder = real_model("qwen-coder-0.5b")
    if not (folder / "config.json").is_file():
        pytest.skip("a GGUF file: transformers has nothing to compare with")
    check(folder, Tokenizer(folder).encode(TEXT))
