"""How often customer service finds the canned answer that is meant, and how often it takes a stranger's question for one.

    python benchmarks/support_faq.py e5-small bilingual zhilu-embed words

The questions (``support_faq.jsonl``) are about the sample shop's canned answers, six ways to ask for each and 48 questions for none
of them. ``sure`` answers at once; of ``possible`` ones a model decides. The limits stand in ``zhilu/apps/support/answer/faq.py``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from zhilu.apps.support.answer.faq import match
from zhilu.apps.support.answer.meaning import Meanings
from zhilu.apps.support.desks import FaqEntry
from zhilu.apps.support.sample import sample_faqs
from zhilu.context import open_context
from zhilu.errors import NotFoundError
from zhilu.models.embedders import load_embedder
from zhilu.prompts import language_of


class Here:
    """The server's part of ``/v1/embeddings`` without a server. E5 is asked for by name, any other is the default."""

    def __init__(self, name: str) -> None:
        self.name, self.embedder = name, load_embedder(name, open_context())

    async def embeddings(self, texts: list[str], *, model: str, input_type: str) -> list[list[float]]:
        if (model == "e5-small") != (self.name == "e5-small"):
            raise NotFoundError(model)
        vectors: Any = self.embedder.embed(texts, kind=input_type)  # type: ignore[arg-type]
        return vectors.tolist()  # type: ignore[no-any-return]


async def measure(name: str) -> None:
    entries = [FaqEntry(id=str(n), **wish.model_dump()) for n, wish in enumerate(sample_faqs())]
    client: Any = None if name == "words" else Here(name)
    meanings = Meanings()
    lines = Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    counts: dict[tuple[str, str], list[int]] = {}
    for case in map(json.loads, lines):
        for asked in case["asked"]:
            found = await match(asked, entries, client, meanings)
            sure = [int(c.entry.id) for c in found if c.sure]
            places = [int(c.entry.id) for c in found[:4]]
            kind, key = ("stranger", (sure, places)) if case["faq"] is None else ("meant", (sure, places))
            row = counts.setdefault((language_of(asked), kind), [0, 0, 0, 0])
            row[0] += 1
            row[1] += key[0] == [case["faq"]]
            row[2] += bool(key[0]) and key[0] != [case["faq"]]
            row[3] += case["faq"] in key[1] if case["faq"] is not None else bool(key[1])
    for (lang, kind), (num, right, wrong, possible) in sorted(counts.items()):
        print(f"{name:12} {lang} {kind:8} {num:3}: sure and right {right}, sure and wrong {wrong}, possible {possible}")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["bilingual", "words"]:
        asyncio.run(measure(wanted))
