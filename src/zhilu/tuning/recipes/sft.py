"""Supervised fine-tuning in plain PyTorch on a Transformers model, with PEFT's LoRA or in full.

Faster than the common trainers for two reasons that change no number: rows are packed without seeing each other, and the
output projection is computed only where a token carries loss. The loss of a step is the mean over all its learned tokens,
whatever sequences they came in (a mean of means weights short answers more, transformers#34191).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn import functional as F

from zhilu.training.loop import Run, warmup_stable_decay
from zhilu.tuning.config import Chosen, TuneConfig
from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.recipes.batches import pack, step_batches, tensors

__all__ = ["SftRun", "add_lora", "greedy", "loss_sum", "mean_loss"]

_CHUNK = 512  # learned tokens whose logits are in memory at once
_CLIP = 1.0


def add_lora(model: Any, config: TuneConfig, chosen: Chosen, targets: Sequence[str]) -> Any:
    """The model with trainable adapters on ``targets``; the base is frozen."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(config.seed)
    lora = LoraConfig(
        r=chosen.rank, lora_alpha=cast("int", chosen.alpha), lora_dropout=config.dropout, use_rslora=config.rslora,
        target_modules=list(targets), task_type="CAUSAL_LM",
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


def loss_sum(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Sum of the cross-entropies of the sequence's learned tokens."""
    network, head = _parts(model)
    hidden = network(
        input_ids=batch["input_ids"],
        position_ids=batch["position_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
    ).last_hidden_state[0]
    chosen, labels = hidden[batch["places"]], batch["labels"]
    losses = [
        F.cross_entropy(head(chosen[at : at + _CHUNK]).float(), labels[at : at + _CHUNK], reduction="sum")
        for at in range(0, len(labels), _CHUNK)
    ]
    return torch.stack(losses).sum()


@torch.no_grad()
def mean_loss(model: Any, rows: Sequence[Rendered], length: int, check: Callable[[], None] = lambda: None) -> float:
    """Mean cross-entropy of the learned tokens of ``rows``, in nats."""
    was = model.training
    model.eval()
    total, count = 0.0, 0
    for packed in pack(rows, length):
        check()
        batch = tensors(packed)
        total += float(loss_sum(model, batch))
        count += len(batch["labels"])
    model.train(was)
    return total / max(count, 1)


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


class SftRun(Run):
    """One run. Its checkpoint holds the trained tensors, the optimizer and the step: a few megabytes with LoRA."""

    counters = ("steps", "best", "best_step", "waited", "tokens", "seconds")

    def __init__(self, model: Any, rows: Sequence[Rendered], config: TuneConfig, chosen: Chosen, path: Path) -> None:
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, lr=chosen.learning_rate, betas=(0.9, 0.999), weight_decay=0.0 if config.method == "lora" else 0.01
        )
        super().__init__(model, [optimizer], path)
        self.rows, self.config, self.chosen, self.trained = rows, config, chosen, trained
        self.best, self.best_step, self.waited = math.inf, 0, 0
        self.tokens, self.seconds = 0, 0.0

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: p.detach() for name, p in self.model.named_parameters() if p.requires_grad}

    def load_weights(self, state: dict[str, torch.Tensor]) -> None:
        own = self.weights()
        assert own.keys() == state.keys(), "a checkpoint of another run"
        for name, tensor in own.items():
            tensor.copy_(state[name])

    def step(self) -> dict[str, float]:
        """One optimizer step; returns its loss, gradient norm, learning rate and numbers of tokens."""
        share = warmup_stable_decay(
            self.steps, self.steps / self.chosen.steps, max(1, min(20, self.chosen.steps // 10)), 0.5, 0.02
        )
        self.set_rates(share)
        torch.manual_seed(self.config.seed * 1_000_003 + self.steps)  # dropout, the same after a resumption
        batches = list(self._batches())
        count = sum(len(batch["labels"]) for batch in batches)
        total = 0.0
        for batch in batches:
            loss = loss_sum(self.model, batch) / count
            loss.backward()
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.trained, _CLIP))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        tokens = sum(batch["input_ids"].shape[1] for batch in batches)
        self.tokens += tokens
        return {
            "loss": total,
            "grad_norm": norm,
            "learning_rate": self.chosen.learning_rate * share,
            "tokens": tokens,
            "learned": count,
        }

    def _batches(self) -> Iterator[dict[str, Any]]:
        for packed in step_batches(
            self.rows, self.chosen.max_len, self.chosen.batch_tokens, self.steps, self.config.seed
        ):
            yield tensors(packed)

    def judge(self, loss: float) -> bool:
        """Note a held-out loss; True where it is the best so far."""
        if loss < self.best:
            self.best, self.best_step, self.waited = loss, self.steps, 0
            return True
        self.waited += 1
        return False
