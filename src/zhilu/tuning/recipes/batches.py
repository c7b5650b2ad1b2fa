"""Rows to packed sequences: full ones, so that little is computed for nothing, and none of them sees another."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from zhilu.tuning.data.preflight import Rendered

__all__ = ["Packed", "pack", "shared_length", "step_batches", "steps_of_epoch", "tensors"]

Packed = list[Rendered]


def pack(rows: Sequence[Rendered], length: int) -> list[Packed]:
    """Rows in sequences of at most ``length`` tokens: longest first, each where it leaves least room (best-fit decreasing)."""
    sequences: list[tuple[int, Packed]] = []
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        size = len(row.ids)
        fitting = [(room - size, at) for at, (room, _) in enumerate(sequences) if room >= size]
        if fitting:
            room, at = min(fitting)
            sequences[at][1].append(row)
            sequences[at] = (room, sequences[at][1])
        else:
            sequences.append((length - size, [row]))
    return [rows for _, rows in sequences]


def step_batches(
    rows: Sequence[Rendered], length: int, tokens: int, step: int, seed: int, parts: int = 1
) -> list[Packed]:
    """The sequences of optimizer step ``step``: a function of its arguments alone, so that a resumed run goes on as it was.

    Each epoch is shuffled anew and cut into steps of about ``tokens`` tokens, all rows in each epoch once.

    Args:
        parts: processes that share the step: where its rows would fill fewer sequences, these are shorter.
    """
    per_epoch = steps_of_epoch(rows, tokens)
    epoch, place = divmod(step, per_epoch)
    order = list(rows)
    random.Random(f"{seed}/{epoch}").shuffle(order)
    bounds = [round(len(order) * at / per_epoch) for at in (place, place + 1)]
    return pack(order[bounds[0] : bounds[1]], shared_length(order[bounds[0] : bounds[1]], length, parts))


def shared_length(rows: Sequence[Any], length: int, parts: int) -> int:
    """Tokens of a sequence, at most ``length``, so that ``parts`` processes each have one of about the same size."""
    sizes = [one.size for one in rows]
    return min(length, max(*sizes, -(-sum(sizes) // parts))) if parts > 1 and sizes else length


def steps_of_epoch(rows: Sequence[Rendered], tokens: int) -> int:
    total = sum(len(row.ids) for row in rows)
    return max(1, min(len(rows), -(-total // tokens)))


def tensors(packed: Packed) -> dict[str, Any]:
    """One sequence for the model: ``input_ids``, ``position_ids`` (1, length), a mask that keeps rows apart
    (1, 1, length, length; True may look), and ``places`` of the hidden states that predict a learned token, with ``labels`` and
    the numbers of their ``rows``."""
    import torch

    ids = torch.tensor([id for row in packed for id in row.ids])
    positions = torch.tensor([place for row in packed for place in range(len(row.ids))])
    rows = torch.tensor([number for number, row in enumerate(packed) for _ in row.ids])
    learned = torch.tensor([at > 0 and carries for row in packed for at, carries in enumerate(row.learned)])
    places = learned.nonzero().squeeze(1)
    mask = (rows[:, None] == rows[None, :]) & torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    return {
        "input_ids": ids[None],
        "position_ids": positions[None],
        "attention_mask": mask[None, None],
        "places": places - 1,
        "rows": rows[places],
        "labels": ids[places],
    }
