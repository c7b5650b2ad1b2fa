"""Questions made by rule from a person's own documents, so that a gate can ask without a hand-written test set.

A sentence with a number becomes a question for the number ("The installer needs how much: … MB of disk space?"). Any other
sentence becomes a question that quotes its beginning and asks for the rest. Such questions are plainer than a person's. They
measure that a passage is found and cited, not that paraphrases are understood.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from zhilu.prompts import language_of
from zhilu.rag.kb import KnowledgeBase
from zhilu.text.sentences import sentences
from zhilu.text.terms import content_terms

__all__ = ["MadeQuestion", "questions_of"]

_NUMBER = re.compile(
    r"(?<![\w.,-])\d[\d,.]*(?![\w.-])|(?<![一二三四五六七八九十百千万两])[一二三四五六七八九十百千万两]{2,}(?=[个天年月日人元次小分米公千])"
)
_PROSE = re.compile(r"[A-Za-z\u4e00-\u9fff]")
_LENGTHS = {"en": (40, 220), "zh": (14, 90)}


@dataclass(frozen=True)
class MadeQuestion:
    """``question`` is answered by the sentence at ``start:end`` of the document's text."""

    question: str
    doc_id: str
    start: int
    end: int
    sentence: str
    lang: str

    def is_held_by(self, doc_id: str, start: int, end: int, text: str) -> bool:
        """True if the passage contains the sentence, be it in a copy of the document."""
        return (doc_id == self.doc_id and start <= self.start and self.end <= end) or self.sentence in text


def questions_of(kb: KnowledgeBase, count: int, seed: int = 1) -> list[MadeQuestion]:
    """Up to ``count`` questions spread over the ready documents; the same ones each time the documents are the same."""
    rows = kb.passages()
    random.Random(seed).shuffle(rows)
    made: dict[str, MadeQuestion] = {}
    for row in rows:
        candidates = [q for span in sentences(row["text"]) if (q := _question(row, *span)) is not None]
        # one question a chunk, one with a number if there is one
        candidates.sort(key=lambda q: _NUMBER.search(q.sentence) is None)
        for question in candidates[:1]:
            made.setdefault(question.sentence, question)
        if len(made) == count:
            break
    return list(made.values())


def _question(row: dict[str, Any], start: int, end: int) -> MadeQuestion | None:
    sentence: str = row["text"][start:end]
    lang = language_of(sentence)
    low, high = _LENGTHS[lang]
    if not low <= len(sentence) <= high or re.search(r"[|`#<>{}]|https?:", sentence) or "\n" in sentence:
        return None
    if not sentence.rstrip('”"’) ）').endswith((".", "。", "!", "！", ";", "；")):
        return None  # a command, a heading or a cell: nothing that says something
    if len(_PROSE.findall(sentence)) < 0.6 * len(sentence) or len(set(content_terms(sentence))) < 6:
        return None
    bare = sentence.rstrip("。.!！；; ").lstrip("-*• ")
    number = _NUMBER.search(bare)
    if number is not None:
        blank = "多少" if lang == "zh" else "how many or which"
        question = f"{bare[: number.start()]}{blank}{bare[number.end() :]}"
    else:
        cut = _middle(bare, lang)
        question = (
            f"关于“{bare[:cut]}”，文档怎么说" if lang == "zh" else f"What do the documents say about “{bare[:cut]}”"
        )
    at: int = row["start"]
    mark = "？" if lang == "zh" else "?"
    return MadeQuestion(f"{question}{mark}", row["doc_id"], at + start, at + end, sentence, lang)


def _middle(sentence: str, lang: str) -> int:
    """A cut after about three fifths of the sentence, between words."""
    at = len(sentence) * 3 // 5
    return at if lang == "zh" else (sentence.find(" ", at) if " " in sentence[at:] else at)
