"""The whole pipeline on questions whose answers are known: does the citation hold the answer, is the rest refused?

    python benchmarks/rag_questions.py --data DIR --sets xquad_en,xquad_zh      # open development sets
    python benchmarks/rag_questions.py --sets own                               # 60 questions on Zhilu's own docs
    python benchmarks/rag_questions.py … --calibrate                            # figures behind the refusal threshold

The model is the one of the settings behind ``zhilu up`` (started for the run), or ``--base-url``; ``--model none`` shows
what retrieval and quotation do alone. An answer counts as cited rightly if a cited passage contains one of the known
answers; ``--json`` writes everything, question by question.

Measured with zhilu-nano of this version's training (default retrieval; XQuAD: 200 paragraphs, 200 questions on them and
100 on paragraphs of the same articles that are not there; own: 60 questions on 14 documents, 10 of them unanswerable):

=======================================  =========  =========  ======
percent                                  XQuAD en   XQuAD zh   own
=======================================  =========  =========  ======
answerable questions answered            93.0       85.0       98.0
of these, the citation holds the answer  97.3       97.6       93.9
of these, the answer says it             81.2       87.6       85.7
unanswerable questions refused           82.0       86.0       100.0
=======================================  =========  =========  ======

The model is tiny: most of its answers do not hold and are replaced by a quotation; ``--model none`` comes out nearly alike.

``--calibrate``: answerable questions kept / unanswerable refused, by the share of the question's words (coverage) that
the best passage holds, in percent. The model is asked from 0.40, a quotation stands in from 0.50.

=========  ============  ============
coverage   XQuAD en      XQuAD zh
=========  ============  ============
0.30       97.5 / 53     98.0 / 43
0.35       97.0 / 64     97.0 / 55
0.40       96.5 / 72     93.5 / 70
0.45       93.5 / 79     91.0 / 79
0.50       90.0 / 87     85.0 / 87
0.55       83.0 / 95     77.0 / 92
=========  ============  ============
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from retrieval import build

ROOT = Path(__file__).resolve().parent.parent


def development_set(data: Path, name: str, num: int, context: Any, embedder: Any) -> tuple[Any, list[dict[str, Any]]]:
    """A knowledge base of the set's paragraphs but for a sixth; questions on both kinds, seeded."""
    from zhilu.training.embed.data import set_records

    rng = random.Random(11)
    found = list(set_records(data, name))
    paragraphs = list(dict.fromkeys(r["context"] for r in found))
    absent = set(rng.sample(paragraphs, len(paragraphs) // 6))
    kb, _ = build(context, name, [p for p in paragraphs if p not in absent], embedder)
    rng.shuffle(found)
    inside = [r for r in found if r["context"] not in absent][:num]
    outside = [r for r in found if r["context"] in absent][: num // 2]
    questions = [{"question": r["question"], "answers": [a["text"] for a in r["answers"]]} for r in inside]
    return kb, questions + [{"question": r["question"], "answers": []} for r in outside]


def own_set(context: Any, embedder: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Zhilu's own documentation as documents, and the questions written for it."""
    import io

    from zhilu.rag.evaluate import read_questions
    from zhilu.rag.index.ingest import ingest_document
    from zhilu.rag.library import Library

    kb = Library(context).create("own", embedder=embedder.name if embedder is not None else "none")
    files = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted(ROOT.glob("docs/*/*.md"))]
    for path in files:
        document, _ = kb.add(io.BytesIO(path.read_bytes()), path.name, max_mb=10)
        if document.status == "queued":
            ingest_document(kb, document.id, embedder, lambda share, stage: None)
    found = read_questions(Path(__file__).parent / "rag_questions" / "own.jsonl")
    return kb, [{"question": q.question, "answers": q.answers} for q in found]


@asynccontextmanager
async def client_of(context: Any, base_url: str | None, model: str) -> Any:
    import httpx

    from zhilu.client import ModelClient, connect

    if model == "none":  # a server that says nothing: every answer is a quotation or a refusal

        def silent(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/models"):
                return httpx.Response(200, json={"data": []})
            if request.url.path.endswith("/tokenize"):
                return httpx.Response(404, json={"error": {"message": "no tokenizer"}})
            return httpx.Response(200, text="data: [DONE]\n\n")

        async with ModelClient("http://localhost", transport=httpx.MockTransport(silent)) as client:
            yield client
    elif base_url:
        async with ModelClient(base_url) as client:
            yield client
    else:
        async with connect(context) as client:
            yield client


async def run(kb: Any, questions: list[dict[str, Any]], client: Any, model: str, embedder: Any) -> list[dict[str, Any]]:
    from zhilu.rag.answer.ground import locate
    from zhilu.rag.answer.pipeline import answer

    rows = []
    for item in questions:
        started = time.perf_counter()
        last: dict[str, Any] = {}
        async for event in answer(kb, item["question"], client=client, model=model, embedder=embedder):
            last = event.data
        trace = kb.trace(last["trace_id"])
        cited = [c["text"] for c in last["citations"] if c["cited"]]
        rows.append(
            {
                **item,
                "answer": last["answer"],
                "raw": trace["raw"],
                "verdict": last["verdict"],
                "refused": last["refused"],
                "coverage": trace["retrieval"]["coverage"],
                "retrieved": any(locate(a, c["text"]) for c in last["citations"] for a in item["answers"]),
                "cited_right": any(locate(a, text) for a in item["answers"] for text in cited),
                "says_it": any(locate(a, last["answer"]) for a in item["answers"]),
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Percentages over answerable and unanswerable questions."""
    known, unknown = [r for r in rows if r["answers"]], [r for r in rows if not r["answers"]]
    answered = [r for r in known if not r["refused"]]

    def share(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 1) if whole else None

    return {
        "answerable": len(known),
        "retrieved_%": share(sum(r["retrieved"] for r in known), len(known)),
        "answered_%": share(len(answered), len(known)),
        "citation_contains_answer_%_of_answered": share(sum(r["cited_right"] for r in answered), len(answered)),
        "answer_says_it_%_of_answered": share(sum(r["says_it"] for r in answered), len(answered)),
        "unanswerable": len(unknown),
        "refused_%_of_unanswerable": share(sum(r["refused"] for r in unknown), len(unknown)),
        "verdicts": dict(Counter(("+ " if r["answers"] else "- ") + r["verdict"] for r in rows).most_common()),
        "median_s": round(sorted(r["seconds"] for r in rows)[len(rows) // 2], 3),
    }


def calibrate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """For each threshold of coverage: answerable questions kept, unanswerable ones refused, in percent."""
    known = [r["coverage"] for r in rows if r["answers"]]
    unknown = [r["coverage"] for r in rows if not r["answers"]]
    table = {}
    for step in range(20, 80, 5):
        t = step / 100
        kept, refused = sum(c >= t for c in known) / len(known), sum(c < t for c in unknown) / len(unknown)
        table[t] = {"kept_%": round(100 * kept, 1), "refused_%": round(100 * refused, 1)}
    return table


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ZHILU_DATA"))
    parser.add_argument("--sets", default="own")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--model", default=None)
    parser.add_argument("--base-url", default=None)
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--json", type=Path, help="write every question's row here")
    options = parser.parse_args()

    from zhilu.context import Context
    from zhilu.rag.answer import settle
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.settings import load_settings

    if options.calibrate:
        settle.MIN_COVERAGE = settle.MIN_COVERAGE_QUOTE = 0.0
        options.model = "none"
    with tempfile.TemporaryDirectory() as home:
        context = Context(load_settings({"home": home}, env={}))
        model = options.model or context.settings.model
        embedder = embedder_of(context, options.embedder)
        everything: dict[str, Any] = {}
        async with client_of(context, options.base_url, model) as client:
            for name in options.sets.split(","):
                if name == "own":
                    kb, questions = own_set(context, embedder)
                else:
                    kb, questions = development_set(options.data, name, options.questions, context, embedder)
                rows = await run(kb, questions, client, model, embedder)
                everything[name] = rows
                report = calibrate(rows) if options.calibrate else summary(rows)
                print(json.dumps({name: report}, ensure_ascii=False, indent=1), flush=True)
        context.close()
    if options.json:
        options.json.write_text(json.dumps(everything, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
