"""The scoreboard's work, as jobs: questions made by a model, and configurations measured. Both go on where a kill stopped them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zhilu.client import ModelClient, connect
from zhilu.errors import InputError, UnsupportedError
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.chosen import named_model
from zhilu.rag.answer.manner import Manner, manner_of
from zhilu.rag.board.evaluate import examinee_of, run_questions
from zhilu.rag.board.make import Maker, Passage, parts_of, passages_of
from zhilu.rag.board.questions import MAIN, BoardQuestion, QuestionSets
from zhilu.rag.board.runs import BoardRun, Runs
from zhilu.rag.board.setup import Setup
from zhilu.rag.board.trial import drop_trial, trial_of
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["EVALUATION", "QUESTIONS", "evaluate_kb", "make_questions", "start_evaluation", "start_questions"]

OPEN_SHARE = 0.2  # of the questions made, those that the documents should not answer
_TRIES = 6  # passages looked at for each question wanted, at most


def start_questions(
    context: Context,
    kb: KnowledgeBase,
    count: int,
    set_name: str = MAIN,
    model: str | None = None,
    open_share: float = OPEN_SHARE,
    closely: bool = False,
) -> Job:
    """The job that proposes ``count`` questions, ``open_share`` of them such that the documents leave open.

    Args:
        closely: several questions to a passage, about its pieces.

    Raises:
        UnsupportedError: the model is too small to ask questions. InputError: there is no document to ask about.
    """
    model = named_model(context, model)
    _refuse_small(context, model)
    if not kb.info().num_chunks:
        raise InputError(
            T(f"{kb.name!r} holds no document yet.", f"知识库 {kb.name!r} 里还没有文档。"),
            fix=f"zhilu kb add {kb.id} FILE",
        )
    params = {
        "kb": kb.id,
        "set": set_name,
        "count": count,
        "model": model,
        "open_share": open_share,
        "closely": closely,
    }
    return JobStore(context).submit(
        QUESTIONS, params, T(f"Make {count} questions about {kb.name}", f"为 {kb.name} 生成 {count} 个问题")
    )


def start_evaluation(context: Context, kb: KnowledgeBase, setups: Sequence[Setup], set_name: str = MAIN) -> Job:
    """The job that measures each configuration on the same questions.

    Raises:
        NotFoundError: the set holds no question.
    """
    questions, _ = QuestionSets(kb).to_ask(set_name)
    title = T(
        f"Measure {kb.name} on {len(questions)} questions" + (f", {len(setups)} ways" if len(setups) > 1 else ""),
        f"用 {len(questions)} 个问题评测 {kb.name}" + (f"，共 {len(setups)} 种配置" if len(setups) > 1 else ""),
    )
    params = {"kb": kb.id, "set": set_name, "setups": [s.said() for s in setups]}
    return JobStore(context).submit(EVALUATION, params, title)


def run_questions_job(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    kb = Library(job.context).open(params["kb"])
    return asyncio.run(make_questions(job, kb, params))


async def make_questions(job: JobContext, kb: KnowledgeBase, params: dict[str, Any]) -> dict[str, Any]:
    """Go through the passages until there are enough questions, a fifth of them open ones; what is there already counts."""
    sets, embedder = QuestionSets(kb), embedder_of(job.context, kb.embedder)
    passages = passages_of(kb, seed=job.id)
    if not passages:
        raise InputError(
            T(f"No passage of {kb.name!r} says enough to be asked about: a few sentences are the least.",
              f"{kb.name!r} 中没有内容足够出题的段落：至少需要几句话。"),
            param="kb", code="nothing_to_ask", fix=f"zhilu kb add {kb.id} FILE",
        )  # fmt: skip
    count, set_name = int(params["count"]), str(params["set"])
    wanted_open = round(float(params.get("open_share", OPEN_SHARE)) * count) if count >= 5 else 0
    tried = sets.tried(job.id)
    before = {q.id for q in sets.list(set_name)} if not tried else set()
    made: list[BoardQuestion] = []
    async with connect(job.context) as client:
        maker = Maker.of(client, params["model"], _extra(manner_of(job.context, params["model"])[0]))
        for passage in passages[: _TRIES * count]:
            if passage.chunk_id in tried:
                continue
            done = _made_by(sets.list(set_name), job.id, before)
            if len(done) >= count:
                break
            job.progress(len(done) / count, T("Asking about", "正在提问"), passage.doc_name)
            known = [q.question for q in sets.list(set_name)]
            num_open = sum(not q.answerable for q in done)
            made = []
            for part in parts_of(passage) if params.get("closely") else (passage,):
                if len(done) + len(made) - num_open >= count - wanted_open:
                    break
                job.check()
                if found := await maker.answerable(part, [*known, *(q.question for q in made)]):
                    made.append(found)
            if num_open < wanted_open and num_open * (count - wanted_open) <= len(done) * wanted_open:
                neighbours = _neighbours(kb, embedder)
                if found := await maker.unanswerable(passage, [*known, *(q.question for q in made)], neighbours):
                    made.append(found)
            marked = [
                q.model_copy(update={"set_name": set_name, "id": _id(job, passage, i)}) for i, q in enumerate(made)
            ]
            sets.note_tried(job.id, passage.chunk_id, marked)
    made = _made_by(sets.list(set_name), job.id, before)
    for reason, number in maker.dropped.most_common():
        job.log(f"dropped, {reason}: {number}")
    return {"made": len(made), "unanswerable": sum(not q.answerable for q in made), "dropped": dict(maker.dropped)}


def _id(job: JobContext, passage: Passage, number: int) -> str:
    return f"{job.id}-{passage.chunk_id}-{number}"


def _made_by(questions: Sequence[BoardQuestion], job_id: str, before: set[str]) -> list[BoardQuestion]:
    return [q for q in questions if q.id.startswith(f"{job_id}-") and q.id not in before]


def _neighbours(kb: KnowledgeBase, embedder: Any) -> Any:
    return lambda question: [hit.text for hit in retrieve(kb, question, embedder, k=3).hits]


def _extra(manner: Manner) -> dict[str, Any]:
    return {"chat_template_kwargs": {"enable_thinking": False}} if manner.thinking == "switch" else {}


def _refuse_small(context: Context, model: str) -> None:
    manner, why = manner_of(context, model)
    if not manner.reads:
        raise UnsupportedError(
            T(
                f"{model!r} cannot make questions ({why.en}). Fetch a model that reads, or bring your own questions.",
                f"{model!r} 不会出题（{why.zh}）。请获取一个能阅读的模型，或导入你自己的问题。",
            ),
            param="model",
            fix="zhilu setup first-model",
        )


def run_evaluation_job(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    kb = Library(job.context).open(params["kb"])
    return asyncio.run(evaluate_kb(job, kb, params))


async def evaluate_kb(job: JobContext, kb: KnowledgeBase, params: dict[str, Any]) -> dict[str, Any]:
    """Each configuration in turn, on the same questions; those that are through are not run again."""
    setups = [Setup.model_validate(s) for s in params["setups"]]
    runs, sets = Runs(kb), QuestionSets(kb)
    questions, reviewed = sets.to_ask(params["set"])
    ids = []
    needs_model = any(not s.retrieval_only or s.draft for s in setups)
    async with _maybe(job.context, needs_model) as client:
        for number, setup in enumerate(setups):
            share = (number / len(setups), 1 / len(setups))
            ids.append((await _one(job, kb, runs, setup, questions, reviewed, params["set"], client, share)).id)
    return {"runs": ids, "figures": [(runs.get(i).summary or {}).get("figures") for i in ids]}


async def _one(
    job: JobContext, kb: KnowledgeBase, runs: Runs, setup: Setup, questions: Sequence[BoardQuestion], reviewed: bool,
    set_name: str, client: ModelClient | None, share: tuple[float, float],
) -> BoardRun:  # fmt: skip
    run = runs.of_job(job.id, setup)
    if run is not None and run.summary is not None:
        return run

    def told(done: int, of: int, stage: T, detail: str) -> None:
        job.progress(share[0] + share[1] * done / max(of, 1), stage, detail)

    label = setup.label().en
    asked = kb
    if setup.needs_index:
        building = T("Building an index to compare", "正在建立用于对比的索引")
        asked = await asyncio.to_thread(
            trial_of, job.context, kb, setup, lambda part, name: told(0, 1, building, f"{label} · {name} {part:.0%}")
        )
    try:
        model = named_model(job.context, setup.model)
        embedder = embedder_of(job.context, asked.embedder)
        examinee = examinee_of(job.context, asked, setup, client, model, embedder)
        if run is None:
            run = runs.begin(
                BoardRun(
                    id="", job_id=job.id, created_at="", set_name=set_name, setup=setup.said(), reviewed=reviewed,
                    num_questions=len(questions),
                    resolved={
                        "model": None if setup.retrieval_only else model, "embedder": asked.embedder,
                        "store": asked.store_name, "answers": examinee.caution, "passages": examinee.passages,
                        "chunks": asked.info().num_chunks,
                    },
                )
            )  # fmt: skip
        asking = T("Asking", "正在提问")
        done = await run_questions(
            runs, run, examinee, questions, lambda n, of: told(n, of, asking, f"{n + 1}/{of} · {label}")
        )
    finally:
        if asked is not kb:
            asked.close()
    drop_trial(kb, setup)
    return done


def _maybe(context: Context, needed: bool) -> Any:
    from contextlib import nullcontext

    return connect(context) if needed else nullcontext(None)


QUESTIONS = JobKind(name="questions", run=run_questions_job, resumable=True)
EVALUATION = JobKind(name="evaluation", run=run_evaluation_job, resumable=True)
