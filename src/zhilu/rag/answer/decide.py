"""Do the documents contain an answer? Decided before a model that reads by itself is asked, and without the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from zhilu.messages import T
from zhilu.rag.answer.claims import identifiers, missing_kind, missing_names, missing_numbered, stands_in
from zhilu.rag.answer.layout import statements, title_set
from zhilu.rag.answer.meaning import CAUTION, Caution, Meaning, under_heading
from zhilu.rag.records import Hit
from zhilu.rag.retrieve.followup import about
from zhilu.rag.retrieve.search import Retrieved, joined

__all__ = ["SLACK", "holds_answer", "identified_first", "needs_claims", "read_first"]

# Share of the question's words, as MIN_COVERAGE is. Where the embedder hears words only, a question in other words shares
# few of them and nothing else speaks for it; what the model then says is judged.
WITH_MEANING, WORDS_ONLY = 0.4, 0.3
# Where words are not asked: a passage with nearly all of the question's words is read even if no sentence is very near.
NEARLY_ALL = 0.75
# Of the nearness at which a sentence speaks of the question: half of the answers' own sentences lie below that bar, and a
# judge comes after.
SLACK = 0.9
_DOUBTFUL = 0.75  # of Worth.near_sentence: from here on an answer that can be looked up is worth asking for
_CLOSE = 0.75  # of the best passage's nearness
_FUSED = 0.1  # of a passage's fused score, beside its nearest sentence's cosine
_HAN = re.compile("[\u4e00-\u9fff]{4}")  # then names may be written in other letters, whatever most of the passage is
_AT_HOME = 0.08  # of cosine, to passages of the document that the earlier question is nearest to
_OWN = 0.6  # of the bar: how near the few words of a follow-up must be by themselves


def identified_first(found: Retrieved, question: str) -> Retrieved:
    """The same passages, those first that hold the question's codes and versions."""
    codes = identifiers(question)
    if not codes:
        return found
    return replace(found, hits=sorted(found.hits, key=lambda h: sum(not stands_in(c, _text(h)) for c in codes)))


def holds_answer(
    question: str,
    found: Retrieved,
    meaning: Meaning | None,
    passages: int | None,
    caution: Caution = "balanced",
    opening: str | None = None,
) -> tuple[bool, T]:
    """Whether the first ``passages`` passages are worth reading, and why.

    Codes and versions must stand in one of them as a whole. Unless the answer is to be ``bold``, so must names of an English
    question, where the best passage is English, and a passage that lists other kinds of what a Chinese question begins with
    says nothing of it (``missing_kind``). Then the nearness of a sentence in meaning decides, where the embedder knows meanings
    across languages; else the share of the question's words, or the nearness of a passage or of a sentence. ``opening`` is the
    question that a follow-up goes on from.
    """
    hits = found.hits[:passages]
    text = "\n".join(_text(h) for h in hits)
    codes = sorted(identifiers(question))
    lost = [c for c in codes if not stands_in(c, text)]
    lost += missing_numbered(question, text)
    if found.lang == "en" and hits and not _HAN.search(hits[0].text) and caution != "bold":
        lost += missing_names(question, text)
    if found.lang == "zh" and caution != "bold" and (kind := missing_kind(question, text)) is not None:
        lost.append(kind)
    if lost:
        return False, T(f"no passage has {', '.join(lost)}", f"没有段落含有 {'、'.join(lost)}")
    if codes and any(all(stands_in(c, _text(h)) for c in codes) for h in hits):
        return True, T(f"a passage has {', '.join(codes)}", f"有段落含有 {'、'.join(codes)}")
    if meaning is not None and meaning.worth.crosses:
        return _by_meaning(question, opening, hits, found.coverage, meaning, caution)
    by_meaning = meaning is not None and meaning.worth.paraphrases
    bar = (WITH_MEANING if by_meaning else WORDS_ONLY) * CAUTION[caution]
    if found.hits and found.coverage >= bar:
        return True, T(
            f"a passage has {found.coverage:.0%} of its words", f"有段落含有问题中 {found.coverage:.0%} 的词"
        )
    if found.is_near:
        return True, T("a passage is near in meaning", "有段落含义相近")
    if meaning is not None and by_meaning:
        near = _nearest(question, hits, meaning)
        if near >= SLACK * CAUTION[caution] * meaning.worth.near_sentence:
            return True, T(f"a sentence is near in meaning ({near:.2f})", f"有句子含义相近（{near:.2f}）")
    return False, T("no passage is near in words or meaning", "没有词语或含义相近的段落")


def read_first(
    question: str,
    found: Retrieved,
    meaning: Meaning | None,
    passages: int | None,
    k: int,
    asked: Sequence[str] = (),
    opening: str | None = None,
) -> tuple[Retrieved, int | None]:
    """The ``k`` best passages of the pool by their nearest sentence, and how many of them go into the prompt: of the first
    ``passages`` those whose nearest sentence comes close to the best one's.

    A sentence is read behind its heading ("Pets: only in a carrier"), for by itself it says little. A question with a code or a
    version is answered from passages that have it. A short prompt is read sooner, and a passage about something else only
    misleads a small model. ``asked``: the ways in which it is asked, if there are several. ``opening``: the question that a
    follow-up goes on from; the document that answers it is likelier to answer what is asked about it.
    """
    if meaning is None or not meaning.worth.crosses or len(found.pool) < 2:
        codes = identifiers(question)
        holding = [hit for hit in found.hits[:passages] if all(stands_in(c, _text(hit)) for c in codes)]
        return found, (len(holding) or passages) if codes else passages  # they come first already
    near = _nearest_under_heading(asked or (question,), found.pool, meaning)
    if opening is not None:
        opened = _nearest_under_heading((opening,), found.pool, meaning)
        home = max(found.pool, key=lambda hit: opened[_id(hit)])
        near = {
            _id(hit): near[_id(hit)] + (_AT_HOME if (hit.kb_id, hit.doc_id) == (home.kb_id, home.doc_id) else 0.0)
            for hit in found.pool
        }
    lost = {_id(hit): sum(not stands_in(c, _text(hit)) for c in identifiers(question)) for hit in found.pool}
    pool = sorted(found.pool, key=lambda hit: (lost[_id(hit)], -near[_id(hit)] - _FUSED * hit.score))
    first = pool[:passages]
    bar = _CLOSE * near[_id(first[0])]
    kept = [hit for hit in first if lost[_id(hit)] == lost[_id(first[0])] and near[_id(hit)] >= bar]
    read = joined(kept)
    others = joined([hit for hit in pool[:k] if hit not in kept])
    return replace(found, hits=[*read, *others]), len(read)


def _nearest_under_heading(asked: Sequence[str], hits: Sequence[Hit], meaning: Meaning) -> dict[tuple[str, int], float]:
    said = {
        _id(hit): [
            under_heading(s, hit.heading or hit.doc_name)
            for s in statements(hit.text, title_set(hit.doc_name, hit.heading))
        ]
        for hit in hits
    }
    everything = [text for texts in said.values() for text in texts]
    near = dict(zip(everything, meaning.near_asked(asked, everything), strict=True))
    return {key: max((near[text] for text in texts), default=0.0) for key, texts in said.items()}


def _id(hit: Hit) -> tuple[str, int]:
    return hit.kb_id, hit.chunk_id


def _by_meaning(
    question: str, opening: str | None, hits: Sequence[Hit], coverage: float, meaning: Meaning, caution: Caution
) -> tuple[bool, T]:
    bar = CAUTION[caution] * meaning.worth.near_sentence
    near = _nearest(question, hits, meaning)
    # "and the pool?" must be near by itself; "how heavy is it?" speaks of nothing but what was asked before
    if opening is not None and (near >= _OWN * bar or about(question) is None):
        near = max(near, _nearest(f"{opening} {question}", hits, meaning))
    said = T(
        f"the nearest sentence: {near:.2f}, needed {bar:.2f} ({caution})",
        f"最相近的句子：{near:.2f}，需要 {bar:.2f}（{_ZH[caution]}）",
    )
    if near < bar and caution == "balanced" and near >= _DOUBTFUL * meaning.worth.near_sentence:
        return True, T(
            f"{said.en}: only a number, a code or a name will do", f"{said.zh}：只接受有数字、代号或名称的回答"
        )
    return near >= bar or (coverage >= NEARLY_ALL and near >= 0.8 * bar), said


def needs_claims(nearest: float, meaning: Meaning | None, caution: Caution) -> bool:
    """True if the nearest sentence is so far off that a bare "yes" or a paraphrase is not believed.

    Plain questions in other words than the documents' come that far (3 of 32 in benchmarks/answers), and so do questions that
    they do not answer. What names a number, a code or a name that stands there can at least be looked up.
    """
    if meaning is None or not meaning.worth.crosses or caution != "balanced":
        return False
    return nearest < CAUTION[caution] * meaning.worth.near_sentence


_ZH: dict[Caution, str] = {"careful": "谨慎", "balanced": "均衡", "bold": "大胆"}


def _text(hit: Hit) -> str:
    return f"{hit.doc_name}\n{hit.heading}\n{hit.text}"


def _nearest(question: str, hits: Sequence[Hit], meaning: Meaning) -> float:
    texts = [s.said for h in hits for s in statements(h.text, title_set(h.doc_name, h.heading))]
    return max(meaning.near(question, texts), default=0.0)
