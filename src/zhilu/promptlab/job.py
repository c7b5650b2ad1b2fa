"""The asking, as a job: every question of a set with one or more versions. It goes on where a kill stopped it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zhilu.client import ModelClient, connect
from zhilu.errors import InputError
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.chosen import named_model
from zhilu.promptlab.library import Templates
from zhilu.promptlab.runs import Answer, RunFile, Runs, now
from zhilu.promptlab.sets import ScoredItem, ScoredSet, Sets
from zhilu.promptlab.template import PromptTemplate, render, variables
from zhilu.prompts import judge_messages

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["PROMPT_RUN", "start_run"]

_AT_ONCE = 4  # an engine that batches answers them together; one that does not takes them in turn


def start_run(
    context: Context, name: str, versions: Sequence[int], set_name: str, *, model: str | None = None,
    judge: str | None = None, again: bool = False,
) -> Job:  # fmt: skip
    """The job that asks the set with each version.

    Args:
        versions: empty: the newest.
        judge: the model that judges where the set asks for one; by default the one that answers.
        again: ask once more what was asked before in just the same way.

    Raises:
        NotFoundError: no such version or set. InputError: the set lacks a variable.
    """
    templates, questions = Templates(context), Sets(context).get(set_name)
    numbers = list(dict.fromkeys(versions)) or [templates.get(name).number]
    for number in numbers:
        _check_variables(templates.get(name, number).template, questions)
    model = named_model(context, model)
    needs_judge = "judge" in questions.graders
    params = {
        "template": name, "versions": numbers, "set": set_name, "model": model, "again": again,
        "judge": named_model(context, judge) if judge else model if needs_judge else None,
    }  # fmt: skip
    shown = ", ".join(map(str, numbers))
    title = T(
        f"Try {name} (version {shown}) on {questions.items} questions",
        f"用 {questions.items} 题测试 {name}（版本 {shown}）",
    )
    return JobStore(context).submit(PROMPT_RUN, params, title)


def run_prompt_job(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(_run(job, params))


async def _run(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    runs = Runs(job.context)
    files = [_begin(job, params, number) for number in params["versions"]]
    total = sum(len(file.items) for file in files)
    kept = {file.id: runs.same(file) if not params["again"] else None for file in files}
    ids, done = [], 0
    async with connect(job.context) as client:
        for file in files:
            known = kept[file.id]
            if known is None:
                runs.begin(file)
                await _ask_all(job, client, runs, file, done, total)
            ids.append(known or file.id)
            done += len(file.items)
    return {"runs": ids}


def _begin(job: JobContext, params: Mapping[str, Any], number: int) -> RunFile:
    """What a killed job kept, or what is there now."""
    runs, run_id = Runs(job.context), f"{job.id}-{number}"
    if (runs.folder / run_id / "run.json").exists():
        return runs.file(run_id)
    version = Templates(job.context).get(params["template"], number)
    questions = Sets(job.context).get(params["set"])
    return RunFile(
        id=run_id, job_id=job.id, created_at=now(), template=version.name, version=number, content=version.template,
        sha256=version.sha256, shipped=version.shipped, set_name=questions.name, set_sha256=questions.sha256,
        model=params["model"], judge=params["judge"], items=questions.questions,
    )  # fmt: skip


async def _ask_all(job: JobContext, client: ModelClient, runs: Runs, file: RunFile, before: int, total: int) -> None:
    there = runs.answers(file.id)
    left = [item for item in file.items if item.id not in there]
    done = len(there)
    stage = T(f"Version {file.version}", f"版本 {file.version}")
    for start in range(0, len(left), _AT_ONCE):
        job.progress((before + done) / total, stage, f"{done}/{len(file.items)}")
        together = left[start : start + _AT_ONCE]
        tasks = [asyncio.create_task(_ask(client, file, item)) for item in together]
        try:
            for task in tasks:
                runs.add(file.id, await task)
                done += 1
        finally:
            for task in tasks:
                task.cancel()
    job.progress((before + done) / total, stage, f"{done}/{len(file.items)}")


async def _ask(client: ModelClient, file: RunFile, item: ScoredItem) -> Answer:
    version = file.content
    messages = render(version, item.vars)
    reply = await client.chat(
        messages, model=file.model, temperature=version.temperature, max_tokens=version.max_tokens
    )
    choice, usage = reply["choices"][0], reply.get("usage") or {}
    answer = Answer(
        id=item.id, answer=str(choice["message"].get("content") or ""), finish_reason=choice.get("finish_reason"),
        prompt_tokens=int(usage.get("prompt_tokens") or 0), completion_tokens=int(usage.get("completion_tokens") or 0),
    )  # fmt: skip
    if item.grader == "judge":
        task = str(messages[-1]["content"])
        said = await client.chat(
            judge_messages(task, str(item.expected), answer.answer), model=file.judge or file.model, temperature=0,
            max_tokens=8,
        )  # fmt: skip
        answer.judged = str(said["choices"][0]["message"].get("content") or "")
        answer.judge_tokens = int((said.get("usage") or {}).get("total_tokens") or 0)
    return answer


def _check_variables(template: PromptTemplate, questions: ScoredSet) -> None:
    for item in questions.questions:
        missing = [name for name in variables(template) if name not in item.vars]
        if missing:
            names, there = ", ".join(missing), ", ".join(item.vars)
            raise InputError(
                T(
                    f"Question {item.id!r} of {questions.name!r} has no value for {names}; it has: {there}.",
                    f"评分集 {questions.name!r} 的第 {item.id!r} 题没有变量 {names}；它有：{there}。",
                ),
                param="set",
                code="missing_variable",
                fix=f"zhilu prompt sets {questions.name}",
            )
    render(template, questions.questions[0].vars)  # the examples, too, must have every value


PROMPT_RUN = JobKind(name="prompt-run", run=run_prompt_job, resumable=True)
