"""Where the answers of ``benchmarks/answers`` stand in what is found, without a model: the passage's place and the sentence's.

    python benchmarks/answer_places.py --e5 FOLDER [--sets .,unseen,work,everyday] [--show]

For each question that the documents answer: at which place the first passage stands that holds the key phrases of the answer, in the
order of the search alone (``fused``) and in the order in which a model reads (``read``); and at which place the first such sentence
stands among those of the passages that are read. Prints how many are among the first 1, 2, 3 and 4; ``--show`` prints what is not first.
A phrase such as "no" stands in many sentences, so the places of such questions say little.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from answers import HERE, _holds, filled
from retrieval import link_embedder

_FIRST = (1, 2, 3, 4)


def holds(item: dict[str, Any], text: str) -> bool:
    folded = text.casefold()
    return all(any(_holds(word, folded) for word in group) for group in item["says"])


def place(found: Sequence[bool]) -> int | None:
    """Counted from 1."""
    return next((number for number, is_it in enumerate(found, start=1) if is_it), None)


def places(kb: Any, embedder: Any, item: dict[str, Any]) -> dict[str, int | None]:
    from zhilu.rag.answer.decide import identified_first, read_first
    from zhilu.rag.answer.manner import READS
    from zhilu.rag.answer.meaning import Meaning
    from zhilu.rag.answer.pipeline import PASSAGES
    from zhilu.rag.answer.settle import evidence_of
    from zhilu.rag.retrieve.in_turn import retrieve_in_turn, ways_to_ask

    question = item["question"]
    history = [{"role": "user", "content": q} for q in item.get("history", [])]
    found, opening = retrieve_in_turn(kb, question, history, embedder, k=PASSAGES)
    query = f"{opening} {question}" if opening else question
    asked = ways_to_ask(question, opening)

    def is_it(hit: Any) -> bool:
        return hit.doc_name == item.get("document", hit.doc_name) and holds(item, f"{hit.heading}\n{hit.text}")

    fused = place([is_it(h) for h in found.pool])
    meaning = Meaning(embedder, found.lang)
    found = identified_first(found, question)
    found, number = read_first(query, found, meaning, READS.passages, PASSAGES, asked, opening)
    evidence = evidence_of(query, found.hits[:number], found, meaning, READS, asked)
    said = [evidence.said_at(s.place) for s in sorted(evidence._sentences, key=lambda s: -s.value)]
    return {
        "fused": fused,
        "read": place([is_it(h) for h in found.hits]),
        "sentence": place([holds(item, s) for s in said]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--e5", type=Path, required=True, help="folder with the files of multilingual-e5-small")
    parser.add_argument("--sets", default=".,unseen,work,everyday")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()

    from zhilu.context import Context
    from zhilu.settings import load_settings

    rows: list[dict[str, int | None]] = []
    for name in options.sets.split(","):
        lines = (HERE / name / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        with tempfile.TemporaryDirectory() as home:
            context = Context(load_settings({"home": home}, env={}))
            link_embedder(context, options.e5)
            kb, embedder = filled(context, HERE / name / "documents", "auto")
            for item in map(json.loads, lines):
                if item["says"]:
                    rows.append(places(kb, embedder, item))
                    if options.show and rows[-1] != {"fused": 1, "read": 1, "sentence": 1}:
                        print(item["id"], item.get("history", ""), item["question"], rows[-1])
    for kind in ("fused", "read", "sentence"):
        counts = [sum((row[kind] or 99) <= n for row in rows) for n in _FIRST]
        print(
            f"{kind:8} of {len(rows)}: "
            + ", ".join(f"{c} among the first {n}" for c, n in zip(counts, _FIRST, strict=True))
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
