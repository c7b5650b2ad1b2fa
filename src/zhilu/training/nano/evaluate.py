"""Scores of an exported zhilu-nano beside simple baselines: grounded answers, citations, refusals, copying, degenerate output.

    python -m zhilu.training.nano.evaluate --data DIR [--weights DIR] [--limit 200] [--json FILE]

Grounded: each development question with its passage among three distractors (other passages, drawn at random), order shuffled.
Token F1 is over words for English and over characters for Chinese, best over the annotated answers.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from zhilu.models.shipped import NANO
from zhilu.prompts import Passage, grounded_messages, is_refusal
from zhilu.training.model import greedy
from zhilu.training.nano.data import Context, DevGuard, Question, data_folder, group_contexts, read_jsonl
from zhilu.training.nano.export import load_exported, weights_digest
from zhilu.training.nano.tasks import cloze_asks, sentences, window
from zhilu.training.nano.template import segments
from zhilu.training.nano.tokenizer import END_ID, IM_END_ID, IM_START, load_tokenizer

__all__ = [
    "Trial",
    "answer_f1",
    "best_sentence",
    "development_trials",
    "evaluate",
    "held_out_trials",
    "pieces",
    "random_span",
]

Answerer = Callable[["Trial"], str]


@dataclass(frozen=True)
class Trial:
    """A question with its numbered passages; ``gold`` is the right passage's number (0: none holds the answer)."""

    question: str
    passages: tuple[str, ...]
    answers: tuple[str, ...]
    gold: int
    lang: str


def pieces(text: str, lang: str) -> list[str]:
    """What F1 counts: lower-case words without articles, or single characters for Chinese; marks left out."""
    text = text.lower()
    if lang == "zh":
        return re.findall(r"[a-z0-9]+|[^\W_]", text)
    return [word for word in re.findall(r"[^\W_]+", text) if word not in {"a", "an", "the"}]


def answer_f1(given: str, answers: Sequence[str], lang: str) -> float:
    """Best F1 of ``given`` (its citations taken off) against the annotated answers."""
    mine = Counter(pieces(re.sub(r"\[\d+\]", "", given), lang))
    best = 0.0
    for answer in answers:
        theirs = Counter(pieces(answer, lang))
        both = sum((mine & theirs).values())
        if both:
            best = max(best, 2 * both / (sum(mine.values()) + sum(theirs.values())))
    return best


def development_trials(folder: Path, limit: int, seed: int = 11, distractors: int = 3) -> list[Trial]:
    """``limit`` questions a language of ``dev/``, evenly spread, each passage cut to what the product sends (about 220 tokens)."""
    trials: list[Trial] = []
    for path in sorted((folder / "dev").glob("*.jsonl.zst")):
        records = list(read_jsonl(path))
        contexts = sorted({r["context"] for r in records})
        rng = random.Random(seed)
        trials += [
            _trial(record, [c for c in contexts if c != record["context"]], distractors, rng)
            for record in records[:: max(1, len(records) // limit)][:limit]
        ]
    return trials


def held_out_trials(folder: Path, limit: int, answerable: bool, seed: int = 12, distractors: int = 3) -> list[Trial]:
    """The same from this project's own held-out split of the QA sets; ``answerable=False`` gives questions that no passage answers."""
    contexts = group_contexts(folder, DevGuard(folder), held_out=True)
    trials: list[Trial] = []
    for lang in ("en", "zh"):
        mine = [c for c in contexts if c.lang == lang]
        rng = random.Random(seed)
        rng.shuffle(mine)
        found = 0
        for context in mine:
            questions = [q for q in context.questions if (q.start >= 0) == answerable]
            if not questions or found >= limit:
                continue
            question = rng.choice(questions)
            record = {
                "context": context.text,
                "question": question.text,
                "lang": lang,
                "answers": [{"text": question.answer, "start": question.start}],
            }
            trials.append(
                _trial(
                    record if answerable else record | {"answers": []},
                    [c.text for c in mine if c is not context],
                    distractors,
                    rng,
                )
            )
            found += 1
    return trials


def _trial(record: dict[str, Any], others: Sequence[str], distractors: int, rng: random.Random) -> Trial:
    lang = record["lang"]
    limit = 210 if lang == "zh" else 850
    held = Context(record["context"], lang)
    if record["answers"]:
        first = record["answers"][0]
        held.questions.append(Question(record["question"], first["text"], first["start"]))
    texts = [
        window(held, limit, rng).text,
        *(window(Context(t, lang), limit, rng).text for t in rng.sample(list(others), distractors)),
    ]
    order = list(range(len(texts)))
    rng.shuffle(order)
    answers = tuple(a["text"] for a in record["answers"])
    gold = order.index(0) + 1 if answers else 0
    return Trial(record["question"], tuple(texts[i] for i in order), answers, gold, lang)


def best_sentence(trial: Trial) -> str:
    """Baseline: the sentence that shares most with the question, rare pieces counting more (BM25's idf over the sentences shown)."""
    options = [(s, n) for n, p in enumerate(trial.passages, start=1) for s in sentences(p, trial.lang)]
    bags = [_grams(s, trial.lang) for s, _ in options]
    total = len(bags)
    mean = sum(sum(b.values()) for b in bags) / total
    asked = set(_grams(trial.question, trial.lang))
    idf = {g: math.log(1 + (total - n + 0.5) / (n + 0.5)) for g in asked if (n := sum(g in b for b in bags))}
    scores = [
        sum(w * b[g] * 2.2 / (b[g] + 1.2 * (0.25 + 0.75 * sum(b.values()) / mean)) for g, w in idf.items() if b[g])
        for b in bags
    ]
    sentence, number = options[max(range(total), key=scores.__getitem__)]
    return f"{sentence.strip()} [{number}]"


def _grams(text: str, lang: str) -> Counter[str]:
    units = pieces(text, lang)
    return Counter([*units, *(a + b for a, b in pairwise(units))] if lang == "zh" else units)


def random_span(trial: Trial, seed: int = 0) -> str:
    """Chance: a random span, as long as the answer, of a random passage."""
    rng = random.Random(f"{seed}{trial.question}")
    number = rng.randint(1, len(trial.passages))
    passage = trial.passages[number - 1]
    size = len(trial.answers[0]) if trial.answers else 20
    start = rng.randrange(max(1, len(passage) - size))
    return f"{passage[start : start + size]} [{number}]"


class NanoAnswerer:
    """The model behind the product's prompt, greedy."""

    def __init__(self, weights: Path) -> None:
        self.model = load_exported(weights)
        self.tokenizer = load_tokenizer(weights / "tokenizer.json")
        self.stop = frozenset({END_ID, IM_END_ID})

    def __call__(self, trial: Trial) -> str:
        lang: Any = trial.lang
        return self.reply(grounded_messages(trial.question, [Passage(title="", text=p) for p in trial.passages], lang))

    def reply(self, messages: Sequence[Any], max_new_tokens: int = 60, tools: Sequence[dict[str, Any]] = ()) -> str:
        """The reply to a conversation; a prompt too long for the model's positions loses its beginning."""
        text = "".join(part for part, _ in segments(messages, tools)) + f"{IM_START}assistant\n"
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        ids = ids[-(self.model.config.max_position_embeddings - max_new_tokens) :]
        return self.tokenizer.decode(greedy(self.model, ids, max_new_tokens, self.stop)).strip()


def score(trials: Sequence[Trial], answerer: Answerer) -> dict[str, float]:
    """Means over trials, by language. ``verbatim``: the reply less its citation stands in a passage; ``copied``: in the cited one."""
    figures: dict[str, list[float]] = {}
    for trial in trials:
        reply = answerer(trial)
        refused = is_refusal(reply)
        cited = [int(n) for n in re.findall(r"\[(\d+)\]", reply)]
        body = re.sub(r"\s*\[\d+\]", "", reply).strip()
        shown = [trial.passages[n - 1] for n in cited if 1 <= n <= len(trial.passages)]
        row: dict[str, float] = {"refused": refused, "degenerate": is_degenerate(reply)}
        if trial.gold:
            row |= {"f1": answer_f1(reply, trial.answers, trial.lang), "cited_right": trial.gold in cited}
            row["holds_answer"] = any(
                " ".join(pieces(a, trial.lang)) in " ".join(pieces(body, trial.lang)) for a in trial.answers
            )
        if not refused:
            row["verbatim"] = any(body in passage for passage in trial.passages)
            row["copied"] = any(body in passage for passage in shown)
        for name, value in row.items():
            figures.setdefault(f"{trial.lang}.{name}", []).append(float(value))
    return {name: round(sum(values) / len(values), 4) for name, values in sorted(figures.items())}


def is_degenerate(reply: str) -> bool:
    """Empty, torn characters, or the same run of characters over and over."""
    return not reply or "\ufffd" in reply or bool(re.search(r"(.{2,30}?)\1{3,}", reply))


def copy_trials(folder: Path, limit: int, seed: int = 13) -> list[Trial]:
    """Blanks to fill from one of four held-out passages: what copying alone can do, with no language to understand."""
    trials: list[Trial] = []
    for base in held_out_trials(folder, limit, True, seed):
        rng = random.Random(f"{seed}{base.question}")
        asks = cloze_asks(base.passages[base.gold - 1], base.lang, base.gold, 6, rng, 0.0)
        if blanks := [a for a in asks if "____" in a.question]:
            trials.append(Trial(blanks[0].question, base.passages, (blanks[0].answer,), base.gold, base.lang))
    return trials


def evaluate(folder: Path, weights: Path = NANO, limit: int = 200) -> dict[str, Any]:
    """All scores of a weights folder and of the baselines."""
    torch.set_num_threads(1)
    nano = NanoAnswerer(weights)
    dev, own = development_trials(folder, limit), held_out_trials(folder, limit, True)
    refusals, copies = held_out_trials(folder, limit // 2, False), copy_trials(folder, limit // 2)
    return {
        "weights": weights_digest(weights),
        "trials": {"dev": len(dev), "held_out": len(own), "unanswerable": len(refusals), "copy": len(copies)},
        "dev": {
            "nano": score(dev, nano),
            "best_sentence": score(dev, best_sentence),
            "random_span": score(dev, random_span),
        },
        "held_out": {
            "nano": score(own, nano),
            "best_sentence": score(own, best_sentence),
            "random_span": score(own, random_span),
        },
        "unanswerable": {"nano": score(refusals, nano)},
        "copy": {"nano": score(copies, nano), "random_span": score(copies, random_span)},
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m zhilu.training.nano.evaluate", description="Score zhilu-nano.")
    parser.add_argument("--data", help="data folder (default: $ZHILU_DATA)")
    parser.add_argument("--weights", type=Path, default=NANO)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    text = json.dumps(evaluate(data_folder(given.data), given.weights, given.limit), indent=1)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
