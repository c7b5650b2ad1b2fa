"""What zhilu-embed learns from, and what it is measured on and never sees: texts as units in flat arrays.

Reading, cleaning and the protection of the development set are those of zhilu-nano (``zhilu.training.nano.data``). More is held
back here, because a retrieval measure needs a thousand passages: see ``KEPT_BACK``.
"""

from __future__ import annotations

import io
import random
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from zhilu.home import atomic_write
from zhilu.models.embedders.units import units
from zhilu.training.nano.data import DevGuard, is_clean, is_held_out, paragraphs, read_jsonl, texts

__all__ = ["KEPT_BACK", "SETS", "Corpus", "is_kept_back", "read_corpus", "retrieval_set", "set_records"]

# Per cent of a file's contexts, by hash, that are only measured on; of other QA files zhilu-nano's 4.
KEPT_BACK = {"en-squad1-dev-not-in-v2": 100, "en-squad1-part": 40, "zh-cmrc2018-train": 45, "zh-drcd": 25}
SETS = {
    "squad": ("qa/en-squad1-dev-not-in-v2.jsonl.zst", "qa/en-squad1-part.jsonl.zst"),
    "cmrc": ("qa/zh-cmrc2018-train.jsonl.zst",),
    "drcd": ("qa/zh-drcd.jsonl.zst",),
    "xquad_en": ("dev/qa-xquad_en.jsonl.zst",),
    "xquad_zh": ("dev/qa-xquad_zh.jsonl.zst",),
}
_CONTEXTS_A_DOCUMENT = 12  # a file keeps the paragraphs of an article together, without saying where one ends
_SENTENCE = re.compile(r"(?<=[。！？；])|(?<=[.!?]) ")


def is_kept_back(file: str, context: str) -> bool:
    """True for a context of the QA file called ``file`` that no training may see."""
    percent = next((share for name, share in KEPT_BACK.items() if file.startswith(name)), 4)
    return is_held_out(context, percent)


def set_records(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The answerable records of one of ``SETS`` that are only measured on."""
    for file in SETS[name]:
        path = folder / file
        for record in read_jsonl(path):
            if record["answerable"] and (path.parent.name == "dev" or is_kept_back(path.name, record["context"])):
                yield record


def retrieval_set(
    folder: Path, name: str, num_passages: int = 1000, num_questions: int = 2000, seed: int = 7
) -> tuple[list[str], list[tuple[str, int]]]:
    """Passages, and questions with the index of theirs, of one of ``SETS``; only what was kept back. Seeded.

    Fewer where the set holds fewer.
    """
    asked: dict[str, list[str]] = {}
    for record in set_records(folder, name):
        asked.setdefault(record["context"], []).append(record["question"])
    rng = random.Random(seed)
    passages = list(asked)
    rng.shuffle(passages)
    passages = passages[:num_passages]
    questions = [(question, index) for index, passage in enumerate(passages) for question in asked[passage]]
    rng.shuffle(questions)
    return passages, questions[:num_questions]


@dataclass
class Corpus:
    """Texts as numbers of units. ``x_at`` holds where each x begins, and behind the last one its end.

    ``paragraph_at`` counts sentences, of which a paragraph's first is its heading (often empty); ``document_at`` counts
    paragraphs. ``about`` is each question's paragraph. The first ``num_asked`` paragraphs are those of the QA sets.
    """

    names: np.ndarray  # uint8: the units, in the order of their numbers, joined by newlines
    words: np.ndarray  # int32, of sentences
    sentence_at: np.ndarray
    paragraph_at: np.ndarray
    document_at: np.ndarray
    chinese: np.ndarray  # bool, of documents
    asked: np.ndarray  # int32, of questions
    question_at: np.ndarray
    about: np.ndarray

    def units(self) -> list[str]:
        """The units by number."""
        return bytes(self.names).decode().split("\n")

    def sentences(self, paragraph: int) -> list[np.ndarray]:
        """The heading and the sentences of a paragraph, as numbers of units."""
        at = self.sentence_at[self.paragraph_at[paragraph] : self.paragraph_at[paragraph + 1] + 1]
        return [self.words[a:b] for a, b in pairwise(at)]

    def body(self, paragraph: int) -> np.ndarray:
        """A paragraph without its heading: its sentences stand one behind the other."""
        first, last = self.paragraph_at[paragraph] + 1, self.paragraph_at[paragraph + 1]
        return self.words[self.sentence_at[first] : self.sentence_at[last]]

    def question(self, number: int) -> np.ndarray:
        return self.asked[self.question_at[number] : self.question_at[number + 1]]

    def save(self, path: Path) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        atomic_write(path, buffer.getvalue())

    @classmethod
    def open(cls, path: Path) -> Corpus:
        with np.load(path) as stored:
            return cls(**{f.name: stored[f.name] for f in fields(cls)})


class _Writer:
    """Collects a ``Corpus`` text by text."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.words, self.asked = array("i"), array("i")
        self.sentence_at, self.paragraph_at, self.document_at = [0], [0], [0]
        self.question_at: list[int] = [0]
        self.about: list[int] = []
        self.chinese: list[bool] = []

    def paragraph(self, heading: str, text: str) -> int:
        """Add a paragraph to the document in hand; its number."""
        for sentence in [heading, *(s for s in _SENTENCE.split(text) if s and s.strip())]:
            if sentence:
                self.words.extend(self._numbered(sentence))
            self.sentence_at.append(len(self.words))
        self.paragraph_at.append(len(self.sentence_at) - 1)
        return len(self.paragraph_at) - 2

    def question(self, text: str, paragraph: int) -> None:
        self.asked.extend(self._numbered(text))
        self.question_at.append(len(self.asked))
        self.about.append(paragraph)

    def end_document(self, lang: str) -> None:
        if len(self.paragraph_at) - 1 > self.document_at[-1]:
            self.document_at.append(len(self.paragraph_at) - 1)
            self.chinese.append(lang == "zh")

    def corpus(self) -> Corpus:
        return Corpus(
            names=np.frombuffer("\n".join(self.numbers).encode(), np.uint8),
            words=np.array(self.words, np.int32),
            sentence_at=np.array(self.sentence_at),
            paragraph_at=np.array(self.paragraph_at),
            document_at=np.array(self.document_at),
            chinese=np.array(self.chinese, bool),
            asked=np.array(self.asked, np.int32),
            question_at=np.array(self.question_at),
            about=np.array(self.about, np.int64),
        )

    def _numbered(self, text: str) -> Iterator[int]:
        for unit in units(text):
            yield self.numbers.setdefault(unit, len(self.numbers))


def read_corpus(folder: Path, max_chars: int, report: Callable[[str], None] = lambda line: None) -> Corpus:
    """The training part of the QA sets, then prose of the plain text, at most ``max_chars`` of it a language.

    No text shares a run of characters with the development set or with a context that is kept back.
    """
    guard = DevGuard(folder)
    records = [
        (path.name, record) for path in sorted((folder / "qa").glob("*.jsonl.zst")) for record in read_jsonl(path)
    ]
    kept_back = {r["context"]: r["lang"] for name, r in records if is_kept_back(name, r["context"])}
    for context, lang in kept_back.items():
        guard.add(context, lang)
    writer = _Writer()
    for group in _groups(_training_contexts([r for _, r in records if r["context"] not in kept_back], guard)):
        for context, _, questions in group:
            number = writer.paragraph("", context)
            for question in questions:
                writer.question(question, number)
        writer.end_document(group[0][1])
    report(f"{len(writer.about)} questions about {len(writer.paragraph_at) - 1} passages; {len(kept_back)} kept back")
    for lang in ("en", "zh"):
        for document in texts(folder, lang, max_chars, guard):
            for heading, text in _prose(document, lang):
                writer.paragraph(heading, text)
            writer.end_document(lang)
        report(f"{lang}: {len(writer.paragraph_at) - 1} paragraphs and {len(writer.numbers)} units so far")
    return writer.corpus()


def _training_contexts(records: Sequence[dict[str, Any]], guard: DevGuard) -> list[tuple[str, str, list[str]]]:
    """``(context, language, its answerable questions)``."""
    found: dict[str, tuple[str, list[str]]] = {}
    leaking: set[str] = set()
    for record in records:
        context, lang = record["context"], record["lang"]
        if context not in found and context not in leaking:
            if is_clean(context) and not guard.leaks(context, lang):
                found[context] = (lang, [])
            else:
                leaking.add(context)
        if context in found and record["answerable"] and not guard.leaks(record["question"], lang):
            found[context][1].append(record["question"])
    return [(context, lang, questions) for context, (lang, questions) in found.items() if questions]


def _groups(contexts: Sequence[tuple[str, str, list[str]]]) -> Iterator[list[tuple[str, str, list[str]]]]:
    """Neighbours of one language, a dozen at a time."""
    for lang in ("en", "zh"):
        mine = [c for c in contexts if c[1] == lang]
        for start in range(0, len(mine), _CONTEXTS_A_DOCUMENT):
            yield mine[start : start + _CONTEXTS_A_DOCUMENT]


def _prose(document: str, lang: str) -> Iterator[tuple[str, str]]:
    """``(heading, paragraph)`` of a Markdown document."""
    heading = ""
    for line in document.split("\n"):
        if line.lstrip().startswith("#"):
            heading = line.strip().lstrip("# ")
        else:
            for text in paragraphs(line, lang):
                yield heading, text
