"""Do the documents contain an answer? Decided before a model that reads by itself is asked, and without the model."""

from __future__ import annotations

from dataclasses import replace

from zhilu.messages import T
from zhilu.rag.answer.claims import identifiers, missing_names, stands_in
from zhilu.rag.index.embedding import TextEmbedder
from zhilu.rag.index.split import sentences
from zhilu.rag.records import Hit
from zhilu.rag.retrieve.fusion import worth_of
from zhilu.rag.retrieve.search import Retrieved

__all__ = ["SLACK", "holds_answer", "identified_first"]

# Share of the question's words, as MIN_COVERAGE is. Where the embedder hears words only, a question in other words shares
# few of them and nothing else speaks for it; what the model then says is judged.
WITH_MEANING, WORDS_ONLY = 0.4, 0.3
# Of the nearness at which a sentence speaks of the question: half of the answers' own sentences lie below that bar, and a
# judge comes after.
SLACK = 0.9


def identified_first(found: Retrieved, question: str) -> Retrieved:
    """The same passages, those first that hold the question's codes and versions."""
    codes = identifiers(question)
    if not codes:
        return found
    return replace(found, hits=sorted(found.hits, key=lambda h: sum(not stands_in(c, _text(h)) for c in codes)))


def holds_answer(
    question: str, found: Retrieved, embedder: TextEmbedder | None, passages: int | None
) -> tuple[bool, T]:
    """Whether the first ``passages`` passages are worth reading, and why.

    Codes and versions must stand in one of them as a whole, names of an English question too where the best passage is English. Then words
    decide, or the meaning of a passage or of a sentence of it.
    """
    hits = found.hits[:passages]
    text = "\n".join(_text(h) for h in hits)
    lost = [c for c in sorted(identifiers(question)) if not stands_in(c, text)]
    if found.lang == "en" and hits and hits[0].lang == "en":
        lost += missing_names(question, text)
    if lost:
        return False, T(f"no passage has {', '.join(lost)}", f"没有段落含有 {'、'.join(lost)}")
    worth = worth_of(embedder, found.lang) if embedder is not None and found.weight > 0 else None
    by_meaning = worth is not None and worth.paraphrases
    bar = WITH_MEANING if by_meaning else WORDS_ONLY
    if found.hits and found.coverage >= bar:
        return True, T(
            f"a passage has {found.coverage:.0%} of its words", f"有段落含有问题中 {found.coverage:.0%} 的词"
        )
    if found.is_near:
        return True, T("a passage is near in meaning", "有段落含义相近")
    if embedder is not None and worth is not None and by_meaning:
        near = _nearest(question, hits, embedder)
        if near >= SLACK * worth.near_sentence:
            return True, T(f"a sentence is near in meaning ({near:.2f})", f"有句子含义相近（{near:.2f}）")
    return False, T("no passage is near in words or meaning", "没有词语或含义相近的段落")


def _text(hit: Hit) -> str:
    return f"{hit.doc_name}\n{hit.heading}\n{hit.text}"


def _nearest(question: str, hits: list[Hit], embedder: TextEmbedder) -> float:
    texts = [h.text[a:b] for h in hits for a, b in sentences(h.text)]
    if not texts:
        return 0.0
    return float((embedder.embed(texts, kind="passage") @ embedder.embed([question], kind="query")[0]).max())
