"""Reports that are made again by themselves, while the workbench runs."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

from zhilu.apps.report.job import REPORT, start_report
from zhilu.apps.report.reports import Report, Reports
from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.jobs import JobStore
from zhilu.logs import as_error

__all__ = ["due_reports", "keep_schedule"]

_LOOK_EVERY = 60.0  # seconds


def due_reports(reports: list[Report], now: datetime) -> list[Report]:
    """Those whose time has come: ``every_hours`` have passed since they were made. Missed times are made up for once."""
    return [
        r
        for r in reports
        if r.every_hours and r.made_at is not None and now - r.made_at >= timedelta(hours=r.every_hours)
    ]


async def keep_schedule(context: Context) -> None:
    """Look once a minute until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        try:
            await asyncio.to_thread(_start_due, context)
        except Exception as error:  # the clock goes on, whatever one look at it meets
            as_error(error, clock="report")


def _start_due(context: Context) -> None:
    due = due_reports(Reports(context).list(), datetime.now(timezone.utc))
    if not due:
        return
    making = {j.params.get("report") for j in JobStore(context).list(kind=REPORT.name) if not j.ended}
    for report in due:
        if report.id not in making:
            try:
                start_report(context, report)
            except ZhiluError as error:
                as_error(error, report=report.id)
