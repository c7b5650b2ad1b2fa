"""The answers a person reads: plain questions over a folder of documents, asked of a real model through the whole pipeline.

    python benchmarks/answers.py --serve FILE.gguf                      # the questions to develop with
    python benchmarks/answers.py --serve FILE.gguf --split kept         # those kept back: look at them last
    python benchmarks/answers.py --base-url http://127.0.0.1:8642 --model NAME --json out.json
    python benchmarks/answers.py --serve FILE.gguf --data benchmarks/answers/everyday   # or unseen, work: the other sets

Eight documents and 40 questions (``benchmarks/answers``; Chinese and English, half of them in other words than the documents',
tables, one-row-per-item price lists, codes and versions, eight follow-ups, eight that the documents do not answer), split
before anything was tuned on them. For each question: what was asked, what a person reads, the verdict, and what was expected.

Judged by key phrases: an answer is right if it says one of each group of ``says`` and, before its quotation, none of ``never``;
a question without ``says`` must be refused. That is a check and no substitute for reading: ``--json`` writes every answer.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from retrieval import link_embedder

# how a quotation begins that says itself that it is no answer (rag.answer.evidence.quotation)
NOT_SUPPORTED = ("No answer that the documents support.", "没有得到文档支持的回答。")
HERE = Path(__file__).parent / "answers"


@contextmanager
def served(path: str, home: str) -> Iterator[str]:
    """Serve a model file by ``zhilu serve`` and wait until it answers; the base URL."""
    import httpx

    command = [sys.executable, "-m", "zhilu", "--home", home, "serve", path, "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        url = said["url"].removesuffix("/v1")
        body = {"model": said["model"], "messages": [{"role": "user", "content": "1+1?"}], "max_tokens": 1}
        for _ in range(60):
            with suppress(httpx.HTTPError):
                if httpx.post(f"{url}/v1/chat/completions", json=body, timeout=120).status_code == 200:
                    break
            time.sleep(1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def filled(context: Any, folder: Path, embedder_name: str) -> tuple[Any, Any]:
    """A knowledge base of all files of a folder, and its embedder."""
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.rag.index.ingest import ingest_document
    from zhilu.rag.library import Library

    kb = Library(context).create("answers", embedder=embedder_name)
    embedder = embedder_of(context, kb.embedder)
    for path in sorted(folder.iterdir()):
        document, _ = kb.add(io.BytesIO(path.read_bytes()), path.name, max_mb=10)
        ingest_document(kb, document.id, embedder, lambda share, stage: None)
    return kb, embedder


def is_right(item: dict[str, Any], answer: str, refused: bool) -> bool:
    """Does the answer say what it must, and nothing that it must not?"""
    if not item["says"]:
        return refused or any(answer.startswith(no) for no in NOT_SUPPORTED)
    for no in NOT_SUPPORTED:
        answer = answer.removeprefix(no)  # its "no" is none
    own = answer.split(" — “")[0].casefold()
    text = answer.casefold()
    if refused or any(_holds(word, own) for word in item["never"]):
        return False
    return all(any(_holds(word, text) for word in group) for group in item["says"])


def _holds(word: str, text: str) -> bool:
    word = re.escape(word.casefold())
    return re.search(rf"(?<![a-z0-9.]){word}(?![a-z0-9]|[.]\d)", re.sub(r"\[\d+\]", "", text)) is not None


async def ask(kb: Any, embedder: Any, item: dict[str, Any], client: Any, model: str, **options: Any) -> dict[str, Any]:
    from zhilu.rag.answer.pipeline import answer

    history: list[dict[str, Any]] = []

    async def ended(question: str) -> dict[str, Any]:
        last: dict[str, Any] = {}
        events = answer(kb, question, client=client, model=model, embedder=embedder, history=history, **options)
        async for event in events:
            last = event.data
        return last

    for question in item.get("history", []):  # a follow-up comes after an answer
        before = await ended(question)
        history += [{"role": "user", "content": question}, {"role": "assistant", "content": before["answer"]}]
    started = time.perf_counter()
    last = await ended(item["question"])
    trace = kb.trace(last["trace_id"])
    return {
        **item, "answer": last["answer"], "verdict": last["verdict"], "refused": last["refused"], "raw": trace["raw"],
        "confidence": trace["confidence"],
        "right": is_right(item, last["answer"], last["refused"]), "seconds": round(time.perf_counter() - started, 2),
        "decision": (trace["retrieval"]["decision"] or {}).get("en"), "prompt": trace["prompt"],
        "found": [f"{c['doc_name']}: {c['text'][:40]!r}" for c in last["citations"]],
    }  # fmt: skip


def show(row: dict[str, Any]) -> None:
    mark = "right" if row["right"] else "WRONG"
    print(f"\n{row['id']} {mark:5} [{row['verdict']}] {row['lang']} {row['kind']}")
    for earlier in row.get("history", []):
        print(f"   (before: {earlier})")
    print(f"   Q: {row['question']}\n   A: {row['answer']}\n   expected: {row['expected']}")
    if not row["right"]:
        print(f"   decision: {row['decision']}; the model said: {row['raw']!r}; found {row['found'][:2]}")


def summary(rows: Sequence[dict[str, Any]]) -> str:
    known, unknown = [r for r in rows if r["says"]], [r for r in rows if not r["says"]]
    unmarked = [r for r in rows if r["verdict"] in ("grounded", "quoted") and not r["answer"].startswith(NOT_SUPPORTED)]
    grounded_wrong = [r["id"] for r in unmarked if not r["right"]]
    return (
        f"\nright {sum(r['right'] for r in rows)} of {len(rows)}: answerable {sum(r['right'] for r in known)} of"
        f" {len(known)}, refused {sum(r['right'] for r in unknown)} of {len(unknown)}; wrong and shown without a caveat:"
        f" {len(grounded_wrong)} {grounded_wrong}; {dict(Counter(r['verdict'] for r in rows))}"
    )


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", help="a model file or folder, served for the run")
    parser.add_argument("--base-url", help="a server that runs")
    parser.add_argument("--model", help="the model's name at --base-url")
    parser.add_argument("--data", type=Path, default=HERE, help="a folder with documents/ and questions.jsonl")
    parser.add_argument("--split", choices=["develop", "kept", "all"], default="develop")
    parser.add_argument("--only", help="ids, separated by commas")
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--e5", type=Path, help="folder with the files of multilingual-e5-small")
    parser.add_argument(
        "--passages", type=int, help="passages in the prompt at most, instead of the manner's own number"
    )
    parser.add_argument("--answers", default="balanced", help="careful, balanced or bold")
    parser.add_argument("--together", type=int, default=1, help="questions asked at a time")
    parser.add_argument("--json", type=Path, help="write every question's row here")
    options = parser.parse_args()

    from zhilu.client import ModelClient
    from zhilu.context import Context
    from zhilu.rag.answer.manner import manner_of
    from zhilu.settings import load_settings

    items = [json.loads(line) for line in (options.data / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    items = [i for i in items if options.split in ("all", i.get("split", "develop"))]
    items = [i for i in items if not options.only or i["id"] in options.only.split(",")]
    with tempfile.TemporaryDirectory() as home:
        context = Context(load_settings({"home": home}, env={}))
        link_embedder(context, options.e5)
        kb, embedder = filled(context, options.data / "documents", options.embedder)
        with served(options.serve, home) if options.serve else _is(options.base_url) as url:
            async with ModelClient(url) as client:
                model = options.model or (await client.models())[0]["id"]
                manner, why = manner_of(context, model)
                manner = replace(manner, passages=options.passages or manner.passages)
                print(f"{model} ({why.en}), embedder {kb.embedder}")
                room = asyncio.Semaphore(options.together)

                async def asked(item: dict[str, Any]) -> dict[str, Any]:
                    async with room:
                        row = await ask(kb, embedder, item, client, model, manner=manner, caution=options.answers)
                    show(row)
                    return row

                rows = await asyncio.gather(*(asked(item) for item in items))
    print(summary(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    return 0


@contextmanager
def _is(url: str | None) -> Iterator[str]:
    if url is None:
        raise SystemExit("--serve FILE or --base-url URL?")
    yield url


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
