"""Acceptance runs: every case of a product asked of the model that runs, counted, held against the floor and kept.

The last run of a product is ``apps/<name>/acceptance.json`` in the data home.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ValidationError, computed_field

from zhilu.apps.product import Product, Scored
from zhilu.home import atomic_write
from zhilu.jobs.base import Text
from zhilu.models.chosen import named_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from zhilu.client import ModelClient
    from zhilu.context import Context

__all__ = ["Acceptance", "AcceptedCase", "last_acceptance", "run_acceptance"]


class AcceptedCase(BaseModel):
    case: str
    right: bool
    said: str
    why: Text | None = None


class Acceptance(BaseModel):
    """One whole run. ``job``: the job that made it, if one did."""

    product: str
    model: str
    at: datetime
    seconds: float
    floor: float
    cases: list[AcceptedCase]
    job: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def num_right(self) -> int:
        return sum(case.right for case in self.cases)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def share(self) -> float:
        return self.num_right / len(self.cases) if self.cases else 0.0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """A run without a case proves nothing."""
        return bool(self.cases) and self.share >= self.floor


async def run_acceptance(
    context: Context,
    client: ModelClient,
    product: Product,
    *,
    model: str | None = None,
    job: str | None = None,
    each: Callable[[int, Scored], None] | None = None,
) -> Acceptance:
    """Run ``product``'s cases with ``model`` (by default the one that runs) and keep the result; ``each`` hears of every case.

    Raises:
        ZhiluError: of the model's server; nothing is kept then.
    """
    model = named_model(context, model)
    started, cases = time.perf_counter(), list[AcceptedCase]()
    run = cast("AsyncGenerator[Scored, None]", product.acceptance(context, client, model))
    async with aclosing(run) as scored:
        async for one in scored:
            cases.append(AcceptedCase(case=one.case, right=one.right, said=one.said, why=one.why))
            if each is not None:
                each(len(cases), one)
    made = Acceptance(
        product=product.name, model=model, at=datetime.now(timezone.utc), seconds=round(time.perf_counter() - started, 1),
        floor=product.floor, cases=cases, job=job,
    )  # fmt: skip
    path = _kept(context, product.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic_write(path, made.model_dump_json(indent=1) + "\n")
    return made


def last_acceptance(context: Context, name: str) -> Acceptance | None:
    """The last run of the product called ``name``; None if there was none, or its file cannot be read."""
    try:
        return Acceptance.model_validate_json(_kept(context, name).read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def _kept(context: Context, name: str) -> Path:
    return context.home.path / "apps" / name / "acceptance.json"
