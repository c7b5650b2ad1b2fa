"""Answers that the model makes itself: sampled in batches, and their log-probabilities token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.recipes.batches import tensors
from zhilu.tuning.recipes.sft import hidden_of, token_losses
from zhilu.tuning.recipes.units import Unit, pack_units

__all__ = ["Rollout", "looked_at", "sample"]

_ROWS = 64  # answers that are sampled at once


@dataclass
class Rollout:
    """A sampled answer as a sequence whose answer tokens are learned.

    Attributes:
        old, reference: log-probabilities of the answer's tokens ``(length)`` when it was sampled, and under the base.
    """

    unit: Unit
    row: Rendered
    reward: float
    old: Tensor
    reference: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


@torch.no_grad()
def sample(
    model: Any, prompts: Sequence[Sequence[int]], ends: frozenset[int], max_tokens: int, greedy: bool = False
) -> list[list[int]]:
    """An answer to each prompt at temperature 1, the end included; prompts are padded on the left and do not see that."""
    was = model.training
    model.eval()
    answers: list[list[int]] = []
    for at in range(0, len(prompts), _ROWS):
        answers += _sample(model, prompts[at : at + _ROWS], ends, max_tokens, greedy)
    model.train(was)
    return answers


def _sample(
    model: Any, prompts: Sequence[Sequence[int]], ends: frozenset[int], max_tokens: int, greedy: bool
) -> list[list[int]]:
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    answers: list[list[int]] = [[] for _ in prompts]
    going = torch.ones(len(prompts), dtype=torch.bool)
    past = None
    for _ in range(max_tokens):
        out = model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True, logits_to_keep=1
        )  # fmt: skip
        past = out.past_key_values
        logits = out.logits[:, -1].float()
        tokens = logits.argmax(-1) if greedy else torch.multinomial(logits.softmax(-1), 1).squeeze(1)
        for at, token in enumerate(tokens.tolist()):
            if going[at]:
                answers[at].append(token)
                going[at] = token not in ends
        if not going.any():
            break
        ids = tokens[:, None]
        mask = torch.cat([mask, torch.ones(len(prompts), 1, dtype=mask.dtype)], 1)
        positions = positions[:, -1:] + 1
    return answers


def looked_at(model: Any, rows: Sequence[Rendered], length: int, head: Any = None) -> list[tuple[Tensor, Tensor]]:
    """Of each row: the log-probabilities of its answer's tokens, and the values that ``head`` sees before each (zeros without)."""
    units = [Unit((row,)) for row in rows]
    found: dict[int, tuple[Tensor, Tensor]] = {}
    for members in pack_units(units, length):
        batch = tensors([unit.rows[0] for unit in members])
        hidden = hidden_of(model, batch)[batch["places"]]
        logps = -token_losses(model, hidden, batch["labels"])
        values = head(hidden).squeeze(-1) if head is not None else torch.zeros_like(logps)
        counts = [unit.rows[0].num_learned for unit in members]
        for unit, one, other in zip(members, logps.split(counts), values.split(counts), strict=True):
            found[id(unit)] = (one, other)
    return [found[id(unit)] for unit in units]
