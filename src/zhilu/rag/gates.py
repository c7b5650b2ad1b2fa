"""The gates of stage 4: 4.1 vectors, 4.2 the store, 4.3 the whole flow, all on the person's own documents."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.rag.index.embedding import NONE, TextEmbedder, embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.questions import MadeQuestion, questions_of
from zhilu.rag.retrieve.fusion import worth_of

__all__ = ["GATES", "PARAPHRASES", "nearest_is_paraphrase", "paraphrase_beats_strangers"]

# Sentences that say the same in other words, nearly without sharing a word.
PARAPHRASES: dict[str, tuple[tuple[str, str], ...]] = {
    "en": (
        ("How can I get my money back?", "What is the procedure for a refund?"),
        ("The meeting was put off until Friday.", "They postponed the conference to the end of the week."),
        ("The car would not start this morning.", "My vehicle's engine failed to turn over today."),
        ("Employees may work from home twice a week.", "Staff are allowed two remote days every week."),
        ("The soup is too salty.", "There is an excess of salt in this broth."),
        ("He was fired because he was often late.", "Repeated tardiness led to his dismissal."),
        ("The film bored me to death.", "I found the movie extremely dull."),
        ("The bridge was closed after the flood.", "High water forced authorities to shut the crossing."),
        ("Back up your files before you upgrade.", "Make a copy of the data prior to installing the new version."),
        ("The doctor told her to rest.", "She was advised by her physician to take it easy."),
    ),
    "zh": (
        ("怎样才能拿回我付的钱？", "退款的流程是什么？"),
        ("会议推迟到了星期五。", "他们把开会的时间改到周末前一天。"),
        ("今天早上汽车发动不起来。", "我的车今天打不着火。"),
        ("员工每周可以在家办公两天。", "职员一个星期有两天能远程上班。"),
        ("这汤太咸了。", "这碗羹里盐放多了。"),
        ("他因为经常迟到被开除了。", "屡次不准时上班导致他丢了工作。"),
        ("这部电影无聊极了。", "我觉得这片子非常没意思。"),
        ("洪水之后大桥封闭了。", "由于涨水，当局禁止车辆过江。"),
        ("升级之前先备份文件。", "安装新版本以前要把数据复制一份。"),
        ("医生让她多休息。", "大夫建议她静养。"),
    ),
}  # fmt: skip
_PASS = 0.9  # share of comparisons of a paraphrase with a stranger that the paraphrase wins; chance is a half
_QUESTIONS = 6


def nearest_is_paraphrase(embedder: TextEmbedder, pairs: tuple[tuple[str, str], ...]) -> float:
    """Share of the sentences whose nearest neighbour among all others is their paraphrase."""
    vectors = embedder.embed([s for pair in pairs for s in pair], kind="passage")
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    nearest = similar.argmax(axis=1)
    return float(np.mean(nearest == (np.arange(len(vectors)) ^ 1)))


def paraphrase_beats_strangers(embedder: TextEmbedder, pairs: tuple[tuple[str, str], ...]) -> float:
    """Of all comparisons "is this sentence's paraphrase nearer than that stranger", the share that says yes."""
    vectors = embedder.embed([s for pair in pairs for s in pair], kind="passage")
    similar = vectors @ vectors.T
    each = np.arange(len(vectors))
    own = similar[each, each ^ 1][:, None]
    stranger = (each[:, None] != each) & (each[:, None] != (each ^ 1))
    return float(np.mean((own > similar)[stranger]))


def check_embedder(context: Context) -> Verdict:
    """4.1: for each language of the person's documents, with the embedder that their knowledge base uses."""
    used = _languages(context)
    if not used:
        return _no_documents()
    figures, weak = [], []
    for (name, lang), num_documents in sorted(used.items()):
        started = time.perf_counter()
        try:
            embedder = embedder_of(context, name)
        except ZhiluError as error:
            return Verdict.failed(error.message, fix=error.fix)
        if embedder is None:
            why = T(
                "Your knowledge base was made without an embedder; passages are found by their words alone.",
                "你的知识库没有使用向量模型，只按词检索。",
            )
            return Verdict.cannot_run_here(why, fix="zhilu kb create NAME", because=Because.SETTING)
        right = paraphrase_beats_strangers(embedder, PARAPHRASES[lang])
        nearest = nearest_is_paraphrase(embedder, PARAPHRASES[lang])
        seconds = time.perf_counter() - started
        figures += [
            Figure(
                T(f"paraphrase nearer than a stranger, {lang}, {name}", f"同义句比无关句更近，{lang}，{name}"),
                round(100 * right, 1),
                "%",
            ),
            Figure(
                T(f"paraphrase nearest of all, {lang}, {name}", f"同义句是最近的一句，{lang}，{name}"),
                round(100 * nearest, 1),
                "%",
            ),
            Figure(T(f"documents in {lang}", f"{lang} 文档数"), num_documents),
            Figure(T(f"load and embed, {lang}", f"加载并向量化，{lang}"), round(seconds, 2), "s"),
        ]
        if right < _PASS:
            weak.append((name, lang, right, lang in embedder.languages and worth_of(embedder, lang).paraphrases))
    if not weak:
        why = T(
            "Paraphrases are nearer than strangers in your documents' languages.",
            "在你的文档语言中，同义句比无关句更近。",
        )
        return Verdict.passed(why, *figures)
    name, lang, right, claims = weak[0]
    en, zh = (
        f"In {lang}, {name} puts a paraphrase nearer than a stranger in only {right:.0%} of the comparisons",
        f"在 {lang} 上，{name} 只在 {right:.0%} 的比较中让同义句比无关句更近",
    )
    if claims:
        return Verdict.failed(T(f"{en}, below {_PASS:.0%}.", f"{zh}，低于 {_PASS:.0%}。"), *figures)
    why = T(
        f"It ran and missed. {en}. It does not claim to know paraphrases in {lang}, and no embedder here does: passages are "
        "found mostly by their words there (recall@5 0.98 on CMRC), and what is said in other words may be missed.",
        f"已运行，未达标。{zh}。它不声称懂 {lang} 的同义句，这里也没有懂的模型：在 {lang} 上主要按词检索"
        "（CMRC 上 recall@5 为 0.98），换了说法的内容可能找不到。",
    )
    return Verdict.cannot_run_here(why, *figures, because=Because.MISSED)


def check_vector_store(context: Context) -> Verdict:
    """4.2: the conformance suite and a kill -9 in the middle of writing, on the default store, on this disk."""
    from zhilu.rag.stores import DEFAULT, STORES
    from zhilu.rag.testing import Opener, Reopen, VectorStoreContract, check_store, write_until_killed

    kind = STORES.get(DEFAULT)
    with tempfile.TemporaryDirectory(dir=context.home.cache) as folder, contextlib.ExitStack() as opened:
        base = Path(folder)

        def fresh() -> Reopen:
            return opened.enter_context(Opener(kind, Path(tempfile.mkdtemp(dir=base)), VectorStoreContract.DIM))

        try:
            checks = check_store(fresh)
            acknowledged = write_until_killed(base)
            with Opener(kind, base, 32) as reopen:
                there = {i for i, _ in reopen().search(np.ones(32, np.float32), 10**6)}
            lost = len(set(acknowledged) - there)
            artefact = Artefact.of(base / "kb.db", "kb.db after kill -9")  # closed: its write-ahead log is folded in
        except AssertionError as error:
            return Verdict.failed(T(f"The store broke its contract: {error}", f"存储没有遵守约定：{error}"))
    figures = (
        Figure(T("conformance checks passed", "通过的一致性检查"), checks),
        Figure(T("rows acknowledged before kill -9", "kill -9 前已确认的行"), len(acknowledged)),
        Figure(T("of them lost", "其中丢失"), lost),
    )
    if lost or not acknowledged:
        return Verdict.failed(T(f"{lost} acknowledged rows were lost.", f"丢失了 {lost} 行已确认的数据。"), *figures)
    why = T(
        "The SQLite store keeps its contract and loses nothing in a kill -9.",
        "SQLite 存储通过一致性检查，kill -9 不丢数据。",
    )
    return Verdict.passed(why, *figures, artefacts=[artefact])


def check_flow(context: Context) -> Verdict:
    """4.3: questions made from the person's documents, through the whole pipeline with the model of the settings."""
    kb = _largest(context)
    questions = questions_of(kb, _QUESTIONS) if kb is not None else []
    if kb is None or not questions:
        return _no_documents()
    started = time.perf_counter()
    try:
        right, example = asyncio.run(_ask_all(context, kb, questions))
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)
    seconds = (time.perf_counter() - started) / len(questions)
    figures = (
        Figure(T("questions", "问题数"), len(questions)),
        Figure(T("cited passage holds the answer", "引用的段落包含答案"), round(100 * right / len(questions), 1), "%"),
        Figure(T("per question", "每个问题"), round(seconds, 2), "s"),
        Figure(T("example", "示例"), example),
    )
    if right * 3 < len(questions) * 2:
        why = T(
            f"Only {right} of {len(questions)} questions on {kb.name!r} got an answer whose citation holds it.",
            f"关于 {kb.name!r} 的 {len(questions)} 个问题中，只有 {right} 个答案的引用包含答案。",
        )
        return Verdict.failed(why, *figures, fix=f"zhilu kb eval {kb.id} QUESTIONS.jsonl")
    why = T(
        f"{right} of {len(questions)} questions on {kb.name!r} got an answer whose citation holds it.",
        f"关于 {kb.name!r} 的 {len(questions)} 个问题中，{right} 个答案的引用包含答案。",
    )
    documents = [Artefact.of(kb.original(d), d) for d in sorted({q.doc_id for q in questions})]
    return Verdict.passed(why, *figures, artefacts=documents)


async def _ask_all(context: Context, kb: KnowledgeBase, questions: list[MadeQuestion]) -> tuple[int, str]:
    """How many answers cite a passage with the sentence that the question was made from; and the first of them."""
    from zhilu.client import connect
    from zhilu.rag.answer import answer

    right, example = 0, ""
    async with connect(context) as client:
        for question in questions:
            done = {}
            async for event in answer(context, client, kb.id, question.question):
                done = event.data
            cited = [c for c in done["citations"] if c["cited"]]
            if any(question.is_held_by(c["doc_id"], c["start"], c["end"], c["text"]) for c in cited):
                right += 1
                example = example or f"{question.question} → {done['answer']}"
    return right, example[:300]


def _languages(context: Context) -> Counter[tuple[str, str]]:
    """(embedder, language) of all ready documents, counted."""
    library = Library(context)
    used: Counter[tuple[str, str]] = Counter()
    for info in library.list():
        for document in library.open(info.id).documents():
            if document.status == "ready" and document.lang in PARAPHRASES:
                used[info.embedder or NONE, document.lang] += 1
    return used


def _largest(context: Context) -> KnowledgeBase | None:
    library = Library(context)
    infos = [i for i in library.list() if i.num_chunks]
    return library.open(max(infos, key=lambda i: i.num_chunks).id) if infos else None


def _no_documents() -> Verdict:
    return Verdict.not_yet(
        T("There is no document to ask yet.", "还没有可以提问的文档。"),
        fix="zhilu kb create my-documents && zhilu kb add my-documents FILE",
    )


GATES: tuple[Gate, ...] = (
    Gate("4.1", T("Text becomes vectors", "把文本变成向量"), check_embedder),
    Gate("4.2", T("The vector store keeps its contract", "向量数据库通过一致性检查"), check_vector_store),
    Gate(
        "4.3",
        T("Your documents answer, with citations", "你的文档能回答，并注明出处"),
        check_flow,
        needs=("4.1", "4.2"),
        slow=True,
    ),
)
