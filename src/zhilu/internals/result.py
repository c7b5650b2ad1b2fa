"""What a run of a lesson gives: checks with their bars, and figures to draw. All of it was measured in that run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from pydantic import BaseModel

from zhilu.jobs.base import Text
from zhilu.messages import T

__all__ = [
    "Bar",
    "Chart",
    "Check",
    "Grid",
    "Result",
    "Say",
    "Series",
    "Table",
    "Timeline",
    "at_least",
    "at_most",
    "same",
    "worst",
]


class Say(Protocol):
    """How far a run is: 0 to 1, and what it does now."""

    def __call__(self, fraction: float, stage: T) -> None: ...


class Check(BaseModel):
    """One number against its bar; a run passes where all of its checks do."""

    name: Text
    value: float | int | str
    bar: str
    passed: bool


class Series(BaseModel):
    name: Text
    xs: list[float]
    ys: list[float]


class Chart(BaseModel):
    """Lines over one axis; ``log``: both axes are logarithmic, so that a power is a straight line."""

    title: Text
    x: Text
    y: Text
    series: list[Series]
    log: bool = False


class Table(BaseModel):
    title: Text
    columns: list[Text]
    rows: list[list[Text]]  # a plain string is the same in both languages


class Grid(BaseModel):
    """Cells in rows: None is empty, other values are 0 to 1 (how dark) or, with ``kinds``, the number of a kind."""

    title: Text
    rows: Text
    columns: Text
    cells: list[list[float | None]]
    kinds: list[Text] = []


class Bar(BaseModel):
    """``kind`` chooses the colour."""

    lane: int
    start: float
    end: float
    kind: int
    label: str = ""


class Timeline(BaseModel):
    title: Text
    unit: Text
    lanes: list[str]
    kinds: list[Text]
    bars: list[Bar]


class Result(BaseModel):
    """
    Attributes:
        answer: the number of the option that this run found true, of the lesson's question.
    """

    task: str
    answer: int
    checks: list[Check]
    charts: list[Chart] = []
    tables: list[Table] = []
    grids: list[Grid] = []
    timelines: list[Timeline] = []

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)


def worst(differences: Iterable[float]) -> float:
    """The largest of some differences. Infinite where one is no number: Python's ``max`` passes over a NaN, and a run that broke
    would agree with everything."""
    largest = 0.0
    for one in differences:
        largest = max(largest, one) if math.isfinite(one) else math.inf
        if largest == math.inf:
            break
    return largest


def at_most(name: T, value: float, bar: float) -> Check:
    """NaN passes nothing."""
    return Check(name=name, value=_short(value), bar=f"≤ {bar:g}", passed=bool(value <= bar))


def at_least(name: T, value: float, bar: float) -> Check:
    return Check(name=name, value=_short(value), bar=f"≥ {bar:g}", passed=bool(value >= bar))


def same(name: T, mine: object, theirs: object) -> Check:
    return Check(name=name, value=str(mine), bar=f"= {theirs}", passed=mine == theirs)


def nearest_option(value: float, options: Sequence[float], distance: Callable[[float, float], float]) -> int:
    """The number of the option that lies nearest to what was measured."""
    return min(range(len(options)), key=lambda index: distance(value, options[index]))


def _short(value: float) -> float:
    return float(f"{value:.4g}")
