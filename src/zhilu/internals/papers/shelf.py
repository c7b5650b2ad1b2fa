"""The papers in the order in which one may read them, and the figure of one, measured."""

from __future__ import annotations

from importlib import import_module

from zhilu.errors import NotFoundError, nearest
from zhilu.internals.papers.attention import ATTENTION
from zhilu.internals.papers.learning import LEARNING
from zhilu.internals.papers.paper import Paper
from zhilu.internals.result import Result
from zhilu.messages import T

__all__ = ["PAPERS", "find_paper", "measure"]

PAPERS: dict[str, Paper] = {paper.name: paper for paper in (*ATTENTION, *LEARNING)}


def find_paper(name: str) -> Paper:
    """
    Raises:
        NotFoundError: names the papers there are.
    """
    if name in PAPERS:
        return PAPERS[name]
    there = ", ".join(PAPERS)
    raise NotFoundError(
        T(f"There is no paper {name!r}; there are {there}.", f"没有论文 {name!r}；现有 {there}。"),
        param="name",
        fix=f"zhilu internals paper {nearest(name, list(PAPERS)) or next(iter(PAPERS))}",
    )


def measure(paper: Paper) -> Result:
    """Runs in a process of its own (``runs.run_paper``)."""
    for module in ("figures", "figures_learning"):
        found = getattr(import_module(f"zhilu.internals.papers.{module}"), paper.figure, None)
        if found is not None:
            result: Result = found()
            return result
    raise LookupError(paper.figure)
