"""Retrieval on question sets whose right passage is known: BM25, dense and hybrid, English and Chinese.

    python benchmarks/retrieval.py --data DIR [--passages 1000] [--questions 2000] [--sets squad,cmrc,drcd,xquad_en,…]

DIR (or ``$ZHILU_DATA``) holds ``qa/*.jsonl.zst`` and ``dev/*.jsonl.zst`` with ``context``, ``question``, ``answerable``.
Each context becomes a document of a real knowledge base in a temporary home; a hit is a chunk of the question's own
document. Prints recall@5 / MRR@10 per method; ``--json`` for machines.

Measured on what zhilu-embed's recipe kept back (1,000 passages and 2,000 questions; DRCD 495 and 1,749; 2 busy cores):

==============================  ==============  ==============  ==============
recall@5 / MRR@10               SQuAD (en)      CMRC (zh)       DRCD (zh)
==============================  ==============  ==============  ==============
BM25                            0.946 / 0.873   0.984 / 0.971   0.999 / 0.977
zhilu-embed alone               0.874 / 0.764   0.941 / 0.895   0.983 / 0.919
with BM25, weight 0.1           0.946 / 0.873   0.985 / 0.971   0.999 / 0.977
with BM25, weight 0.3           0.948 / 0.873   0.985 / 0.969   0.999 / 0.978
zhilu-embed, en 0.3, zh 0.1     0.948 / 0.873   0.985 / 0.971   0.999 / 0.977
MiniLM alone                    0.899 / 0.783   knows no Chinese
MiniLM with BM25, weight 0.5    0.966 / 0.893
**default (bilingual)**         0.966 / 0.893   0.985 / 0.971
==============================  ==============  ==============  ==============

``--mixed N`` asks every N-th question of XQuAD in a knowledge base half of whose paragraphs are English and half Chinese, in the
paragraph's own language and in the other one; ``--e5 FOLDER`` lets the temporary home have multilingual-e5-small.

``--paraphrases`` asks ``benchmarks/paraphrases.jsonl``: 160 questions of XQuAD (one of every third paragraph, English and Chinese)
put into other words by hand, among all 240 paragraphs of their language, beside the same questions as they were; ``shared`` is the
share of a question's words that its paragraph holds.

``--cross-language`` asks ``benchmarks/cross_language.jsonl``: 200 questions in the language that their passage is not written in,
translated by hand, 100 in Chinese about English passages of SQuAD and 100 in English about Chinese passages of CMRC (names as one
would write them, without the passage at hand). The knowledge base holds their passages among ``--passages`` in all, half English and
half Chinese; the same questions in their passage's own language (``as asked``) stand beside them.

Measured with e5-small, 1,000 passages (recall@5 / MRR@10):

==============================  ==============  ==============  ==============  ==============
                                zh about en     en about zh     en about en     zh about zh
==============================  ==============  ==============  ==============  ==============
BM25                            0.020 / 0.012   0.190 / 0.168   0.930 / 0.912   1.000 / 1.000
e5-small alone                  0.750 / 0.581   0.750 / 0.632   0.980 / 0.934   0.990 / 0.985
both, before ``_FOREIGN``       0.700 / 0.493   0.710 / 0.571   0.980 / 0.960   1.000 / 1.000
**default**                     0.800 / 0.627   0.770 / 0.637   0.980 / 0.960   1.000 / 1.000
==============================  ==============  ==============  ==============  ==============

``_FOREIGN`` (``rag/retrieve/fusion.py``) was chosen on this very set: anything from 0.5 to 1 would have been as good or nearly so.

Chunks in a language the embedder does not know get no vectors. CMRC's passages split into 2.9 chunks each.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def link_embedder(context: Any, folder: Path | None) -> None:
    """Let a temporary home have the embedder e5-small whose files lie in ``folder``."""
    if folder is not None:
        packed = (folder / "e5-small-q4.bin").is_file()
        (context.home.models / f"multilingual-e5-small{'-4bit' if packed else ''}").symlink_to(folder.resolve())


def build(context: Any, name: str, passages: list[str], embedder: Any) -> tuple[Any, list[str]]:
    """A knowledge base with a document a passage; the documents' ids in the passages' order."""
    from zhilu.rag.index.ingest import ingest_document
    from zhilu.rag.library import Library
    from zhilu.rag.load import Loaded

    kb = Library(context).create(name, embedder=embedder.name if embedder is not None else "none")
    ids = []
    for number, passage in enumerate(passages):
        document, _ = kb.add(io.BytesIO(passage.encode()), f"{number}.txt", max_mb=10)
        loaded = Loaded(passage, "text/plain")
        if document.status != "ready":
            ingest_document(kb, document.id, embedder, lambda share, stage: None, loaded)
        ids.append(document.id)
    return kb, ids


def score(search: Callable[[str], list[str]], questions: list[tuple[str, str]]) -> dict[str, float]:
    """recall@5 and MRR@10 of ranked document ids, and milliseconds a question."""
    hits, reciprocal, started = 0, 0.0, time.perf_counter()
    for question, gold in questions:
        ranked = list(dict.fromkeys(search(question)))[:10]
        rank = ranked.index(gold) + 1 if gold in ranked else 0
        hits += 0 < rank <= 5
        reciprocal += 1 / rank if rank else 0.0
    seconds = time.perf_counter() - started
    n = len(questions)
    return {"recall@5": hits / n, "mrr@10": reciprocal / n, "ms": 1000 * seconds / n}


def ranked(kb: Any, embedder: Any, weight: float | None, question: str) -> list[str]:
    """The documents of the ten best passages; ``weight`` is the dense list's share, None the product's own."""
    from zhilu.rag.retrieve.search import retrieve

    return [h.doc_id for h in retrieve(kb, question, embedder, k=10, weight=weight).hits]


def mixed_set(data: Path, every: int) -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    """XQuAD's paragraphs, a random half of them in English and the others in Chinese, and every ``every``-th question: in the
    language of its paragraph (``same``), and in the other one (``cross``)."""
    from zhilu.training.embed.data import set_records

    records = {lang: list(set_records(data, f"xquad_{lang}")) for lang in ("en", "zh")}
    paragraphs = {lang: list(dict.fromkeys(r["context"] for r in found)) for lang, found in records.items()}
    rng = random.Random(3)
    langs = [rng.choice(("en", "zh")) for _ in paragraphs["en"]]
    questions: dict[str, list[tuple[str, int]]] = {"en same": [], "en cross": [], "zh same": [], "zh cross": []}
    for lang, found in records.items():
        at = {text: number for number, text in enumerate(paragraphs[lang])}
        for record in found[::every]:
            number = at[record["context"]]
            questions[f"{lang} {'same' if langs[number] == lang else 'cross'}"].append((record["question"], number))
    return [paragraphs[lang][number] for number, lang in enumerate(langs)], questions


def paraphrased(data: Path) -> dict[str, tuple[list[str], dict[str, list[tuple[str, int]]]]]:
    """By language: XQuAD's paragraphs, and the questions ``in other words`` and ``as asked``, each with its paragraph's number."""
    from zhilu.training.embed.data import set_records

    file = Path(__file__).with_name("paraphrases.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    found = {}
    for name in ("xquad_en", "xquad_zh"):
        records = list(set_records(data, name))
        paragraphs = list(dict.fromkeys(r["context"] for r in records))
        at = {text: number for number, text in enumerate(paragraphs)}
        questions: dict[str, list[tuple[str, int]]] = {"in other words": [], "as asked": []}
        for row in rows:
            if row["set"] == name:
                record = records[row["row"]]
                assert record["question"] == row["asked"], f"not the XQuAD that this was made from: {row}"
                questions["in other words"].append((row["question"], at[record["context"]]))
                questions["as asked"].append((row["asked"], at[record["context"]]))
        found[name] = (paragraphs, questions)
    return found


def cross_language(data: Path, num_passages: int) -> tuple[list[str], dict[str, list[tuple[str, int]]]]:
    """Half English and half Chinese passages, and the questions ``translated`` and ``as asked`` with their passage's number."""
    from zhilu.training.embed.data import set_records

    file = Path(__file__).with_name("cross_language.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    passages: list[str] = []
    questions: dict[str, list[tuple[str, int]]] = {}
    for name, kinds in (("squad", ("zh about en", "en about en")), ("cmrc", ("en about zh", "zh about zh"))):
        records = list(set_records(data, name))
        wanted = [row for row in rows if row["set"] == name]
        chosen = dict.fromkeys(records[row["row"]]["context"] for row in wanted)
        others = [c for c in dict.fromkeys(r["context"] for r in records) if c not in chosen]
        random.Random(5).shuffle(others)
        there = [*chosen, *others[: max(num_passages // 2 - len(chosen), 0)]]
        at = {text: len(passages) + number for number, text in enumerate(there)}
        passages += there
        for row in wanted:
            record = records[row["row"]]
            assert record["question"].strip() == row["asked"], f"not the set that this was made from: {row}"
            for kind, asked in zip(kinds, (row["question"], row["asked"]), strict=True):
                questions.setdefault(kind, []).append((asked, at[record["context"]]))
    return passages, questions


def shared_words(paragraphs: list[str], asked: list[tuple[str, int]]) -> float:
    """The mean share of a question's content words that its paragraph holds."""
    from zhilu.text.terms import content_terms, terms

    shares = []
    for question, number in asked:
        wanted = {t for t in content_terms(question) if t.isascii() or len(t) > 1}
        shares.append(len(wanted & set(terms(paragraphs[number]))) / max(len(wanted), 1))
    return sum(shares) / len(shares)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("ZHILU_DATA"), required="ZHILU_DATA" not in os.environ
    )
    parser.add_argument("--passages", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--sets", default="squad,cmrc,drcd")
    parser.add_argument("--weights", default="0.3,0.5,0.7", help="dense weights of the hybrid rows")
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--e5", type=Path, help="folder with the files of multilingual-e5-small")
    parser.add_argument(
        "--mixed", type=int, help="XQuAD in a mixed knowledge base, every N-th question, instead of --sets"
    )
    parser.add_argument("--paraphrases", action="store_true", help="XQuAD in other words, instead of --sets")
    parser.add_argument(
        "--cross-language", action="store_true", help="questions in the other language than the passage's"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    from zhilu.context import Context
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.settings import load_settings
    from zhilu.training.embed.data import retrieval_set

    with tempfile.TemporaryDirectory() as home:
        context = Context(load_settings({"home": home}, env={}))
        link_embedder(context, options.e5)
        embedder = embedder_of(context, options.embedder)
        report: dict[str, dict[str, Any]] = {}
        if options.mixed or options.cross_language:
            passages, asked = (
                mixed_set(Path(options.data), options.mixed)
                if options.mixed
                else cross_language(Path(options.data), options.passages)
            )
            kb, ids = build(context, "mixed", passages, embedder)
            for name, raw in asked.items():
                for label, weight in (("bm25", 0.0), ("dense", 1.0), ("default", None)):
                    row = score(partial(ranked, kb, embedder, weight), [(q, ids[i]) for q, i in raw])
                    report.setdefault(name, {"questions": len(raw)})[label] = row
                    print(f"{name:11} ({len(raw)}) {label:8} {row['recall@5']:.3f} / {row['mrr@10']:.3f}", flush=True)
        for name, (passages, asked) in paraphrased(Path(options.data)).items() if options.paraphrases else ():
            kb, ids = build(context, name, passages, embedder)
            for kind, raw in asked.items():
                shared = shared_words(passages, raw)
                report[f"{name} {kind}"] = {"questions": len(raw), "shared": shared}
                for label, weight in (("bm25", 0.0), ("dense", 1.0), ("default", None)):
                    row = score(partial(ranked, kb, embedder, weight), [(q, ids[i]) for q, i in raw])
                    report[f"{name} {kind}"][label] = row
                    print(
                        f"{name} {kind:14} ({len(raw)}, shared {shared:.2f}) {label:8} {row['recall@5']:.3f} /"
                        f" {row['mrr@10']:.3f}",
                        flush=True,
                    )
        for name in (
            options.sets.split(",") if not (options.mixed or options.paraphrases or options.cross_language) else []
        ):
            passages, raw = retrieval_set(Path(options.data), name, options.passages, options.questions)
            started = time.perf_counter()
            kb, ids = build(context, name, passages, embedder)
            rows = report.setdefault(name, {"passages": len(passages), "questions": len(raw)})
            rows["ingest_s"] = round(time.perf_counter() - started, 1)
            questions = [(q, ids[i]) for q, i in raw]
            weights = [0.0, 1.0, *map(float, options.weights.split(","))] if embedder is not None else [0.0]
            for weight in [*weights, None]:
                label = {0.0: "bm25", 1.0: "dense", None: "default"}.get(weight, f"hybrid {weight}")

                rows[label] = score(partial(ranked, kb, embedder, weight), questions)
                print(
                    f"{name:10} {label:12} {rows[label]['recall@5']:.3f} / {rows[label]['mrr@10']:.3f}"
                    f"  {rows[label]['ms']:.1f} ms",
                    file=sys.stderr,
                    flush=True,
                )
    if options.json:
        print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
