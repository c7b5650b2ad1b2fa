"""Making a report, as a job: one question after the other, each kept when it is through; a killed job goes on behind it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

from zhilu.apps.report.ask import ReportSection, answer
from zhilu.apps.report.data.source import Sources
from zhilu.apps.report.reports import Report, Reports
from zhilu.client import connect
from zhilu.context import Context
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.chosen import named_model

__all__ = ["REPORT", "start_report"]


def start_report(context: Context, report: Report, model: str | None = None) -> Job:
    """The job that makes a report, or makes it again with the figures of now."""
    Sources(context).get(report.source_id)
    params = {"report": report.id, "model": named_model(context, model)}
    return JobStore(context).submit(REPORT, params, T(f"Report: {report.title}", f"报告：{report.title}"))


def _run(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_make(job, params))


async def _make(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    reports, sources = Reports(job.context), Sources(job.context)
    report = reports.get(params["report"])
    if job.attempt <= 1:
        report.sections = []  # made anew; a resumed job keeps what it has
    source = sources.get(report.source_id)
    path, schema = sources.database(source), sources.schema(source)
    async with connect(job.context) as client:
        for number in range(len(report.sections), len(report.questions)):
            question = report.questions[number]
            job.progress(number / len(report.questions), T("Asking", "正在提问"), question[:80])
            async for event in answer(client, params["model"], question, path, schema):
                job.check()
                if event.name == "done":
                    report.sections.append(ReportSection.model_validate(event.data))
                    reports.save(report)
    report.made_at = datetime.now(timezone.utc)
    reports.save(report)
    statuses = [s.status for s in report.sections]
    return {"report": report.id, **{name: statuses.count(name) for name in ("answered", "unsure", "failed")}}


REPORT = JobKind("report", _run, resumable=True)
