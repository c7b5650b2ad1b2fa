"""A model as grader, and whether it deserves to be one: how often it says what a person says of the same answers."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

__all__ = ["Agreement", "agreement"]


class Agreement(BaseModel):
    """``share`` of the answers marked by a person on which the grader says the same; ``kappa`` takes away what chance would
    give (Cohen 1960), and is None where one of the two said the same of all."""

    marked: int
    agreed: int
    share: float
    kappa: float | None


def agreement(pairs: Sequence[tuple[bool, bool]]) -> Agreement | None:
    """Of ``(grader, person)`` pairs; None where a person marked nothing."""
    if not pairs:
        return None
    n = len(pairs)
    agreed = sum(mine == theirs for mine, theirs in pairs)
    yes = [sum(pair[who] for pair in pairs) / n for who in (0, 1)]
    chance = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    is_constant = any(share in (0, 1) for share in yes)
    kappa = None if is_constant else (agreed / n - chance) / (1 - chance)
    return Agreement(
        marked=n, agreed=agreed, share=round(agreed / n, 4), kappa=None if kappa is None else round(kappa, 4)
    )
