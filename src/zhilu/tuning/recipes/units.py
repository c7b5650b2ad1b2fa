"""What a recipe learns from at once: a row, a pair of rows, or a row with a verdict; and which of them make up a step."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from zhilu.tuning.data.preflight import Rendered
from zhilu.tuning.recipes.batches import shared_start, tree_size

__all__ = ["Unit", "crossed", "pack_units", "step_units"]


@dataclass(frozen=True, eq=False)
class Unit:
    """``rows``: one sequence, or the better and the worse answer; ``label``: whether a single answer is good."""

    rows: tuple[Rendered, ...]
    label: bool | None = None

    @property
    def size(self) -> int:
        return sum(len(row.ids) for row in self.rows)


def step_units(units: Sequence[Unit], tokens: int, step: int, seed: int) -> list[Unit]:
    """The units of optimizer step ``step``: a function of its arguments alone, as ``step_batches`` is."""
    per_epoch = max(1, min(len(units), -(-sum(unit.size for unit in units) // tokens)))
    epoch, place = divmod(step, per_epoch)
    order = list(units)
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order[round(len(order) * place / per_epoch) : round(len(order) * (place + 1) / per_epoch)]


def pack_units(units: Sequence[Unit], length: int) -> list[list[Unit]]:
    """Units in sequences of at most ``length`` tokens, the rows of a unit side by side (best-fit decreasing); what rows of a unit, or
    all rows, begin with alike takes room once."""
    shared = shared_start([row.ids for unit in units for row in unit.rows])
    sizes = {id(unit): tree_size([row.ids for row in unit.rows]) - shared for unit in units}
    sequences: list[tuple[int, list[Unit]]] = []
    for unit in sorted(units, key=lambda unit: -sizes[id(unit)]):
        size = sizes[id(unit)]
        fitting = [(room - size, at) for at, (room, _) in enumerate(sequences) if room >= size]
        if fitting:
            room, at = min(fitting)
            sequences[at] = (room, [*sequences[at][1], unit])
        else:
            sequences.append((length - shared - size, [unit]))
    return [members for _, members in sequences]


def crossed(one: Rendered, other: Rendered) -> Rendered:
    """The prompt of ``one`` with the answer of ``other``: what KTO measures its distance from the base with."""
    first, second = one.learned.index(True), other.learned.index(True)
    ids = (*one.ids[:first], *other.ids[second:])
    learned = (*one.learned[:first], *other.learned[second:])
    return Rendered("", ids, tuple((0, 0) for _ in ids), learned)
