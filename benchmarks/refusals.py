"""Whether a question is refused before a model is asked: the figures behind the setting ``answers``.

    python benchmarks/refusals.py --data DIR --e5 FOLDER [--paragraphs 72] [--questions 170] [--as-found]

XQuAD (``DIR/dev``), English and Chinese: a knowledge base of the first paragraphs, and questions about them. Each question is
asked of all passages (``answerable``), and of all but its own paragraph (``others``: another paragraph of the same article is
then the nearest). Prints the share refused for each choice of ``answers`` and each ``--factors``, in percent.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from retrieval import build, link_embedder


class Remembering:
    """An embedder that embeds each text once: a sentence is compared with many questions."""

    def __init__(self, embedder: Any) -> None:
        self._embedder, self._known = embedder, dict[tuple[str, str], Any]()
        self.name, self.dim, self.languages = embedder.name, embedder.dim, embedder.languages

    def embed(self, texts: Sequence[str], kind: str = "passage") -> Any:
        import numpy as np

        new = [t for t in dict.fromkeys(texts) if (t, kind) not in self._known]
        if new:
            self._known.update(zip(((t, kind) for t in new), self._embedder.embed(new, kind=kind), strict=True))
        return np.array([self._known[t, kind] for t in texts])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ZHILU_DATA"), required="ZHILU_DATA" not in os.environ
    )
    parser.add_argument("--e5", type=Path, help="folder with the files of multilingual-e5-small")
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--paragraphs", type=int, default=72)
    parser.add_argument("--questions", type=int, default=170)
    parser.add_argument(
        "--factors", default="", help="more shares of the nearness, beside those of careful, balanced, bold"
    )
    parser.add_argument(
        "--as-found", action="store_true", help="passages in the order of the search, not of their sentences"
    )
    options = parser.parse_args()

    from zhilu.context import Context
    from zhilu.rag.answer import decide, meaning
    from zhilu.rag.answer.manner import READS
    from zhilu.rag.answer.pipeline import PASSAGES
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.rag.retrieve.search import retrieve
    from zhilu.settings import load_settings
    from zhilu.training.embed.data import set_records

    choices: dict[Any, float] = {**meaning.CAUTION, **{f: float(f) for f in options.factors.split(",") if f}}
    decide.CAUTION.update(choices)
    decide._ZH.update({c: str(c) for c in choices if c not in decide._ZH})
    with tempfile.TemporaryDirectory() as home:
        context = Context(load_settings({"home": home}, env={}))
        link_embedder(context, options.e5)
        embedder: Any = Remembering(embedder_of(context, options.embedder))
        for lang in ("en", "zh"):
            records = list(set_records(Path(options.data), f"xquad_{lang}"))
            paragraphs = list(dict.fromkeys(r["context"] for r in records))[: options.paragraphs]
            asked = [r for r in records if r["context"] in paragraphs][: options.questions]
            kb, ids = build(context, lang, paragraphs, embedder)
            refused = {choice: [0, 0] for choice in choices}
            for record in asked:
                own = ids[paragraphs.index(record["context"])]
                for column, docs in enumerate((None, [i for i in ids if i != own])):
                    found = retrieve(kb, record["question"], embedder, k=PASSAGES, doc_ids=docs)
                    found = decide.identified_first(replace(found), record["question"])
                    near = meaning.Meaning(embedder, found.lang)
                    if not options.as_found:
                        found, _ = decide.read_first(record["question"], found, near, READS.passages, PASSAGES)
                    for choice in choices:
                        holds, _ = decide.holds_answer(record["question"], found, near, READS.passages, choice)
                        refused[choice][column] += not holds
            for choice, (known, others) in refused.items():
                print(
                    f"{lang} {choice:9} ({choices[choice]:.2f}): answerable {100 * known / len(asked):.1f}, others"
                    f" {100 * others / len(asked):.1f}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
