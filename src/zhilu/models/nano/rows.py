"""Rows of token ids with a weight per label, mixed by a curriculum, batched by length.

``Corpus`` holds the sources in memory; ``Mixer.block(number, progress)`` is a pure function of its arguments, so that a run
that was killed goes on with exactly the batches it would have seen.
"""

from __future__ import annotations

import bisect
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zhilu.models.nano import talk, tasks
from zhilu.models.nano.data import Context, DevGuard, group_contexts, is_clean, paragraphs, read_jsonl, texts
from zhilu.models.nano.template import segments
from zhilu.models.nano.tokenizer import END
from zhilu.prompts import Passage, is_refusal

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["STAGES", "Batch", "Corpus", "Mixer", "Row", "Stage", "encode"]

# Passages, questions and prompts carry a little loss too, at a sample of their tokens: the projection onto the vocabulary is
# the dearest layer, so it runs only where a label is.
_AUX_SHARE, _AUX_WEIGHT = 0.04, 0.15
# A reply's first token decides where copying starts and is by far the hardest: it weighs most.
_FIRST_WEIGHT = 2.5
# Answers begin in many ways, a refusal in one: with equal weight the one wins wherever the model is unsure.
_REFUSAL_WEIGHT = 0.5
QUESTION_MARKS = ("Question: ", "问题：")
_COPIED = ("copy", "qa", "summary")  # kinds whose later tokens follow from the first
_TEXT_SHARE, _TEXT_WEIGHT = 0.5, 0.3


_REPLY = re.compile(r"(.+) \[(\d)\]<\|im_end\|>", re.DOTALL)


@dataclass(frozen=True)
class Row:
    """``ids`` (length), and for every id the weight of predicting it (0: not learned; the first id's is always 0)."""

    ids: list[int]
    weights: list[float]
    kind: str
    # (from, to) places: the reply's start to where its span stands; the span's place to its passage's number; the reply's
    # bracket to where its span ends (the passage's number has been noted there)
    spans: tuple[tuple[int, int], ...] = ()
    markers: tuple[tuple[int, int], ...] = ()
    citations: tuple[tuple[int, int], ...] = ()
    anchors: tuple[tuple[int, int], ...] = ()  # the reply's start to the nearest word that question and passage share


@dataclass(frozen=True)
class Batch:
    """``ids (batch, length)`` int64, padded on the right (causal attention never looks there), and label weights alike."""

    ids: np.ndarray
    weights: np.ndarray
    spans: np.ndarray  # (n, 3): row, from, to
    markers: np.ndarray
    citations: np.ndarray
    anchors: np.ndarray


@dataclass(frozen=True)
class Stage:
    """One step of the curriculum: it holds until ``until`` (share of the run), with these shares of row kinds."""

    until: float
    shares: dict[str, float]
    passages: tuple[int, ...]  # numbers of passages to draw from
    chars: dict[str, int]  # longest passage, in characters
    max_tokens: int
    blur: float  # share of words left out of made questions
    cut: float  # share of made questions that break off right before the answer: the easiest to look up
    refuse: float  # share of questions that no passage answers


STAGES = (
    Stage(
        0.52,
        {"copy": 0.60, "qa": 0.28, "text": 0.04, "chat": 0.08},
        (1, 1, 2),
        {"zh": 110, "en": 330},
        384,
        0.0,
        0.5,
        0.0,
    ),
    Stage(
        0.7,
        {
            "copy": 0.32,
            "qa": 0.38,
            "text": 0.04,
            "chat": 0.12,
            "title": 0.04,
            "summary": 0.02,
            "rewrite": 0.06,
            "tool": 0.02,
        },
        (1, 2, 2, 3),
        {"zh": 160, "en": 560},
        640,
        0.1,
        0.3,
        0.06,
    ),
    Stage(
        1.0,
        {
            "copy": 0.14,
            "qa": 0.50,
            "text": 0.03,
            "chat": 0.15,
            "title": 0.04,
            "summary": 0.03,
            "rewrite": 0.07,
            "tool": 0.04,
        },
        (1, 2, 2, 3, 4),
        {"zh": 210, "en": 850},
        1024,
        0.15,
        0.2,
        0.10,
    ),
)


def encode(
    tokenizer: Tokenizer, messages: Sequence[Any], tools: Sequence[dict[str, Any]], rng: random.Random, kind: str
) -> Row:
    """A conversation as a row. A long answer's tokens weigh less each, so that spans are not drowned by sentences."""
    ids: list[int] = []
    weights: list[float] = []
    question = starts_question = 0  # where the question at hand starts, and where the first one does: the passages' end
    spans: list[tuple[int, int]] = []
    markers: list[tuple[int, int]] = []
    citations: list[tuple[int, int]] = []
    anchors: list[tuple[int, int]] = []
    shown: tuple[str, list[int]] = ("", [])  # the first prompt and the place in it where each of its tokens starts
    for text, learned in segments(messages, tools):
        encoded = tokenizer.encode(text, add_special_tokens=False)
        part = encoded.ids
        if not learned:
            asked = max(text.rfind(mark) for mark in QUESTION_MARKS)
            question = len(ids) + sum(start < asked for start, _ in encoded.offsets)
        if not shown[0]:
            shown, starts_question = (text, [start for start, _ in encoded.offsets]), question
        elif learned and (found := _locate(text, *shown)):
            spans.append((len(ids) - 1, found[0]))
            markers.append(found)
            length = len(part) - 4  # of the span: " [", number, "]" and the end mark follow it
            if length > 0 and ids[found[0] + length - 1] == part[length - 1]:
                citations.append((len(ids) + length, found[0] + length - 1))
            if anchor := _anchor(ids[:starts_question], ids[question:], found):
                anchors.append((len(ids) - 1, anchor))
        ids += part
        if learned:
            each = min(1.0, (8 if kind in _COPIED else 24) / len(part))
            first = _REFUSAL_WEIGHT if is_refusal(text) else _FIRST_WEIGHT
            weights += [first, *[each] * (len(part) - 1)]
        else:
            weights += [_AUX_WEIGHT * (rng.random() < _AUX_SHARE) for _ in part]
    weights[0] = 0.0
    return Row(ids, weights, kind, tuple(spans), tuple(markers), tuple(citations), tuple(anchors))


def _anchor(shown: list[int], asked: list[int], found: tuple[int, int]) -> int | None:
    """The place nearest to the answer (within 40 tokens, in its passage) of a token that the question holds and the passages hold once."""
    counts = Counter(shown)
    wanted = {token for token in asked if counts[token] == 1}
    near = [p for p in range(max(found[1] + 1, found[0] - 40), min(len(shown), found[0] + 40)) if shown[p] in wanted]
    return min(near, key=lambda place: abs(place - found[0]), default=None)


def _locate(reply: str, prompt: str, starts: list[int]) -> tuple[int, int] | None:
    """Token places of the reply's span and of its passage's number in the prompt; None unless the span stands there just once."""
    cited = _REPLY.fullmatch(reply)
    if not cited:
        return None
    span, number = cited.group(1), int(cited.group(2))
    opening = re.search(rf"\n\[{number}\] ", prompt)
    if not opening:
        return None
    closing = prompt.find(f"\n[{number + 1}] ", opening.end())
    region = prompt[: closing if closing > 0 else prompt.rfind("\n\n")]
    place = region.find(span, opening.end() - 1)
    if place < 0 or region.find(span, place + 1) >= 0:
        return None
    return bisect.bisect_right(starts, place) - 1, bisect.bisect_right(starts, opening.start() + 2) - 1


class Corpus:
    """Everything rows are made of: ``max_chars`` of plain text a language, the QA contexts, rewrites and function calls."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, max_chars: int) -> None:
        guard = DevGuard(folder)
        end = tokenizer.token_to_id(END)
        self.paragraphs: dict[str, list[str]] = {}
        self.tokens: dict[str, np.ndarray] = {}
        self.contexts: dict[str, list[Context]] = {"zh": [], "en": []}
        for lang in ("zh", "en"):
            documents = list(texts(folder, lang, max_chars, guard))
            self.paragraphs[lang] = [p for document in documents for p in paragraphs(document, lang)]
            encoded = tokenizer.encode_batch(documents[: max(1, len(documents) // 3)], add_special_tokens=False)
            self.tokens[lang] = np.concatenate([np.asarray([*e.ids, end], dtype=np.uint16) for e in encoded])
        for context in group_contexts(folder, guard):
            self.contexts[context.lang].append(context)
        self.rewrites = self._records(folder / "rewrite", guard)
        self.tools = [
            r for r in self._records(folder / "tools", guard) if len(r["calls"]) == 1 and not r.get("history")
        ]

    @staticmethod
    def _records(folder: Path, guard: DevGuard) -> list[dict[str, Any]]:
        found = [r for path in sorted(folder.glob("*.jsonl.zst")) for r in read_jsonl(path)]
        return [
            r
            for r in found
            if is_clean(r.get("rewrite", "")) and not guard.leaks(r.get("rewrite") or r["query"], r["lang"])
        ]


class Mixer:
    """Draws rows by the curriculum and packs them into batches of at most ``batch_tokens``."""

    def __init__(
        self, corpus: Corpus, tokenizer: Tokenizer, batch_tokens: int, seed: int, stages: Sequence[Stage] = STAGES
    ) -> None:
        self.corpus, self.tokenizer, self.batch_tokens, self.seed, self.stages = (
            corpus,
            tokenizer,
            batch_tokens,
            seed,
            stages,
        )
        self._by_lang = {
            lang: {
                "rewrite": [r for r in corpus.rewrites if r["lang"] == lang],
                "tool": [r for r in corpus.tools if r["lang"] == lang],
            }
            for lang in ("zh", "en")
        }

    def block(self, number: int, progress: float, num_batches: int = 24) -> list[Batch]:
        """About ``num_batches`` batches: rows drawn at random, sorted by length (little padding), batches shuffled."""
        rng = random.Random(f"{self.seed}:{number}")
        stage = next((s for s in self.stages if progress < s.until), self.stages[-1])
        rows: list[Row] = []
        while sum(len(row.ids) for row in rows) < num_batches * self.batch_tokens:
            row = self.row(stage, rng)
            if row and 8 <= len(row.ids) <= stage.max_tokens:
                rows.append(row)
        rows.sort(key=lambda row: len(row.ids))
        groups: list[list[Row]] = [[]]
        for row in rows:
            if (len(groups[-1]) + 1) * len(row.ids) > self.batch_tokens and groups[-1]:
                groups.append([])
            groups[-1].append(row)
        rng.shuffle(groups)
        return [_pad(group) for group in groups]

    def row(self, stage: Stage, rng: random.Random) -> Row | None:
        """One row, or None where the drawn material yields none (no span found, too long)."""
        lang = "zh" if rng.random() < 0.55 else "en"
        kind = rng.choices(list(stage.shares), list(stage.shares.values()))[0]
        if kind == "text":
            return self._text(lang, min(256, stage.max_tokens), rng)
        tools: list[dict[str, Any]] = []
        strange = rng.choice(rng.choice(self.corpus.contexts[lang]).questions).text
        if kind in ("copy", "qa"):
            messages = self._grounded(kind, lang, stage, rng)
        elif kind == "chat":
            messages = talk.chat_row(lang, strange, rng)
        elif kind == "title":
            messages = talk.title_row(strange, lang)
        elif kind == "summary":
            messages = talk.summary_row(self._passage(lang, stage, rng).text, lang)
        elif kind == "rewrite":
            messages = talk.rewrite_row(rng.choice(self._by_lang[lang]["rewrite"]))
        else:
            messages, tools = talk.tool_row(rng.choice(self._by_lang[lang]["tool"]), rng)
        if not messages:
            return None
        row = encode(self.tokenizer, messages, tools, rng, kind)
        while len(row.ids) > stage.max_tokens and len(messages) > 3:  # leave the last question out until the row fits
            messages = messages[:-2]
            row = encode(self.tokenizer, messages, tools, rng, kind)
        return row

    def _text(self, lang: str, length: int, rng: random.Random) -> Row:
        tokens = self.corpus.tokens[lang]
        start = rng.randrange(max(1, len(tokens) - length))
        ids = tokens[start : start + length].tolist()
        weights = [_TEXT_WEIGHT * (rng.random() < _TEXT_SHARE) for _ in ids]
        weights[0] = 0.0
        return Row(ids, weights, "text")

    def _passage(self, lang: str, stage: Stage, rng: random.Random) -> Context:
        """A piece of a paragraph, or (one in three) of a QA context with its questions left out."""
        text = (
            rng.choice(self.corpus.contexts[lang]).text
            if rng.random() < 0.33
            else rng.choice(self.corpus.paragraphs[lang])
        )
        return tasks.window(Context(text, lang), rng.randint(stage.chars[lang] // 2, stage.chars[lang]), rng)

    def _grounded(self, kind: str, lang: str, stage: Stage, rng: random.Random) -> tasks.Conversation | None:
        """Passages and up to a dozen questions to them: made ones (``copy``) or mostly asked by people (``qa``)."""
        count = rng.choice(stage.passages)
        contexts = []
        for place in range(count):
            if kind == "qa" and (place == 0 or rng.random() < 0.7):
                whole = rng.choice(self.corpus.contexts[lang])
                contexts.append(tasks.window(whole, rng.randint(stage.chars[lang] * 2 // 3, stage.chars[lang]), rng))
            else:
                contexts.append(self._passage(lang, stage, rng))
        if any(len(c.text) > stage.chars[lang] for c in contexts):
            return None
        asks: list[tasks.Ask] = []
        for index, context in enumerate(contexts):
            asks += [tasks.Ask(q.text, q.answer, index) for q in context.questions if q.start >= 0]
            made = max(1, (7 if kind == "copy" else 2) // count + (kind == "copy" and count > 1))
            asks += tasks.cloze_asks(context.text, lang, index, made, rng, stage.blur, stage.cut)
            if rng.random() < (0.7 if kind == "copy" else 0.15):
                asks += tasks.find_asks(context.text, lang, index, 1, rng)
        if stage.refuse and (kind == "qa" or rng.random() < 0.3):
            asks += [tasks.Ask(q.text, "", -1) for c in contexts if count == 1 for q in c.questions if q.start < 0][:1]
            foreign = rng.choice(self.corpus.contexts[lang]).questions
            asks += [tasks.Ask(rng.choice(foreign).text, "", -1) for _ in asks if rng.random() < stage.refuse]
        rng.shuffle(asks)
        if not asks:
            return None
        budget = stage.max_tokens - 70 - sum(len(c.text) for c in contexts) // (1 if lang == "zh" else 4)
        cost = 38 if lang == "zh" else 36
        passages = [Passage(title=self._title(c.text, lang, rng), text=c.text) for c in contexts]
        return tasks.grounded(passages, asks[: max(1, min(12, budget // cost))], "zh" if lang == "zh" else "en", rng)

    @staticmethod
    def _title(text: str, lang: str, rng: random.Random) -> str:
        """Half of the passages have no title; the others a file name or heading made of their first words."""
        if rng.random() < 0.5:
            return ""
        head = text[: rng.randint(3, 8)] if lang == "zh" else " ".join(text.split()[: rng.randint(1, 4)])
        return head.strip("，。、,.：:") + rng.choice(["", "", ".md", ".pdf", ".txt"])


def _pad(rows: Sequence[Row]) -> Batch:
    length = max(len(row.ids) for row in rows)
    ids = np.zeros((len(rows), length), dtype=np.int64)
    weights = np.zeros((len(rows), length), dtype=np.float32)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)], weights[place, : len(row.ids)] = row.ids, row.weights
    return Batch(ids, weights, *(_places(rows, name) for name in ("spans", "markers", "citations", "anchors")))


def _places(rows: Sequence[Row], name: str) -> np.ndarray:
    found = [(place, *pair) for place, row in enumerate(rows) for pair in getattr(row, name)]
    return np.asarray(found, np.int64).reshape(-1, 3)
