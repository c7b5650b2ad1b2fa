"""Supervised fine-tuning in plain PyTorch on a Transformers model, with PEFT's LoRA or in full.

Faster than the common trainers for three reasons that change no number: rows are packed without seeing each other, what they begin
with alike is computed once, and the output projection is computed only where a token carries loss. The loss of a step is the mean
over all its learned tokens, whatever sequences they came in (a mean of means weights short answers more, transformers#34191).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn import functional as F

from zhilu.tuning.config import Chosen, TuneConfig
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.launch.spread import Spread, Work
from zhilu.tuning.recipes.base import TuneRun
from zhilu.tuning.recipes.batches import Packed, pack, step_batches, tensors
from zhilu.tuning.recipes.units import Unit

__all__ = ["SftRun", "add_lora", "greedy", "hidden_of", "loss_sum", "mean_loss", "token_losses"]

_CHUNK = 512  # learned tokens whose logits are in memory at once


def add_lora(model: Any, config: TuneConfig, chosen: Chosen, targets: Sequence[str]) -> Any:
    """The model with trainable adapters on ``targets``; the base is frozen."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=chosen.rank, lora_alpha=cast("int", chosen.alpha), lora_dropout=config.dropout, use_rslora=config.rslora,
        use_dora=config.dora, target_modules=list(targets), task_type="CAUSAL_LM",
    )  # fmt: skip
    with warnings.catch_warnings():
        # PEFT 0.21 asks Transformers for a name that is about to be renamed; nothing that a person could do about it.
        warnings.simplefilter("ignore", FutureWarning)
        adapted = get_peft_model(model, lora)
    adapted.peft_config[
        "default"
    ].base_model_name_or_path = config.model  # its name in the store, not this machine's path
    return adapted


def _parts(model: Any) -> tuple[Any, Any]:
    """The network without its output projection, and that projection."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(causal, causal.base_model_prefix), causal.get_output_embeddings()


def hidden_of(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Hidden states ``(length, hidden)`` of one packed sequence."""
    network, _ = _parts(model)
    hidden: torch.Tensor = network(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
    ).last_hidden_state[0]
    return hidden


def token_losses(model: Any, hidden: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each label ``(count)`` from the hidden state that predicts it ``(count, hidden)``."""
    head = _parts(model)[1]
    losses = [
        F.cross_entropy(head(hidden[at : at + _CHUNK]).float(), labels[at : at + _CHUNK], reduction="none")
        for at in range(0, len(labels), _CHUNK)
    ]
    return torch.cat(losses) if losses else hidden.new_zeros(0)


def loss_sum(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Sum of the cross-entropies of the sequence's learned tokens."""
    return token_losses(model, hidden_of(model, batch)[batch["places"]], batch["labels"]).sum()


def mean_loss(
    model: Any, rows: Sequence[Rendered], length: int, check: Callable[[], None] = lambda: None,
    spread: Spread | None = None,
) -> float:  # fmt: skip
    """Mean cross-entropy of the learned tokens of ``rows``, in nats."""
    was = model.training
    model.eval()

    def work(packed: Packed) -> torch.Tensor:
        check()
        batch = tensors(packed)
        return torch.stack([loss_sum(model, batch), torch.tensor(float(len(batch["labels"])))])

    found = (spread or Spread()).each([partial(work, packed) for packed in pack(rows, length)])
    model.train(was)
    total, count = torch.stack(found).double().sum(0).tolist() if found else (0.0, 1)
    return float(total / max(count, 1))


@torch.no_grad()
def greedy(model: Any, prompt: Sequence[int], ends: frozenset[int], max_tokens: int) -> list[int]:
    """The greedy answer's tokens, the end among them."""
    was = model.training
    model.eval()
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    past, ids, answer = None, torch.tensor([list(prompt)]), []
    for _ in range(max_tokens):
        out = causal(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
        past = out.past_key_values
        token = int(out.logits[0, -1].argmax())
        answer.append(token)
        if token in ends:
            break
        ids = torch.tensor([[token]])
    model.train(was)
    return answer


class SftRun(TuneRun):
    """Supervised: the mean cross-entropy over all learned tokens of a step."""

    def __init__(
        self, model: Any, units: Sequence[Unit], config: TuneConfig, chosen: Chosen, path: Path,
        spread: Spread | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, units, config, chosen, path, spread)
        self.rows = [row for unit in units for row in unit.rows]

    def accumulate(self) -> dict[str, float]:
        sequences = step_batches(
            self.rows, self.chosen.max_len, self.chosen.batch_tokens, self.steps, self.config.seed, self.spread.count
        )
        rows = [row for packed in sequences for row in packed]
        count = sum(row.num_learned - row.learned[0] for row in rows)  # nothing predicts a row's first token

        def work(packed: Packed) -> tuple[torch.Tensor, ...]:
            return (loss_sum(self.model, tensors(packed)) / count,)

        works: list[Work] = [partial(work, packed) for packed in sequences]
        (total,) = self.spread.learn(works)
        return {"loss": total, "tokens": sum(row.size for row in rows), "learned": count}

    def measure(self, held_out: Sequence[Unit], check: Callable[[], None] = lambda: None) -> dict[str, float]:
        rows = [row for unit in held_out for row in unit.rows]
        return {"held_out": mean_loss(self.model, rows, self.chosen.max_len, check, self.spread)}
