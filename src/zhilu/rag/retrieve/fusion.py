"""Two ranked lists into one: min-max normalised scores, weighted by what each list is worth for the language.

Reciprocal-rank fusion counts a bad list as much as a good one: with an English embedder it lowers Chinese recall@5 from 0.996 to
0.748. Here the dense list has ``weight`` and the lexical one ``1 - weight``, and ``dense_weight`` is 0 if the embedder does not
know the language. What an embedder is worth is data: ``worth_of``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from zhilu.rag.index.embedding import TextEmbedder

__all__ = ["Worth", "dense_weight", "fuse", "lexical_trust", "worth_of"]

_TRUSTED = 0.8
# Of the lexical share. benchmarks/retrieval.py --cross-language, recall@5 of questions about the other language's passages:
# 0.70 and 0.71 at 0, 0.75 and 0.76 at 0.5, 0.80 and 0.77 at 0.75, 0.81 and 0.75 at 1; about one's own 0.98 and 1.00 at all of them.
_FOREIGN = 0.75


@dataclass(frozen=True)
class Worth:
    """How far an embedder's cosines can be trusted here. They mean something else in each embedder, so they are measured.

    Attributes:
        weight: the dense list's share, by language (``benchmarks/retrieval.py``); ``any_weight`` for one not named.
        near_passage: a passage this near speaks of the question though it shares few words with it; 5 % of the questions
            that XQuAD's other paragraphs do not answer come so near.
        near_sentence: the same of a sentence; half of the answers' own sentences are nearer, one in ten others is.
        margin: of two entries of one list the one is meant that is nearer by this much.
        paraphrases: it should know what is said in other words; False: it hears words, and gate 4.1 says so.
        crosses: it finds passages in another language than the question's. There words find chance hits only, so the lexical
            list weighs no more than the share of the question that its best passages hold.
    """

    weight: Mapping[str, float] = field(default_factory=dict)
    any_weight: float = 0.5
    near_passage: float = 0.6
    near_sentence: float = 0.5
    margin: float = 0.1
    paraphrases: bool = True
    crosses: bool = False


_WORTH: dict[str, Worth] = {
    # On the sets of benchmarks/retrieval.py 0.5 is the best by MRR in English, or within 0.002 of it.
    "minilm": Worth(),
    # 72 paragraphs of XQuAD in each language, 170 questions: a sentence of the best two passages is this near for 95 % of the
    # questions that they answer and for 16 % (en) and 13 % (zh) of those whose own paragraph was left out; a passage for
    # 72 % and 8 % of them.
    "e5-small": Worth({"en": 0.6, "zh": 0.6}, near_passage=0.44, near_sentence=0.39, margin=0.06, crosses=True),
    # The best that lowers no set below BM25 alone (training/embed/LOG.md): in Chinese characters and their pairs say nearly all.
    "zhilu-embed": Worth({"en": 0.3, "zh": 0.1}, near_passage=0.46, near_sentence=0.36, paraphrases=False),
}


def worth_of(embedder: TextEmbedder, lang: str) -> Worth:
    """Measured figures; MiniLM's for an embedder that was not measured. One made of several is worth what its part for ``lang`` is."""
    part = getattr(embedder, "part", None)
    embedder = part(lang) if part is not None else embedder
    return _WORTH.get(embedder.name, Worth())


def dense_weight(lang: str, embedder: TextEmbedder | None) -> float:
    """The dense list's share for a question in ``lang``: 0 without an embedder that knows it."""
    if embedder is None or lang not in embedder.languages:
        return 0.0
    worth = worth_of(embedder, lang)
    return worth.weight.get(lang, worth.any_weight)


def lexical_trust(best_coverage: float) -> float:
    """What the lexical list is worth, 0 to 1, where its best passage holds this share of the question's words."""
    return min(1.0, best_coverage / _TRUSTED)


def fuse(
    lexical: Mapping[int, float], dense: Mapping[int, float], weight: float, foreign: Collection[int] = ()
) -> list[tuple[int, float]]:
    """``(id, score)`` best first; scores 0 to 1. An id absent from a list counts as that list's lowest.

    ``foreign``: written in another language than the question. That the words of such a passage were not found says nothing
    against it, so most of what they would have counted goes to its meaning (``_FOREIGN``).
    """
    a, b = _min_max(lexical), _min_max(dense)
    if not a or not b:  # one list found nothing: the other one decides alone
        weight = 0.0 if a else 1.0
    unheard = (1 - weight) * _FOREIGN
    scores = {
        i: (weight + unheard) * b.get(i, 0.0)
        if i in foreign and i not in a
        else (1 - weight) * a.get(i, 0.0) + weight * b.get(i, 0.0)
        for i in {*a, *b}
    }
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _min_max(scores: Mapping[int, float]) -> dict[int, float]:
    """Scaled to 0..1; a list whose scores are all alike says the same of each of its members: 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    return {i: (s - low) / (high - low) if high > low else 1.0 for i, s in scores.items()}
