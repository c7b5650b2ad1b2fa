"""The gates of stage 4 on the person's own documents: 4.1 vectors, 4.2 the store, 4.3 the whole flow, 4.4 retrieval; 4.5 the web."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from zhilu.context import Context
from zhilu.errors import ZhiluError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.rag.board.evaluate import ask_one, examinee_of
from zhilu.rag.board.measure import BoardRow, summary
from zhilu.rag.board.sample import sample_questions
from zhilu.rag.board.setup import Setup
from zhilu.rag.board.trial import drop_trial, trial_of
from zhilu.rag.index.embedding import NONE, TextEmbedder, embedder_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.library import Library
from zhilu.rag.retrieve.fusion import worth_of
from zhilu.rag.web.gate import GATE as WEB

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
_FOUND_QUESTIONS = 12
_FOUND = 0.7  # of the questions that have their passage among the first five


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
    """4.3: questions on the person's documents, through the whole pipeline with the model of the settings."""
    kb = _largest(context)
    if kb is None:
        return _no_documents()
    started = time.perf_counter()
    try:
        rows, by = asyncio.run(_measured(context, kb, [Setup()], _QUESTIONS))
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)
    if not rows:
        return _no_documents()
    asked = rows[0]
    right = sum(bool(row.citation_recall) for row in asked)
    seconds = (time.perf_counter() - started) / len(asked)
    figures = (
        Figure(T("questions", "问题数"), len(asked)),
        Figure(T("the questions are", "问题来源"), by.say()),
        Figure(T("cited passage holds the answer", "引用的段落包含答案"), round(100 * right / len(asked), 1), "%"),
        Figure(T("per question", "每个问题"), round(seconds, 2), "s"),
        *_examples(asked),
    )
    said = T(
        f"{right} of {len(asked)} questions on {kb.name!r} got an answer whose citation holds it.",
        f"关于 {kb.name!r} 的 {len(asked)} 个问题中，{right} 个答案的引用包含答案。",
    )
    if right * 3 < len(asked) * 2:
        only = T(f"Only {said.en}", f"只达到部分：{said.zh}")
        return Verdict.failed(only, *figures, fix=f"zhilu kb questions {kb.id} --make 20 && zhilu kb eval {kb.id}")
    documents = [Artefact.of(kb.original(d), d) for d in sorted({row.doc_id for row in asked if row.doc_id})]
    return Verdict.passed(said, *figures, artefacts=documents)


def check_retrieval(context: Context) -> Verdict:
    """4.4: the same questions found several ways: how things are, by words, by meaning, split smaller, another store, without
    reordering, with a made-up answer to search with."""
    kb = _largest(context)
    if kb is None:
        return _no_documents()
    setups = _ways(kb)
    try:
        rows, by = asyncio.run(_measured(context, kb, setups, _FOUND_QUESTIONS))
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)
    if not rows:
        return _no_documents()
    figures = [Figure(T("questions", "问题数"), len(rows[0])), Figure(T("the questions are", "问题来源"), by.say())]
    reached = []
    for setup, these in zip(setups, rows, strict=True):
        found = summary(these)["figures"]
        reached.append(found["hit@5"])
        label = setup.label()
        shown = " · ".join(f"{name} {found[name]:.2f}" for name in ("hit@1", "hit@5", "mrr@10", "ndcg@10"))
        figures.append(Figure(T(label.en, label.zh), shown))
    figures += _examples(rows[0])
    said = T(
        f"Of {len(rows[0])} questions on {kb.name!r}, {reached[0]:.0%} have their passage among the first five; "
        f"compared with {len(setups) - 1} other ways.",
        f"关于 {kb.name!r} 的 {len(rows[0])} 个问题中，{reached[0]:.0%} 的段落排在前五；另对比了 {len(setups) - 1} 种做法。",
    )
    if reached[0] < _FOUND:
        return Verdict.failed(said, *figures, fix=f"zhilu kb eval {kb.id} --retrieval-only --against meaning=0")
    return Verdict.passed(said, *figures)


def _ways(kb: KnowledgeBase) -> list[Setup]:
    """What 4.4 compares, as far as it differs here."""
    ways = [Setup(), Setup(meaning=0.0), Setup(chunk_tokens=110, overlap_tokens=20)]
    if kb.embedder != NONE:
        ways += [Setup(meaning=1.0), Setup(rerank=False), Setup(draft=True)]
        if kb.store_name != "faiss" and importlib.util.find_spec("faiss") is not None:
            ways.append(Setup(store="faiss"))
    return [w.model_copy(update={"retrieval_only": True}) for w in ways]


async def _measured(
    context: Context, kb: KnowledgeBase, setups: list[Setup], count: int
) -> tuple[list[list[BoardRow]], T]:
    """The rows of each configuration on the same questions, and who made the questions; no rows where there is no question."""
    from zhilu.client import connect

    model = default_model(context).name
    async with connect(context) as client:
        questions, by = await sample_questions(context, kb, count, client)
        rows = []
        for setup in setups if questions else []:
            asked = trial_of(context, kb, setup, lambda _share, _name: None) if setup.needs_index else kb
            try:
                embedder = embedder_of(context, asked.embedder)
                examinee = examinee_of(context, asked, setup, client, model, embedder)
                rows.append([await ask_one(examinee, question) for question in questions])
            finally:
                if asked is not kb:
                    asked.close()
                    drop_trial(kb, setup)
    return rows, by


def _examples(rows: list[BoardRow]) -> list[Figure]:
    """The first question that came out right and the first that did not, as they are."""
    shown = []
    for name, is_right in ((T("example", "示例"), True), (T("an example that failed", "未通过的示例"), False)):
        row = next((r for r in rows if (r.label == "right") is is_right), None)
        if row is not None:
            said = row.answer if row.answer is not None else (f"#{row.rank}" if row.rank else "-")
            shown.append(Figure(name, f"{row.question} → {said}"[:300]))
    return shown


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
    Gate(
        "4.4",
        T("Retrieval, measured and compared", "检索的指标与对比"),
        check_retrieval,
        needs=("4.1", "4.2"),
        slow=True,
    ),
    WEB,
)
