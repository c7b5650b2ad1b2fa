"""The reward and its loss against Transformers' own sequence classifier with the same weights, and the formula of TRL 1.16's
RewardTrainer (``-logsigmoid(rewards_chosen - rewards_rejected).mean()``), gradients included."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.tuning.test_preference import PAIRS

pytestmark = [pytest.mark.usefixtures("needs_torch"), pytest.mark.filterwarnings("ignore")]


def test_reward_loss_and_gradients(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    from zhilu.engine.testing import make_tiny_model
    from zhilu.tuning.config import TuneConfig
    from zhilu.tuning.recipes.reward import RewardRun, bradley_terry, row_rewards

    folder = make_tiny_model(tmp_path / "tiny")
    torch.manual_seed(3)
    theirs: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=torch.float32)
    theirs.config.pad_token_id = 0
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chosen: Any = SimpleNamespace(learning_rate=1e-3, max_len=200)
    run = RewardRun(model, list(PAIRS), TuneConfig(model="tiny", data="x", method="full"), chosen, tmp_path / "c.pt")
    with torch.no_grad():
        run.reward_head.weight.copy_(theirs.score.weight)
    rows = [row for unit in PAIRS for row in unit.rows]
    ours = row_rewards(model, run.reward_head, rows)
    reference = torch.cat([theirs(input_ids=torch.tensor([row.ids])).logits[:, 0] for row in rows])
    assert torch.allclose(ours, reference, atol=1e-5)

    bradley_terry(ours[0::2], ours[1::2]).mean().backward()
    loss = -torch.nn.functional.logsigmoid(reference[0::2] - reference[1::2]).mean()
    loss.backward()
    assert float(bradley_terry(ours[0::2], ours[1::2]).mean()) == pytest.approx(float(loss), abs=1e-6)
    assert torch.allclose(run.reward_head.weight.grad, theirs.score.weight.grad, atol=1e-5)
    for name, parameter in theirs.model.named_parameters():
        mine = model.model.get_parameter(name).grad
        assert torch.allclose(mine, parameter.grad, atol=1e-5), name
