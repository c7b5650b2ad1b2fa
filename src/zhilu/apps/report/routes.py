"""``/zhilu/v1/report``: sources, one question, reports and their files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, FastAPI, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from zhilu.apps.report.ask import answer
from zhilu.apps.report.chart import choose_chart, to_svg
from zhilu.apps.report.data.schema import DatabaseSchema
from zhilu.apps.report.data.source import ReportSource, Sources
from zhilu.apps.report.job import start_report
from zhilu.apps.report.render import render
from zhilu.apps.report.reports import Report, Reports
from zhilu.apps.report.schedule import keep_schedule
from zhilu.apps.report.sql import QueryResult
from zhilu.client import connect
from zhilu.context import context_of
from zhilu.errors import ZhiluError, error_body
from zhilu.events import HEADERS, MEDIA_TYPE, Event
from zhilu.jobs import Job
from zhilu.logs import as_error
from zhilu.models.chosen import named_model

__all__ = ["lifespan", "router"]

router = APIRouter(prefix="/zhilu/v1/report", tags=["report"])

Question = Field(min_length=1, max_length=2000)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    clock = None if app.state.ephemeral else asyncio.create_task(keep_schedule(app.state.context))
    yield
    if clock is not None:
        clock.cancel()
        with suppress(asyncio.CancelledError):
            await clock


class QuestionIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str = Question
    model: str | None = None


class NewReport(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Field(min_length=1, max_length=200)
    source: str
    questions: list[str] = Field(min_length=1, max_length=50)
    every_hours: int | None = Field(None, ge=1, le=24 * 31)
    model: str | None = None


class ReportJob(BaseModel):
    report: Report
    job: Job


class ReportChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")
    every_hours: int | None = Field(None, ge=1, le=24 * 31)


@router.get("/sources")
def list_sources(request: Request) -> list[ReportSource]:
    return Sources(context_of(request)).every()


@router.post("/sources", status_code=201)
async def add_source(file: UploadFile, request: Request, name: str | None = None) -> ReportSource:
    """One table file or SQLite database."""
    sources = Sources(context_of(request))
    with tempfile.TemporaryDirectory(dir=context_of(request).home.cache) as folder:
        path = Path(folder, "file")
        with path.open("wb") as out:
            while block := await file.read(1 << 20):
                await asyncio.to_thread(out.write, block)
        return await asyncio.to_thread(sources.add_file, path, file.filename or "data.csv", name)


@router.post("/samples/{sample}", status_code=201)
def add_sample(sample: str, request: Request) -> ReportSource:
    return Sources(context_of(request)).add_sample(sample)


@router.get("/sources/{source}/schema")
def get_schema(source: str, request: Request) -> DatabaseSchema:
    sources = Sources(context_of(request))
    return sources.schema(sources.get(source))


@router.delete("/sources/{source}", status_code=204)
def remove_source(source: str, request: Request) -> None:
    Sources(context_of(request)).remove(source)


@router.post("/sources/{source}/ask", response_class=StreamingResponse)
async def ask(source: str, body: QuestionIn, request: Request) -> StreamingResponse:
    """Server-sent events ``query | result | done | error``; disconnecting stops the model."""
    context = context_of(request)
    sources = Sources(context)
    found = await asyncio.to_thread(sources.get, source)  # a 404 must come before the stream begins
    schema = await asyncio.to_thread(sources.schema, found)
    model = named_model(context, body.model)

    async def lines() -> AsyncIterator[bytes]:
        try:
            async with connect(context) as client:
                async for event in answer(client, model, body.question, sources.database(found), schema):
                    yield event.frame()
        except ZhiluError as error:
            yield Event("error", error_body(error)).frame()
        except Exception as error:  # a stream that has begun ends with an event
            yield Event("error", error_body(as_error(error, source=source))).frame()

    return StreamingResponse(lines(), media_type=MEDIA_TYPE, headers=HEADERS)


@router.get("/reports")
def list_reports(request: Request) -> list[Report]:
    return Reports(context_of(request)).list()


@router.post("/reports", status_code=201)
def create_report(body: NewReport, request: Request) -> ReportJob:
    context = context_of(request)
    report = Reports(context).create(body.title, Sources(context).get(body.source).id, body.questions)
    if body.every_hours is not None:
        report = report.model_copy(update={"every_hours": body.every_hours})
        Reports(context).save(report)
    return ReportJob(report=report, job=start_report(context, report, body.model))


@router.get("/reports/{report_id}")
def get_report(report_id: str, request: Request) -> Report:
    return Reports(context_of(request)).get(report_id)


@router.patch("/reports/{report_id}")
def change_report(report_id: str, body: ReportChanges, request: Request) -> Report:
    reports = Reports(context_of(request))
    report = reports.get(report_id).model_copy(update=body.model_dump(exclude_unset=True))
    reports.save(report)
    return report


@router.post("/reports/{report_id}/make", status_code=202)
def make_again(report_id: str, request: Request, model: str | None = None) -> Job:
    context = context_of(request)
    return start_report(context, Reports(context).get(report_id), model)


@router.delete("/reports/{report_id}", status_code=204)
def delete_report(report_id: str, request: Request) -> None:
    Reports(context_of(request)).delete(report_id)


@router.get("/reports/{report_id}/file", response_class=Response)
def report_file(report_id: str, request: Request, format: Literal["html", "docx", "pdf"] = "html") -> Response:
    file = render(Reports(context_of(request)).get(report_id), format)
    headers = {"Content-Disposition": f"attachment; filename=report-{report_id}.{format}"}
    return Response(file.content, media_type=file.media_type, headers=headers)


class ChartIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = Question
    result: QueryResult


@router.post("/chart", response_class=Response)
def draw_chart(body: ChartIn) -> Response:
    """The chart of a result as SVG; 204 where a chart says less than the table."""
    spec = choose_chart(body.result, body.title).spec
    return Response(status_code=204) if spec is None else Response(to_svg(spec), media_type="image/svg+xml")
