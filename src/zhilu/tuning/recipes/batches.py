"""Rows to packed sequences: full ones, so that little is computed for nothing, and none of them sees another.

What rows begin with alike (a system prompt, a question with two answers) is computed once: a sequence is the tree of its rows, and a
token sees its own way from the root. Losses and gradients are those of the rows one by one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from zhilu.tuning.data.preflight import Rendered

__all__ = ["Packed", "pack", "shared_length", "shared_start", "step_batches", "steps_of_epoch", "tensors", "tree_size"]

Packed = list[Rendered]


def pack(rows: Sequence[Rendered], length: int) -> list[Packed]:
    """Rows in sequences of at most ``length`` tokens: longest first, each where it leaves least room (best-fit decreasing).

    The start that all of them share takes room once a sequence.
    """
    shared = shared_start([row.ids for row in rows])
    sequences: list[tuple[int, Packed]] = []
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        size = len(row.ids) - shared
        fitting = [(room - size, at) for at, (room, _) in enumerate(sequences) if room >= size]
        if fitting:
            room, at = min(fitting)
            sequences[at][1].append(row)
            sequences[at] = (room, sequences[at][1])
        else:
            sequences.append((length - shared - size, [row]))
    return [rows for _, rows in sequences]


def shared_start(rows: Sequence[tuple[int, ...]]) -> int:
    """Tokens that all ``rows`` begin with alike."""
    if not rows:
        return 0
    first, last = min(rows), max(rows)  # what the two furthest apart share, all share
    return next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))


def tree_size(rows: Sequence[tuple[int, ...]]) -> int:
    """Tokens of ``rows``, each start that some of them share counted once."""
    ordered = sorted(rows)
    twice = sum(shared_start(ordered[at : at + 2]) for at in range(len(ordered) - 1))
    return sum(map(len, ordered)) - twice


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
    """One sequence for the model, of ``length`` tokens: ``input_ids``, ``position_ids`` (1, length), a mask that keeps rows apart
    (1, 1, length, length; True may look), and ``places`` of the hidden states that predict a learned token, with ``labels`` and
    the numbers of their ``rows``, row by row; ``lasts``: the place of each row's last learned token."""
    import torch

    ids: list[int] = []
    positions: list[int] = []
    known: dict[tuple[int, int], int] = {}  # (token before in the tree, id) to its place
    ways = []
    for row in packed:
        before = -1
        way: list[int] = []
        for depth, id in enumerate(row.ids):
            before = known.setdefault((before, id), len(ids))
            if before == len(ids):
                ids.append(id)
                positions.append(depth)
            way.append(before)
        ways.append(torch.tensor(way))
    mask = torch.zeros(len(ids), len(ids), dtype=torch.bool)
    for path in ways:
        mask[path[:, None], path[None, :]] = torch.ones(len(path), len(path), dtype=torch.bool).tril()
    learned = [
        (int(ways[number][at - 1]), row.ids[at], number)
        for number, row in enumerate(packed)
        for at, carries in enumerate(row.learned)
        if carries and at > 0
    ]
    places, labels, rows = torch.tensor(learned, dtype=torch.long).reshape(-1, 3).unbind(1)
    return {
        "input_ids": torch.tensor(ids)[None],
        "position_ids": torch.tensor(positions)[None],
        "attention_mask": mask[None, None],
        "places": places,
        "rows": rows,
        "labels": labels,
        "lasts": torch.tensor([int(way[_last(row)]) for row, way in zip(packed, ways, strict=True)]),
    }


def _last(row: Rendered) -> int:
    return max((at for at, carries in enumerate(row.learned) if carries), default=-1)
