"""Scores of the skills beside grounded answering, on held-back records and compared with a simple rule.

The skills are rewriting a follow-up, calling functions, small talk, titles and summaries, and how often a reply falls apart.

    python -m zhilu.training.nano.skills --data DIR [--weights DIR] [--limit 200] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from zhilu.models.shipped import NANO
from zhilu.prompts import Message, Passage, grounded_messages, rewrite_messages, summary_messages, title_messages
from zhilu.training.nano import talk
from zhilu.training.nano.curriculum import records
from zhilu.training.nano.data import DevGuard, data_folder, group_contexts, paragraphs, texts
from zhilu.training.nano.evaluate import NanoAnswerer, is_degenerate
from zhilu.training.nano.export import weights_digest

__all__ = ["chrf", "evaluate_skills", "keyword_tool", "parse_calls"]

_CALL = re.compile(r"<tool_call>\s*(\{.*?\})\s*</tool_call>", re.DOTALL)


def chrf(given: str, wanted: str, order: int = 6, beta: float = 2.0) -> float:
    """Character n-gram F-score, 0-100, spaces left out (Popović 2015, section 3; n up to 6, recall twice as important)."""
    given, wanted = re.sub(r"\s", "", given), re.sub(r"\s", "", wanted)
    shares = []
    for n in range(1, order + 1):
        mine, theirs = (Counter(t[i : i + n] for i in range(len(t) - n + 1)) for t in (given, wanted))
        if not theirs:
            break
        both = sum((mine & theirs).values())
        precision, recall = both / max(1, sum(mine.values())), both / sum(theirs.values())
        shares.append((1 + beta**2) * precision * recall / (beta**2 * precision + recall) if both else 0.0)
    return 100 * sum(shares) / len(shares) if shares else 0.0


def parse_calls(reply: str) -> list[dict[str, Any]]:
    """The function calls of a reply in Hermes format; one that is no JSON object with a name counts as a call of nothing."""
    calls = []
    for text in _CALL.findall(reply):
        try:
            call = json.loads(text)
        except ValueError:
            call = {}
        calls.append(call if isinstance(call, dict) else {})
    return calls


def keyword_tool(query: str, tools: Sequence[dict[str, Any]]) -> str | None:
    """Baseline: the tool whose name, description and parameters share most words (Chinese: characters) with the query; None where none does."""

    def bag(text: str) -> set[str]:
        text = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower().replace("_", " ")
        return set(re.findall(r"[a-z0-9]{3,}|[\u4e00-\u9fff]", text))

    asked = bag(query)
    scores = {tool["name"]: len(asked & bag(json.dumps(tool, ensure_ascii=False))) for tool in tools}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] else None


def rewriting(nano: NanoAnswerer, folder: Path, limit: int) -> dict[str, float]:
    """chrF and exact matches of rewrites; ``same`` is the rule "leave the question as it is"."""
    rows: dict[str, list[float]] = {}
    for lang, kept in _by_lang(records(folder / "rewrite", DevGuard(folder), held_out=True), limit).items():
        for record in kept:
            history = record["history"][::2] if len(record["history"]) > 1 else record["history"]
            reply = nano.reply(rewrite_messages(history, record["question"], lang))
            _note(rows, lang, chrf=chrf(reply, record["rewrite"]), exact=100.0 * (reply == record["rewrite"]))
            _note(rows, lang, chrf_same=chrf(record["question"], record["rewrite"]))
    return _means(rows)


def calling(nano: NanoAnswerer, folder: Path, limit: int, seed: int = 5) -> dict[str, float]:
    """Right tool, all arguments exact, and silence where no tool fits, a source at a time; the keyword rule beside it."""
    rows: dict[str, list[float]] = {}
    found = [r for r in records(folder / "tools", DevGuard(folder), held_out=True) if talk.is_learnable(r)]
    sources: dict[str, list[dict[str, Any]]] = {}
    for record in found:
        sources.setdefault(record["source"].split("_")[0], []).append(record)
    for name, mine in sorted(sources.items()):
        rng = random.Random(seed)
        rng.shuffle(mine)
        for number, record in enumerate(mine[:limit]):
            # Every fifth one loses the tools it needs, so that silence is measured on tools that look alike.
            wanted = {call["name"] for call in record["calls"]}
            calls = record["calls"]
            tools = record["tools"]
            if number % 5 == 4 and len(tools) > len(wanted):
                tools, calls = [t for t in tools if t["name"] not in wanted], []
            messages = [*record.get("history", ()), {"role": "user", "content": record["query"]}]
            shown = [{"type": "function", "function": tool} for tool in tools]
            made = parse_calls(nano.reply(messages, 160, shown))
            guess = keyword_tool(record["query"], tools)
            if not calls:
                _note(rows, name, silent=100.0 * (not made), keyword_silent=100.0 * (guess is None))
                continue
            _note(rows, name, tool=100.0 * ([c.get("name") for c in made] == [c["name"] for c in calls]))
            _note(rows, name, arguments=100.0 * (made == [{k: c[k] for k in ("name", "arguments")} for c in calls]))
            _note(rows, name, keyword_tool=100.0 * (len(calls) == 1 and guess == calls[0]["name"]))
    return _means(rows)


def talking(nano: NanoAnswerer) -> dict[str, float]:
    """Small talk: every asked form once, as written; right is the very reply of the recipe (which it was trained on: recall, not skill)."""
    rows: dict[str, list[float]] = {}
    for lang, pairs in talk.TALK.items():
        for asked, reply in pairs:
            for text in asked:
                messages = talk.chat_messages([{"role": "user", "content": text}], lang)  # type: ignore[arg-type]
                _note(rows, lang, right=100.0 * (nano.reply(messages) == reply))
    return _means(rows)


def shortening(nano: NanoAnswerer, folder: Path, limit: int) -> dict[str, float]:
    """Titles (chrF against the rule that made the training titles) and summaries (share that stands in the text word for word)."""
    rows: dict[str, list[float]] = {}
    contexts = group_contexts(folder, DevGuard(folder), held_out=True)
    langs: tuple[Any, ...] = ("en", "zh")
    for lang in langs:
        for context in [c for c in contexts if c.lang == lang][:limit]:
            question = context.questions[0].text
            title = nano.reply(title_messages(question, lang))
            _note(
                rows,
                lang,
                title_chrf=chrf(title, talk.short_title(question, lang)),
                title_ok=100.0 * (not is_degenerate(title)),
            )
            text = context.text[: 200 if lang == "zh" else 700]
            summary = nano.reply(summary_messages(text, lang), 120)
            _note(rows, lang, summary_verbatim=100.0 * (len(summary) > 4 and summary in text))
    return _means(rows)


def falling_apart(nano: NanoAnswerer, folder: Path, count: int = 1000, seed: int = 3) -> dict[str, Any]:
    """Empty, looping or torn replies among ``count`` prompts of all kinds, greedy."""
    rng = random.Random(seed)
    guard = DevGuard(folder)
    contexts = {
        lang: [c for c in group_contexts(folder, guard, held_out=True) if c.lang == lang] for lang in ("en", "zh")
    }
    prose = {
        lang: [p for t in texts(folder, lang, 400_000, guard) for p in paragraphs(t, lang)] for lang in ("en", "zh")
    }
    bad: list[tuple[str, str]] = []
    for number in range(count):
        lang: Any = "zh" if number % 2 else "en"
        context = rng.choice(contexts[lang])
        question = rng.choice(context.questions).text
        other = rng.choice(prose[lang])
        passages = [Passage(title="", text=t[: 240 if lang == "zh" else 900]) for t in (context.text, other)]
        size = 120 if lang == "zh" else 500
        prompts: list[list[Message]] = [
            grounded_messages(question, passages[: rng.randint(1, 2)], lang),
            [{"role": "user", "content": question}],
            [{"role": "user", "content": other[:size]}],
            title_messages(question, lang),
            summary_messages(other[: 2 * size], lang),
            rewrite_messages([question], rng.choice(context.questions).text, lang),
        ]
        messages = rng.choice(prompts)
        reply = nano.reply(messages, 96)
        if is_degenerate(reply):
            bad.append((str(messages[-1]["content"])[:80], reply[:120]))
    return {"prompts": count, "degenerate": len(bad), "examples": bad[:8]}


def evaluate_skills(folder: Path, weights: Path = NANO, limit: int = 200, prompts: int = 1000) -> dict[str, Any]:
    """All scores of a weights folder, in per cent where not said otherwise."""
    torch.set_num_threads(1)
    nano = NanoAnswerer(weights)
    return {
        "weights": weights_digest(weights),
        "rewrite": rewriting(nano, folder, limit),
        "tools": calling(nano, folder, limit),
        "chat": talking(nano),
        "short": shortening(nano, folder, min(limit, 100)),
        "falling_apart": falling_apart(nano, folder, prompts),
    }


def _by_lang(found: Sequence[dict[str, Any]], limit: int) -> dict[Any, list[dict[str, Any]]]:
    mine = {lang: [r for r in found if r["lang"] == lang] for lang in ("en", "zh")}
    return {lang: kept[:: max(1, len(kept) // limit)][:limit] for lang, kept in mine.items()}


def _note(rows: dict[str, list[float]], where: str, **figures: float) -> None:
    for name, value in figures.items():
        rows.setdefault(f"{where}.{name}", []).append(value)


def _means(rows: dict[str, list[float]]) -> dict[str, float]:
    means = {name: round(sum(values) / len(values), 1) for name, values in sorted(rows.items())}
    return means | {
        f"{name}.n": len(values)
        for name, values in sorted(rows.items())
        if name.endswith((".chrf", ".tool", ".silent"))
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m zhilu.training.nano.skills", description="Score zhilu-nano's skills."
    )
    parser.add_argument("--data", help="data folder (default: $ZHILU_DATA)")
    parser.add_argument("--weights", type=Path, default=NANO)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    text = json.dumps(
        evaluate_skills(data_folder(given.data), given.weights, given.limit, given.prompts),
        indent=1,
        ensure_ascii=False,
    )
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
