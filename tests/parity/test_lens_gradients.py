"""The gradients that Lens writes out in NumPy equal PyTorch's on zhilu-nano."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zhilu.engine.observe import Observer
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.lens.backward import loss_and_gradients
from zhilu.models.shipped import NANO


@pytest.mark.usefixtures("needs_torch")
def test_every_weight() -> None:
    import torch
    from transformers import AutoModelForCausalLM

    ids = Tokenizer(NANO).encode("The capital of France is Paris, and 北京是中国的首都。")
    loss, gradients = loss_and_gradients(Observer(NANO), ids)
    model: Any = AutoModelForCausalLM.from_pretrained(NANO, dtype=torch.float32, attn_implementation="eager").eval()
    theirs = model(torch.tensor([ids]), labels=torch.tensor([ids])).loss
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), abs=1e-4)
    named = dict(model.named_parameters())
    assert set(gradients) == set(named)
    for name, parameter in named.items():
        largest = float(parameter.grad.abs().max())
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), atol=2e-4 * largest, err_msg=name)
