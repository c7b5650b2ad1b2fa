"""Gate 4.5: questions that the documents do not answer are answered from the web search that is set up, with the page."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.gate import Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.rag.answer.ground import locate
from zhilu.rag.board.measure import holds_evidence
from zhilu.rag.board.questions import BoardQuestion
from zhilu.rag.board.sample import sample_questions
from zhilu.rag.index.embedding import embedder_of
from zhilu.rag.library import Library
from zhilu.rag.retrieve.search import retrieve
from zhilu.rag.web.ask import answer_from_web, knowledge_of
from zhilu.rag.web.fetch import Guard
from zhilu.rag.web.pages import read_pages
from zhilu.rag.web.providers import Found

__all__ = ["GATE", "check_web"]

# What a search engine knows for certain and a person's documents seldom say.
_FACTS = (
    BoardQuestion(id="1", question="In which year was the Eiffel Tower completed?", answers=["1889"]),
    BoardQuestion(id="2", question="Who wrote the novel Moby-Dick?", answers=["Herman Melville", "Melville"]),
    BoardQuestion(id="3", question="小说《红楼梦》的作者是谁？", answers=["曹雪芹"]),
    BoardQuestion(id="4", question="珠穆朗玛峰位于哪两个国家的边界？", answers=["尼泊尔", "中国"]),
)
_PAGES = 6  # of a folder that questions are made of
_LOOKED_AT = 5  # passages of each knowledge base


def check_web(context: Context) -> Verdict:
    """Ask what no document here holds; the cited page must hold the answer, and its address must be given."""
    if context.settings.web_search == "none":
        return Verdict.cannot_run_here(
            T("No web search is set up.", "还没有设置网络搜索。"), fix="zhilu settings set web_search searxng",
            because=Because.SETTING,
        )  # fmt: skip
    started = time.perf_counter()
    try:
        rows, by = asyncio.run(_asked(context))
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)
    if not rows:
        return Verdict.failed(
            T("There was no question that the documents do not answer.", "没有文档之外的问题可问。"),
            fix="zhilu web search QUERY",
        )
    right = [row for row in rows if row["is_right"]]
    figures = [
        Figure(T("provider", "搜索服务"), context.settings.web_search),
        Figure(T("questions outside the documents", "文档之外的问题"), len(rows)),
        Figure(T("the questions are", "问题来源"), by.say()),
        Figure(
            T("answered from a cited page that holds it", "引用的网页包含答案"),
            round(100 * len(right) / len(rows), 1),
            "%",
        ),
        Figure(T("per question", "每个问题"), round((time.perf_counter() - started) / len(rows), 2), "s"),
    ]
    for name, row in (
        (T("example", "示例"), right[:1]),
        (T("an example that failed", "未通过的示例"), [r for r in rows if r not in right][:1]),
    ):
        figures += [Figure(name, f"{r['question']} → {r['answer']} ({', '.join(r['urls']) or '-'})"[:400]) for r in row]
    said = T(
        f"{len(right)} of {len(rows)} questions outside the documents were answered with a page that holds the answer.",
        f"{len(rows)} 个文档之外的问题中，{len(right)} 个得到了回答，且引用的网页包含答案。",
    )
    if len(right) * 3 < len(rows) * 2:
        return Verdict.failed(said, *figures, fix="zhilu web search QUERY")
    return Verdict.passed(said, *figures)


async def _asked(context: Context) -> tuple[list[dict[str, Any]], T]:
    from zhilu.client import connect

    async with connect(context) as client:
        questions, by = await _questions(context, client)
        outside = [q for q in questions if not await asyncio.to_thread(_is_held, context, q)]
        return [await _one(context, client, question) for question in outside], by


async def _questions(context: Context, client: ModelClient) -> tuple[list[BoardQuestion], T]:
    """Common facts; of a folder of pages, questions on those pages."""
    if context.settings.web_search != "site":
        return list(_FACTS), T("common facts", "常识问题")
    folder = Path(context.settings.web_folder or ".").expanduser()
    files = [
        p for p in sorted(folder.rglob("*")) if p.suffix.lower() in (".html", ".htm", ".md", ".txt") and p.is_file()
    ]
    pages = await read_pages(context.home, [Found(p.as_uri(), p.stem, path=p) for p in files[:_PAGES]], Guard())
    with tempfile.TemporaryDirectory(prefix="web-", dir=context.home.cache) as place:
        kb, _ = await asyncio.to_thread(knowledge_of, Path(place), pages, "", None, "none", 0)
        try:
            return await sample_questions(context, kb, 3, client)
        finally:
            kb.close()


def _is_held(context: Context, question: BoardQuestion) -> bool:
    """Whether a document here may answer it already."""
    library = Library(context)
    for info in library.list():
        if info.error is None and info.num_chunks:
            kb = library.open(info.id)
            hits = retrieve(kb, question.question, embedder_of(context, kb.embedder), k=_LOOKED_AT).hits
            if any(holds_evidence(question, h.text) for h in hits):
                return True
    return False


async def _one(context: Context, client: ModelClient, question: BoardQuestion) -> dict[str, Any]:
    done: dict[str, Any] = {}
    async for event in answer_from_web(context, client, question.question):
        done = event.data
    cited = [c for c in done["citations"] if c["cited"]]
    holds = any(
        holds_evidence(question, c["text"]) or any(locate(a, c["text"]) for a in question.answers) for c in cited
    )
    urls = sorted({c["url"] for c in cited if c["url"]})
    return {
        "question": question.question, "answer": done["answer"], "urls": urls,
        "is_right": bool(holds and urls and not done["refused"]),
    }  # fmt: skip


GATE = Gate("4.5", T("Answered from the web, with sources", "联网回答，并附来源"), check_web, needs=("4.3",), slow=True)
