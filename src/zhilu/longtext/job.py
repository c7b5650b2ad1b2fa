"""The work on a long text, as a job. Every call that was answered is kept: after a kill it goes on from there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from zhilu.client import connect
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.longtext.asking import Asker, run_method
from zhilu.longtext.methods import Call, Problem, method_of
from zhilu.longtext.needle import try_cell
from zhilu.longtext.room import measure_room
from zhilu.longtext.runs import LongtextRun, LongtextRuns, LongtextWish
from zhilu.longtext.summary import summarise
from zhilu.messages import T
from zhilu.models.chosen import named_model

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["LENGTHS", "LONGTEXT", "LongtextStarted", "start"]


LENGTHS = (0.5, 1.25, 2.0)  # of the model's context, where a needle's lengths are not given
_SAMPLE = {
    "en": "On day 3, Anna waited 12 minutes at the harbour because of the rain.\n",
    "zh": "第3天，阿兰因为下雨在码头等了12分钟。\n",
}


class LongtextStarted(BaseModel):
    run: LongtextRun
    job: Job


def start(context: Context, wish: LongtextWish, text: str = "") -> LongtextStarted:
    """
    Raises:
        InputError, NotFoundError: as ``LongtextRuns.begin``.
    """
    runs = LongtextRuns(context)
    run = runs.begin(wish, text, named_model(context, wish.model))
    title = {
        "ask": T(f"Ask {wish.name} ({len(wish.methods)} ways)", f"提问 {wish.name}（{len(wish.methods)} 种方法）"),
        "summary": T(f"Summarise {wish.name}", f"概括 {wish.name}"),
        "needle": T("Hide a needle and look for it", "藏一根针再去找"),
    }[wish.want]
    job = JobStore(context).submit(LONGTEXT, {"run": run.id}, title)
    # The job may be at work already, and then has noted its number itself.
    return LongtextStarted(run=run.model_copy(update={"job_id": job.id}), job=job)


def run_longtext_job(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_work(job, params["run"]))


async def _work(job: JobContext, run_id: str) -> dict[str, Any]:
    runs = LongtextRuns(job.context)
    run, text = runs.get(run_id), runs.text(run_id)
    run.job_id = job.id
    wish = run.wish
    progress = _Progress(job)
    async with connect(job.context) as client:
        room = await measure_room(client, run.model, text or 20 * _SAMPLE[wish.lang])
        run.context, run.tokens = room.context, round(room.tokens(text)) if text else None
        runs.put(run)
        asker = Asker(client, room, runs.steps(run_id), lambda step: runs.keep(run_id, step), progress.before)
        if wish.want == "summary":
            progress.begin(0, 1, T("Summarising", "正在概括"))
            run.result.summary = await summarise(text, room, asker, wish.most)
        elif wish.want == "needle":
            lengths = wish.lengths or [round(share * room.context) for share in LENGTHS]
            tries = [(m, n, d) for m in wish.methods for n in lengths for d in wish.depths]
            run.result.cells = []
            for number, (name, length, depth) in enumerate(tries):
                progress.begin(
                    number,
                    len(tries),
                    T(f"{name}, {length} tokens, {depth:.0%} deep", f"{name}，{length} token，深度 {depth:.0%}"),
                )
                cell, _ = await try_cell(
                    method_of(name), room, asker, length, depth, (wish.seed or 0) + number, wish.lang, wish.most
                )
                run.result.cells.append(cell)
                runs.put(run)
        else:
            run.result.methods = []
            problem = Problem(text, wish.question, room, wish.most)
            for number, name in enumerate(wish.methods):
                method = method_of(name)
                progress.begin(number, len(wish.methods), method.title)
                run.result.methods.append(await run_method(method, problem, asker, wish.answers))
                runs.put(run)
    run.done = True
    runs.put(run)
    return {"run": run_id}


class _Progress:
    """A part of the bar for each try; within it, each call takes it nearer to the end."""

    def __init__(self, job: JobContext) -> None:
        self._job, self._at, self._share, self._calls, self._stage = job, 0.0, 1.0, 0, T("", "")

    def begin(self, number: int, of: int, stage: T) -> None:
        self._at, self._share, self._calls, self._stage = number / of, 1 / of, 0, stage
        self._job.progress(self._at, stage)

    def before(self, call: Call) -> None:
        self._calls += 1
        within = self._calls / (self._calls + 8)
        self._job.progress(self._at + self._share * within, self._stage, call.what.say())


LONGTEXT = JobKind(name="longtext", run=run_longtext_job, resumable=True)
