"""The curriculum: which rows a step sees, mixed by stage, batched by length.

``Corpus`` holds the sources in memory. ``Mixer.block(number, progress)`` is a pure function of its arguments, so a run that was
killed continues with exactly the batches it would have seen.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zhilu.prompts import Passage, is_refusal
from zhilu.training.nano import guided, talk, tasks
from zhilu.training.nano.data import (
    Context,
    DevGuard,
    group_contexts,
    is_clean,
    is_held_out,
    paragraphs,
    read_jsonl,
    texts,
)
from zhilu.training.nano.template import segments
from zhilu.training.nano.tokenizer import END
from zhilu.training.nano.toolbank import bank_record
from zhilu.training.rows import Batch, Row, pack

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["STAGES", "Corpus", "Mixer", "Stage", "encode", "records"]

# Passages, questions and prompts carry a little loss too, at a sample of their tokens: the projection onto the vocabulary is
# the dearest layer, so it runs only where a label is.
_AUX_SHARE, _AUX_WEIGHT = 0.04, 0.15
# A reply's first token decides where copying starts and is by far the hardest: it weighs most.
_FIRST_WEIGHT = 2.5
# Answers begin in many ways, a refusal in one: with equal weight the one wins wherever the model is unsure.
_REFUSAL_WEIGHT = 2.0
_FOLLOWED = 10  # tokens of a span that are guided
_COPIED = ("copy", "qa", "summary")  # kinds whose later tokens follow from the first
_TEXT_SHARE, _TEXT_WEIGHT = 0.5, 0.3


@dataclass(frozen=True)
class Stage:
    """One step of the curriculum: it holds until ``until`` (share of the run), with these shares of row kinds."""

    until: float
    shares: dict[str, float]
    passages: tuple[int, ...]  # numbers of passages to draw from
    chars: dict[str, int]  # longest passage, in characters
    length: int  # of a packed sequence, in tokens; no row is longer
    blur: float  # share of words left out of made questions
    cut: float  # share of made questions that break off right before the answer: the easiest to look up
    refuse: float  # share of questions that no passage answers


STAGES = (
    Stage(
        0.27,
        {"copy": 0.42, "qa": 0.32, "text": 0.10, "chat": 0.05, "rewrite": 0.05, "tool": 0.04, "title": 0.02},
        (1, 1, 2),
        {"zh": 110, "en": 330},
        256,
        0.0,
        0.4,
        0.08,
    ),
    Stage(
        0.68,
        {
            "copy": 0.08,
            "qa": 0.42,
            "text": 0.04,
            "chat": 0.05,
            "rewrite": 0.05,
            "tool": 0.30,
            "title": 0.03,
            "summary": 0.03,
        },
        (1, 2, 2, 3),
        {"zh": 160, "en": 560},
        1024,
        0.1,
        0.2,
        0.25,
    ),
    Stage(
        1.0,
        {
            "copy": 0.05,
            "qa": 0.46,
            "text": 0.02,
            "chat": 0.05,
            "rewrite": 0.05,
            "tool": 0.30,
            "title": 0.03,
            "summary": 0.08,
        },
        (1, 2, 3, 4, 4, 5, 6),
        {"zh": 240, "en": 900},
        1536,
        0.15,
        0.1,
        0.35,
    ),
)


def encode(
    tokenizer: Tokenizer, messages: Sequence[Any], tools: Sequence[dict[str, Any]], rng: random.Random, kind: str
) -> Row:
    """A conversation as a row. A long answer's tokens weigh less each, so that spans are not drowned by sentences."""
    ids: list[int] = []
    weights: list[float] = []
    spans: list[tuple[int, int]] = []
    markers: list[tuple[int, int]] = []
    citations: list[tuple[int, int]] = []
    follows: list[tuple[int, int]] = []
    shown: tuple[str, list[int]] = ("", [])  # the first prompt and the place in it where each of its tokens starts
    for text, learned in segments(messages, tools):
        encoded = tokenizer.encode(text, add_special_tokens=False)
        part = encoded.ids
        begun: list[int] = []  # the reply's tokens at which copying begins
        if not shown[0]:
            shown = (text, [start for start, _ in encoded.offsets])
        elif learned and kind in ("tool", "summary"):
            starts = [start for start, _ in encoded.offsets]
            places_of = guided.call_places if kind == "tool" else guided.quoted_place
            for place in places_of(text, shown[0]):
                first, later = guided.copied_tokens(*place, starts, shown[1])
                if first:
                    begun.append(first[0])
                    spans.append((len(ids) + first[0] - 1, first[1]))
                    follows += [(len(ids) + i - 1, to) for i, to in later]
        elif learned and (places := guided.span_place(text, shown[0])):
            found = (bisect.bisect_right(shown[1], places[0]) - 1, bisect.bisect_right(shown[1], places[1]) - 1)
            spans.append((len(ids) - 1, found[0]))
            markers.append(found)
            length = len(part) - 4  # of the span: " [", number, "]" and the end mark follow it
            if length > 0 and ids[found[0] + length - 1] == part[length - 1]:
                citations.append((len(ids) + length, found[0] + length - 1))
                follows += [(len(ids) + i - 1, found[0] + i) for i in range(1, min(length, _FOLLOWED))]
        ids += part
        if learned:
            each = min(1.0, (8 if kind in _COPIED else 24) / len(part))
            first_weight = _REFUSAL_WEIGHT if is_refusal(text) else _FIRST_WEIGHT
            learned_weights = [first_weight, *[each] * (len(part) - 1)]
            for number in begun:
                learned_weights[number] = 1.0
            weights += learned_weights
        else:
            weights += [_AUX_WEIGHT * (rng.random() < _AUX_SHARE) for _ in part]
    weights[0] = 0.0
    return Row(ids, weights, kind, tuple(spans), tuple(markers), tuple(citations), tuple(follows))


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
            encoded = tokenizer.encode_batch(documents, add_special_tokens=False)
            self.tokens[lang] = np.concatenate([np.asarray([*e.ids, end], dtype=np.uint16) for e in encoded])
        for context in group_contexts(folder, guard):
            self.contexts[context.lang].append(context)
        self.rewrites = records(folder / "rewrite", guard)
        self.tools = [r for r in records(folder / "tools", guard) if talk.is_learnable(r)]


def records(folder: Path, guard: DevGuard, held_out: bool = False) -> list[dict[str, Any]]:
    """Clean rewrites or function calls of a folder that do not leak: the training part, or the project's own held-out part."""
    found = [r for path in sorted(folder.glob("*.jsonl.zst")) for r in read_jsonl(path)]
    return [
        r
        for r in found
        if is_clean(r.get("rewrite", ""))
        and is_held_out(r.get("rewrite") or r["query"]) == held_out
        and not guard.leaks(r.get("rewrite") or r["query"], r["lang"])
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
        self._rewrites = {lang: [r for r in corpus.rewrites if r["lang"] == lang] for lang in ("zh", "en")}
        self._tools: dict[str, list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]] = {"zh": [], "en": []}
        sources: dict[tuple[str, str], tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
        for record in corpus.tools:  # by source (one is ten times the others), without and with calls
            both = sources.setdefault((record["lang"], record["source"].split("_")[0]), ([], []))
            both[bool(record["calls"])].append(record)
        for (lang, _), mine in sorted(sources.items()):
            self._tools[lang].append(mine)

    def block(self, number: int, progress: float, rank: int = 0, num_batches: int = 24) -> list[Batch]:
        """``num_batches`` batches of rows drawn at random and packed into sequences of the stage's length (best fit)."""
        rng = random.Random(f"{self.seed}:{number}:{rank}")
        stage = next((s for s in self.stages if progress < s.until), self.stages[-1])
        size = max(1, self.batch_tokens // stage.length)
        packed: list[list[Row]] = [[] for _ in range(num_batches * size)]
        room = np.full(len(packed), stage.length)
        misses = unfit = 0
        while misses < 12:
            row = self.row(stage, rng)
            if not row or not 8 <= len(row.ids) <= stage.length:
                unfit += 1
                if unfit > 2000 and not any(packed):
                    raise ValueError(f"no row made of this data fits into {stage.length} tokens")
                continue
            fits = np.flatnonzero(room >= len(row.ids))
            if len(fits) == 0:
                misses += 1
                continue
            place = int(fits[room[fits].argmin()]) if misses else int(rng.choice(fits))
            packed[place].append(row)
            room[place] -= len(row.ids)
        return [pack(packed[i * size : (i + 1) * size], stage.length) for i in range(num_batches)]

    def row(self, stage: Stage, rng: random.Random) -> Row | None:
        """One row, or None where the drawn material yields none (no span found, too long)."""
        lang = "zh" if rng.random() < 0.5 else "en"
        kind = rng.choices(list(stage.shares), list(stage.shares.values()))[0]
        if kind == "text":
            return self._text(lang, min(256, stage.length), rng)
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
            messages = talk.rewrite_row(rng.choice(self._rewrites[lang]))
        else:
            messages, tools = talk.tool_row(self._request(lang, rng), rng, budget=stage.length)
        if not messages:
            return None
        row = encode(self.tokenizer, messages, tools, rng, kind)
        while len(row.ids) > stage.length and len(messages) > 3:
            # Leave out until the row fits: of a dialogue its beginning, of passages with several questions the last question.
            head = messages[:1] if messages[0]["role"] == "system" else []
            if kind == "tool" and len(messages) - len(head) < 4:
                return None
            messages = head + messages[len(head) + 2 :] if kind == "tool" else messages[:-2]
            row = encode(self.tokenizer, messages, tools, rng, kind)
        return row

    def _request(self, lang: str, rng: random.Random) -> dict[str, Any]:
        """A request for functions: every source of the sets and our own bank are drawn alike, one in six fits no function."""
        own = self.corpus.contexts[lang]
        if rng.random() < 1 / (1 + len(self._tools[lang])):
            asked = [q for _ in range(6) for q in rng.choice(own).questions[:1]]
            record = bank_record(lang, [q.answer for q in asked if 0 < len(q.answer) < 40] or ["7"], rng)
            if rng.random() < 0.15:
                return record | {"query": asked[0].text, "calls": []}
            return record
        source = rng.choice(self._tools[lang])
        calls = rng.random() > 0.15
        return rng.choice(source[calls] or source[not calls])

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
        """Passages and a question to one of them: a made one (``copy``, sometimes with more to follow) or one asked by people (``qa``)."""
        count = rng.choice(stage.passages)
        own = self.corpus.contexts[lang]
        at = rng.randrange(len(own))
        contexts = []
        for place in range(count):
            if kind == "qa" and (place == 0 or rng.random() < 0.7):
                # Paragraphs of one article stand side by side in the sets: the hardest to tell apart.
                near = rng.random() < 0.5
                whole = own[
                    at if place == 0 else (at + rng.randint(-6, 6)) % len(own) if near else rng.randrange(len(own))
                ]
                if place and whole is own[at]:
                    continue
                contexts.append(tasks.window(whole, rng.randint(stage.chars[lang] // 2, stage.chars[lang]), rng))
            else:
                contexts.append(self._passage(lang, stage, rng))
        if any(len(c.text) > stage.chars[lang] for c in contexts):
            return None
        asks: list[tasks.Ask] = []
        if kind == "qa":
            asks = [tasks.Ask(q.text, q.answer, 0) for q in contexts[0].questions if q.start >= 0]
        else:
            index = rng.randrange(len(contexts))
            text = contexts[index].text
            asks = tasks.cloze_asks(text, lang, index, 3, rng, stage.blur, stage.cut)
            if rng.random() < 0.3:
                asks += tasks.find_asks(text, lang, index, 1, rng)
        if rng.random() < stage.refuse:
            hard = [q.text for c in contexts for q in c.questions if q.start < 0] if len(contexts) == 1 else []
            hard += [q.text for q in own[(at + 9 + rng.randint(0, 9)) % len(own)].questions if rng.random() < 0.3]
            asks = [tasks.Ask(rng.choice(hard or [q.text for q in rng.choice(own).questions]), "", -1)]
        rng.shuffle(asks)
        if not asks:
            return None
        passages = [Passage(title=self._title(c.text, lang, rng), text=c.text) for c in contexts]
        more = rng.choice((1, 1, 2, 3)) if kind == "copy" else 1
        return tasks.grounded(passages, asks[:more], "zh" if lang == "zh" else "en", rng)

    @staticmethod
    def _title(text: str, lang: str, rng: random.Random) -> str:
        """Half of the passages have no title; the others a file name or heading made of their first words."""
        if rng.random() < 0.5:
            return ""
        head = text[: rng.randint(3, 8)] if lang == "zh" else " ".join(text.split()[: rng.randint(1, 4)])
        return head.strip("，。、,.：:") + rng.choice(["", "", ".md", ".pdf", ".txt"])
