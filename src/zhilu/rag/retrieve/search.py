"""A question to passages: BM25 and vectors, fused; neighbours that overlap are joined, and what stands in several documents
word by word is one passage."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zhilu.prompts import language_of
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.index.publish import nearest
from zhilu.rag.kb import KnowledgeBase
from zhilu.rag.records import Hit
from zhilu.rag.retrieve.fusion import dense_weight, fuse, lexical_trust, worth_of
from zhilu.rag.retrieve.several import Several, ordered, strengths
from zhilu.rag.stores import Filter
from zhilu.text.terms import match_query, query_terms

__all__ = ["POOL", "Retrieved", "coverage", "joined", "retrieve"]

CANDIDATES = 50  # taken from each list before fusion
# Kept for whoever puts passages in order by their sentences. Of the 113 answerable questions of benchmarks/answers the passage with
# the answer is among the first three for 102 as fused, and for 107, 108 and 108 by sentences out of 8, 12 and 16.
POOL = 12
_MOST_COPIES = 40  # of one file; where there are more, a common passage may leave less room for others


@dataclass
class Retrieved:
    """Passages for a question, best first, with the numbers that chose them (they go into the trace).

    ``coverage`` 0 to 1: how much of what the question asks about stands in the best-covering passage (see ``coverage``).
    ``is_near``: a passage speaks of it by its meaning, whatever its words (``Worth.near_passage``).
    ``pool``: the first ``POOL`` passages, or k where that is more, before neighbours were joined.
    """

    hits: list[Hit]
    lang: str
    weight: float
    coverage: float = 0.0
    top_dense: float | None = None
    is_near: bool = False
    num_lexical: int = 0
    num_dense: int = 0
    candidates: list[dict[str, Any]] = field(default_factory=list)
    pool: list[Hit] = field(default_factory=list)


def retrieve(
    kb: KnowledgeBase | Several,
    question: str,
    embedder: TextEmbedder | None,
    *,
    k: int = 5,
    doc_ids: Collection[str] | None = None,
    weight: float | None = None,
) -> Retrieved:
    """The ``k`` best passages of the ready documents (of ``doc_ids`` if given; the filter comes before the ranking).

    ``weight`` overrides the dense list's share, which follows the question's language by default. Of a ``Several`` each part has
    its own embedder and documents, and ``embedder`` and ``doc_ids`` are not looked at.
    """
    if isinstance(kb, Several):
        return _retrieve_over(kb, question, k, weight)
    lang = language_of(question)
    if weight is None:
        weight = dense_weight(lang, embedder)
    num_candidates = CANDIDATES * min(kb.num_copies(), _MOST_COPIES)
    lexical = _lexical(kb, question, doc_ids, num_candidates)
    dense: dict[int, float] = {}
    if embedder is not None and weight > 0:
        vector = embedder.embed([question], kind="query")[0]
        dense = dict(nearest(kb, vector, num_candidates, Filter(doc_ids=doc_ids) if doc_ids is not None else None))
        missing = [i for i in lexical if i not in dense]
        if missing:  # exact cosines for what only BM25 found, so that fusion compares like with like
            dense.update(nearest(kb, vector, len(missing), Filter(ids=missing)))
    foreign: Collection[int] = ()
    counted: dict[str, int] = {}
    if embedder is not None and 0 < weight < 1 and lexical and worth_of(embedder, lang).crosses:
        best = sorted(lexical, key=lexical.__getitem__, reverse=True)[:k]
        trust = lexical_trust(max(coverage(kb, question, best, doc_ids, counted).values()))
        weight = weight / (weight + (1 - weight) * trust)
        foreign = _in_another_language(kb, dense, lang)
    ranked = fuse(lexical, dense, weight, foreign)
    rows = kb.chunks([i for i, _ in ranked[: num_candidates + k]])
    hits = [
        Hit(
            kb_id=kb.id, chunk_id=i, score=round(score, 4), lexical=lexical.get(i), dense=dense.get(i),
            **{key: rows[i][key] for key in _SHOWN},
        )
        for i, score in ranked
        if i in rows
    ]  # fmt: skip
    hits = list({h.text: h for h in reversed(hits)}.values())[::-1]  # of each text, the one that ranks best
    top = hits[:k]
    covered = coverage(kb, question, [h.chunk_id for h in top], doc_ids, counted)
    top_dense = max(dense.values(), default=None)
    return Retrieved(
        hits=joined(top),
        lang=lang,
        weight=weight,
        coverage=max(covered.values(), default=0.0),
        top_dense=top_dense,
        is_near=embedder is not None and top_dense is not None and top_dense >= worth_of(embedder, lang).near_passage,
        num_lexical=len(lexical),
        num_dense=len(dense),
        candidates=[
            {
                "kb_id": h.kb_id, "chunk_id": h.chunk_id, "doc_id": h.doc_id, "doc_name": h.doc_name, "start": h.start, "end": h.end,
                "lexical": h.lexical, "dense": h.dense, "score": h.score, "coverage": covered.get(h.chunk_id),
            }
            for h in hits[: 2 * k]
        ],
        pool=hits[: max(k, POOL)],
    )  # fmt: skip


# The passages of some documents. The plus keeps SQLite from running the match once for each of them, 70 times as long.
_AMONG = " AND +rowid IN (SELECT id FROM chunks WHERE doc_id IN (SELECT value FROM json_each(?)))"
_SHOWN = ("doc_id", "doc_name", "start", "end", "page", "heading", "text", "lang")


def _in_another_language(kb: KnowledgeBase, ids: Collection[int], lang: str) -> set[int]:
    rows = kb.database.rows(
        "SELECT id FROM chunks WHERE lang <> ? AND id IN (SELECT value FROM json_each(?))",
        (lang, json.dumps(list(ids))),
    )
    return {row[0] for row in rows}


def _retrieve_over(several: Several, question: str, k: int, weight: float | None) -> Retrieved:
    """Each part is searched alone; how good its list is beside the others decides how far its passages stand in front."""
    found = [retrieve(p.kb, question, p.embedder, k=k, doc_ids=p.doc_ids, weight=weight) for p in several.parts]
    if not found:
        return Retrieved([], language_of(question), 0.0)
    if len(found) == 1:
        return found[0]
    worth = strengths([(f.coverage, f.top_dense, f.weight) for f in found])
    hits, pool = (
        [
            h.model_copy(update={"score": round(h.score * w, 4)})
            for f, w in zip(found, worth, strict=True)
            for h in (f.pool if is_pool else f.hits)
        ]
        for is_pool in (False, True)
    )
    candidates = [
        {**c, "score": round(c["score"] * w, 4)} for f, w in zip(found, worth, strict=True) for c in f.candidates
    ]
    best = found[max(range(len(found)), key=worth.__getitem__)]
    nearest_of = [f.top_dense for f in found if f.top_dense is not None]
    return replace(
        best,
        hits=ordered(hits, k),
        coverage=max(f.coverage for f in found),
        top_dense=max(nearest_of, default=None),
        is_near=any(f.is_near for f in found),
        num_lexical=sum(f.num_lexical for f in found),
        num_dense=sum(f.num_dense for f in found),
        candidates=sorted(candidates, key=lambda c: -c["score"])[: 2 * k],
        pool=ordered(pool, max(k, POOL)),
    )


def coverage(
    kb: KnowledgeBase,
    question: str,
    ids: Sequence[int],
    doc_ids: Collection[str] | None = None,
    counted: dict[str, int] | None = None,
) -> dict[int, float]:
    """For each chunk, the share of the question's terms that it holds, rare terms counting more (BM25's IDF).

    A term that occurs in no document weighs most: it is what the documents do not speak of. Only those of ``doc_ids`` are
    counted, if given. ``counted`` keeps in how many passages a term stands, for another call about the same question: in a large
    knowledge base that is most of the work.
    """
    counted = {} if counted is None else counted
    among, args = ("", ()) if doc_ids is None else (_AMONG, (json.dumps(sorted(doc_ids)),))
    count_of = "SELECT COUNT(*) FROM lexical WHERE "
    everything = (
        kb.database.value(f"{count_of}1{among}", args) if among else kb.database.value("SELECT COUNT(*) FROM lexical")
    )
    # in a handful of passages every word is rare: below 200 the measure would turn on chance
    total = max(int(everything), 200)
    weights, held = 0.0, dict.fromkeys(ids, 0.0)
    placeholders = ",".join("?" * len(ids))
    for term in query_terms(question):
        match = f'"{term}"'
        if term not in counted:
            counted[term] = int(kb.database.value(f"{count_of}lexical MATCH ?{among}", (match, *args)))
        count = counted[term]
        idf = math.log(1 + (total - count + 0.5) / (count + 0.5))
        weights += idf
        for row in kb.database.rows(
            f"SELECT rowid FROM lexical WHERE lexical MATCH ? AND rowid IN ({placeholders})", (match, *ids)
        ):
            held[row[0]] += idf
    return {i: h / weights if weights else 0.0 for i, h in held.items()}


def _lexical(kb: KnowledgeBase, question: str, doc_ids: Collection[str] | None, limit: int) -> dict[int, float]:
    """BM25 (k1 1.2, b 0.75), higher is better. Only published chunks are in the index."""
    match = match_query(question)
    if not match:
        return {}
    if doc_ids is None:
        rows = kb.database.rows(
            "SELECT rowid, -rank FROM lexical WHERE lexical MATCH ? ORDER BY rank LIMIT ?", (match, limit)
        )
    else:
        rows = kb.database.rows(
            f"SELECT rowid, -rank FROM lexical WHERE lexical MATCH ?{_AMONG} ORDER BY rank LIMIT ?",
            (match, json.dumps(sorted(doc_ids)), limit),
        )
    return {r[0]: r[1] for r in rows}


def joined(hits: Sequence[Hit]) -> list[Hit]:
    """Overlapping or touching passages of one document become one, at the better one's place."""
    kept: list[Hit] = []
    for hit in hits:
        for at, other in enumerate(kept):
            apart = max(hit.start, other.start) - min(hit.end, other.end)
            if hit.doc_id == other.doc_id and apart <= 0:
                first, second = sorted((hit, other), key=lambda h: h.start)
                text = first.text + second.text[max(first.end - second.start, 0) :]
                kept[at] = other.model_copy(
                    update={"start": first.start, "end": max(first.end, second.end), "text": text, "page": first.page}
                )
                break
        else:
            kept.append(hit)
    return kept
