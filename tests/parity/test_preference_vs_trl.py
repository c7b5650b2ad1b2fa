"""DPO and KTO against TRL on the same batch: the same loss and the same gradients, to rounding.

TRL is no part of what Zhilu installs: `pip install --no-deps trl==1.16.0 datasets` and what they need, in an environment of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl", reason="TRL is not installed here")

from tests.unit.tuning.test_preference import PAIRS, SINGLE, a_run

pytestmark = [pytest.mark.usefixtures("needs_torch"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from zhilu.engine.testing import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("m") / "tiny")


def _padded(rows: list[Any]) -> dict[str, Any]:
    import torch

    longest = max(len(row.ids) for row in rows)
    ids, mask, learned = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(3))
    for at, one in enumerate(rows):
        ids[at, : len(one.ids)] = torch.tensor(one.ids)
        mask[at, : len(one.ids)] = 1
        learned[at, : len(one.ids)] = torch.tensor(one.learned).long()
    return {"input_ids": ids, "attention_mask": mask, "completion_mask": learned}


@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_the_loss_is_trls(folder: Path, tmp_path: Path, objective: str) -> None:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer

    units = PAIRS if objective == "dpo" else SINGLE
    run = a_run(objective, units, tmp_path / "c.pt", folder=folder, method="full", learning_rate=1e-3, max_len=90)
    torch.manual_seed(5)
    for parameter in run.model.parameters():  # away from the reference, where the loss says something
        parameter.data.add_(0.02 * torch.randn_like(parameter))
    import zhilu.tuning.recipes.preference as preference

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preference, "step_units", lambda *_: list(units))
        ours = run.accumulate()
    grads = {name: p.grad.clone() for name, p in run.model.named_parameters() if p.grad is not None}
    run.model.zero_grad()

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    rest: dict[str, Any] = {
        "output_dir": str(tmp_path / "out"), "report_to": [], "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
        "per_device_train_batch_size": len(units), "beta": 0.1,
    }  # fmt: skip
    if objective == "dpo":
        data = Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 8)
        trainer: Any = DPOTrainer(
            model=run.model, ref_model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            args=DPOConfig(**rest), train_dataset=data, processing_class=tokenizer,
        )  # fmt: skip
        inputs = _padded([unit.rows[0] for unit in units] + [unit.rows[1] for unit in units])
    else:
        data = Dataset.from_list([{"prompt": "a", "completion": "b", "label": at % 2 == 0} for at in range(8)])
        trainer = KTOTrainer(
            model=run.model, ref_model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            args=KTOConfig(**rest), train_dataset=data, processing_class=tokenizer,
        )  # fmt: skip
        inputs = _padded([unit.rows[0] for unit in units])
        across = _padded([run.crossed[id(unit)].rows[0] for unit in units])
        inputs |= {f"KL_{key}": value for key, value in across.items()}
        inputs["label"] = torch.tensor([bool(unit.label) for unit in units])
    trainer.model.train()
    theirs = trainer.compute_loss(trainer.model, inputs)
    theirs.backward()
    assert ours["loss"] == pytest.approx(float(theirs.detach()), rel=1e-4)
    if objective == "kto":
        assert ours["kl"] > 0
    compared = 0
    for name, p in trainer.model.named_parameters():
        if p.grad is not None and name in grads:
            assert torch.allclose(grads[name], p.grad, atol=1e-5, rtol=1e-3), name
            compared += 1
    assert compared > 10
