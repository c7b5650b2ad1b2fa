"""Acceptance runs as a job, for the workbench. A product that falls below its floor is a result, not a failure of the job."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from zhilu.apps.checking import Acceptance, last_acceptance, run_acceptance
from zhilu.apps.product import Product, Scored, products
from zhilu.client import connect
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.chosen import named_model

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["APP_CHECK", "start_check"]

_EXPECTED = 40  # cases; only the bar needs to know


def start_check(context: Context, names: list[str], model: str | None = None) -> Job:
    """
    Raises:
        NotFoundError: no such product.
    """
    found = [products().get(name) for name in names]
    titles = [product.title for product in found]
    title = T(", ".join(t.en for t in titles), "、".join(t.zh for t in titles))
    return JobStore(context).submit(
        APP_CHECK,
        {"apps": [product.name for product in found], "model": named_model(context, model)},
        T(f"Acceptance: {title.en}", f"验收：{title.zh}"),
    )


def _run(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_check(job, params))


async def _check(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    found = [products().get(name) for name in params["apps"]]
    passed: dict[str, bool] = {}
    async with connect(job.context) as client:
        for number, product in enumerate(found):
            made = last_acceptance(job.context, product.name)
            if made is None or made.job != job.id:  # a resumed job has some behind it; a run cut off begins anew
                made = await run_acceptance(
                    job.context, client, product, model=params["model"], job=job.id,
                    each=_progress(job, product, number, len(found)),
                )  # fmt: skip
            _log(job, made)
            passed[product.name] = made.passed
    return {"passed": passed}


def _progress(job: JobContext, product: Product, number: int, of: int) -> Any:
    job.progress(number / of, product.title)

    def each(count: int, scored: Scored) -> None:
        within = min(count / _EXPECTED, 0.95)
        job.log(f"{'+' if scored.right else '-'} {scored.case}: {scored.said[:200]}")
        job.progress((number + within) / of, product.title, scored.case[:80])

    return each


def _log(job: JobContext, made: Acceptance) -> None:
    verdict = "passed" if made.passed else "below the floor"
    job.log(f"{made.product}: {made.num_right} of {len(made.cases)}, floor {made.floor:.0%}: {verdict}")


APP_CHECK = JobKind("app-check", _run, resumable=True)
