"""An honest answer without a model's words: the sentence of the passages that fits the question best, as a quotation."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from zhilu.messages import Lang, T
from zhilu.rag.ground import Located
from zhilu.rag.lexical import content_terms, terms
from zhilu.rag.split import sentences

__all__ = ["best_sentence", "quotation"]

_LONGEST = 400  # characters of a quotation; a longer sentence is a list or a table row
_NUMERIC = re.compile(
    r"\b(?:how (?:many|much|long|old|far|tall|large|big)|what (?:year|percent\w*|number|date)|when)\b"
    r"|多少|几|何时|哪一?年|什么时候|多久|多长|多大|多高",
    re.IGNORECASE,
)


def best_sentence(question: str, passages: Sequence[str], scores: Sequence[float]) -> Located | None:
    """The sentence that shares most with the question, rare words counting more; better passages weigh more.

    ``scores`` are the passages' fused scores, 0 to 1. A question for a number prefers a sentence with a digit. None if
    no sentence shares a word with it.
    """
    asked = set(content_terms(question))
    spans = [(p, s, e) for p, text in enumerate(passages) for s, e in sentences(text)]
    bags = [set(terms(passages[p][s:e])) for p, s, e in spans]
    seen = Counter(term for bag in bags for term in bag & asked)
    weight = {term: math.log(1 + len(bags) / (1 + seen[term])) for term in asked}
    total = sum(weight.values()) or 1.0
    wants_number = bool(_NUMERIC.search(question))
    best: tuple[float, Located] | None = None
    for (p, start, end), bag in zip(spans, bags, strict=True):
        shared = sum(weight[t] for t in bag & asked) / total
        if shared == 0 or not bag - asked:
            continue  # a heading that repeats the question answers nothing
        text = passages[p][start:end]
        value = (
            shared
            + 0.25 * scores[p]
            + (0.1 if wants_number and re.search(r"\d|[一二三四五六七八九十百千]", text) else 0.0)
        )
        if best is None or value > best[0]:
            best = (value, Located(p, start, min(end, start + _LONGEST)))
    return best[1] if best is not None else None


def quotation(text: str, number: int, lang: Lang) -> str:
    """The quotation as an answer that says what it is."""
    text = " ".join(text.split())
    return T(en=f"The document says: “{text}” [{number}]", zh=f"文档原文：“{text}” [{number}]").say(lang)
