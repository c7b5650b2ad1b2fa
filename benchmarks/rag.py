"""Ingesting and searching beside LangChain's and LlamaIndex's plain pipelines: CPU seconds, same embedder, same files, one run.

    pip install langchain-core langchain-text-splitters llama-index-core
    python benchmarks/rag.py --data DIR --e5 FOLDER [--parts ingest,search,book] [--files 100] [--json]

DIR (or ``$ZHILU_DATA``) holds ``text/*.jsonl.zst`` with ``text``; FOLDER the files of multilingual-e5-small.

``ingest``: 100 files (half English, half Chinese, 8,000 characters at most each), read from a folder until they can be searched. Each
pipeline runs in a process of its own, which loads the embedder and embeds one text first; what is counted after that is the CPU time
of the process and of all its children. LangChain: ``RecursiveCharacterTextSplitter`` and ``InMemoryVectorStore``. LlamaIndex:
``SimpleDirectoryReader``, ``SentenceSplitter`` and ``VectorStoreIndex``. Both are told to cut passages about as long as ours, since the
embedder's time is nearly all of it; how many passages and characters were embedded stands beside the seconds. Ours is the
product's own job: it also keeps originals, a word index and a database that survives a kill.

``search``: 200 questions, p50 and p95 of retrieval (the question's embedding included) among ``--chunks`` passages. Their vectors are
random: a search costs the same whatever they are, and embedding 50,000 passages takes half an hour.

``book``: a text of 3.2 million bytes, the size of War and Peace, in CPU and in wall-clock seconds.

The processor is named, and a machine that does something else meanwhile is said to be loaded: CPU seconds then are some percent too
high, and wall-clock times mean nothing.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PIPELINES = ("zhilu", "langchain", "llamaindex")
_FILE_CHARS = 8_000
_BOOK_BYTES = 3_200_000
_QUESTIONS = 200


def processor() -> str:
    """Its name, and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        name = names[0] if names else name
    return f"{name}, {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"


def is_loaded() -> bool:
    """Whether others use more than a quarter of a core at the moment."""
    return os.getloadavg()[0] > 0.25 if hasattr(os, "getloadavg") else False


def texts(data: Path, lang: str) -> Iterator[str]:
    from zhilu.training.embed.data import read_jsonl

    for path in sorted((data / "text").glob(f"{lang}-*.jsonl.zst")):
        for record in read_jsonl(path):
            if len(record["text"]) > 2_000:
                yield record["text"]


def make_folder(data: Path, folder: Path, num_files: int) -> int:
    """The files; their characters in all."""
    total = 0
    for lang in ("en", "zh"):
        for number, text in zip(range(num_files // 2), texts(data, lang), strict=False):
            (folder / f"{lang}-{number}.txt").write_text(text[:_FILE_CHARS], encoding="utf-8")
            total += min(len(text), _FILE_CHARS)
    return total


def open_home(home: str, e5: Path) -> tuple[Any, Any]:
    """A context on a home of its own that has e5-small, and the embedder, loaded."""
    from zhilu.context import Context
    from zhilu.rag.index.embedding import embedder_of
    from zhilu.settings import load_settings

    sys.path.insert(0, str(Path(__file__).parent))
    from retrieval import link_embedder

    context = Context(load_settings({"home": home}, env={}))
    link_embedder(context, e5)
    embedder = embedder_of(context, "e5-small")
    assert embedder is not None
    embedder.embed(["warm"], kind="passage")
    return context, embedder


def cpu_seconds() -> float:
    """Of this process and of all its children that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


class Counting:
    """The embedder, with a count of what it was given."""

    def __init__(self, embedder: Any) -> None:
        self.embedder, self.num_texts, self.num_chars = embedder, 0, 0

    def passages(self, given: list[str]) -> list[list[float]]:
        self.num_texts += len(given)
        self.num_chars += sum(map(len, given))
        vectors: list[list[float]] = self.embedder.embed(given, kind="passage").tolist()
        return vectors


class Alone:
    """What a job is given, in this process."""

    id, attempt = "bench", 1

    def __init__(self, context: Any) -> None:
        self.context = context

    def progress(self, fraction: float, stage: Any, detail: str = "") -> None: ...

    def log(self, text: str) -> None: ...

    def check(self) -> None: ...


def run_zhilu(folder: Path, context: Any, embedder: Any) -> dict[str, Any]:
    from zhilu.rag.index.ingest import run_ingest
    from zhilu.rag.library import Library

    kb = Library(context).create("bench", embedder="e5-small")
    ids = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            ids.append(kb.add(stream, path.name, max_mb=50)[0].id)
    job: Any = Alone(context)
    done = run_ingest(job, {"kb": kb.id, "documents": ids})
    assert done["failed"] == 0, done
    row = kb.database.row("SELECT COUNT(*), SUM(LENGTH(text)) FROM chunks")
    assert row is not None
    return {"passages": row[0], "characters": row[1]}


def run_langchain(folder: Path, context: Any, embedder: Any) -> dict[str, Any]:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    counting = Counting(embedder)

    class Ours(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return counting.passages(texts)

        def embed_query(self, text: str) -> list[float]:
            return counting.passages([text])[0]

    splitter = RecursiveCharacterTextSplitter(
        chunk_size=220, chunk_overlap=30, length_function=num_tokens, separators=["\n\n", "\n", "。", ". ", " ", ""]
    )
    documents = [
        Document(path.read_text(encoding="utf-8"), metadata={"source": path.name}) for path in sorted(folder.iterdir())
    ]
    InMemoryVectorStore.from_documents(splitter.split_documents(documents), Ours())
    return {"passages": counting.num_texts, "characters": counting.num_chars}


def run_llamaindex(folder: Path, context: Any, embedder: Any) -> dict[str, Any]:
    from llama_index.core import SimpleDirectoryReader, VectorStoreIndex
    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.node_parser import SentenceSplitter

    counting = Counting(embedder)

    class Ours(BaseEmbedding):
        def _get_text_embedding(self, text: str) -> list[float]:
            return counting.passages([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return counting.passages(texts)

        def _get_query_embedding(self, query: str) -> list[float]:
            return counting.passages([query])[0]

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    splitter = SentenceSplitter(
        chunk_size=220,
        chunk_overlap=30,
        tokenizer=lambda text: [0] * num_tokens(text),
        chunking_tokenizer_fn=lambda text: [p for p in _sentences(text) if p],
        include_metadata=False,
    )
    documents = SimpleDirectoryReader(str(folder)).load_data()
    VectorStoreIndex.from_documents(
        documents, embed_model=Ours(embed_batch_size=64), transformations=[splitter], show_progress=False
    )
    return {"passages": counting.num_texts, "characters": counting.num_chars}


def _sentences(text: str) -> list[str]:
    """NLTK's, which LlamaIndex uses by default, downloads its data; this costs less, in the others' favour."""
    import re

    return re.split(r"(?<=[。！？.!?\n])", text)


def num_tokens(text: str) -> int:
    """As long as our splitter takes a text to be."""
    from zhilu.text.terms import segment

    return len(segment(text).split())


def child(pipeline: str, folder: Path, e5: Path) -> int:
    with tempfile.TemporaryDirectory() as home:
        context, embedder = open_home(home, e5)
        run = {"zhilu": run_zhilu, "langchain": run_langchain, "llamaindex": run_llamaindex}[pipeline]
        cpu, started = cpu_seconds(), time.perf_counter()
        found = run(folder, context, embedder)
        print(
            json.dumps(
                {**found, "cpu_s": round(cpu_seconds() - cpu, 2), "wall_s": round(time.perf_counter() - started, 2)}
            )
        )
    return 0


def ingest(data: Path, e5: Path, num_files: int) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"ingest: {num_files} files, {make_folder(data, folder, num_files):,} characters", file=sys.stderr)
        for pipeline in PIPELINES:
            done = subprocess.run(
                [sys.executable, __file__, "--child", pipeline, "--folder", name, "--e5", str(e5)],
                stdout=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
            if done.returncode != 0:
                print(f"  {pipeline:10} not measured: it ended with {done.returncode}", file=sys.stderr)
                continue
            row = rows[pipeline] = json.loads(done.stdout.splitlines()[-1])
            print(
                f"  {pipeline:10} {row['cpu_s']:7.1f} CPU s  {row['passages']:5} passages  {row['characters']:,} characters",
                file=sys.stderr,
            )
    for other in PIPELINES[1:]:
        if other in rows and "zhilu" in rows:
            rows[f"against {other}"] = round(rows[other]["cpu_s"] / rows["zhilu"]["cpu_s"], 2)
    return rows


def search(data: Path, e5: Path, num_chunks: int) -> dict[str, Any]:
    import numpy as np

    from zhilu.rag.index.publish import publish
    from zhilu.rag.index.split import Chunk
    from zhilu.rag.index.staging import keep_vectors, stage_chunks, without_vector
    from zhilu.rag.library import Library
    from zhilu.rag.load import Loaded
    from zhilu.rag.retrieve.search import retrieve

    rng, numbers = random.Random(1), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as home:
        context, embedder = open_home(home, e5)
        kb = Library(context).create("large", embedder="e5-small")
        both = [*texts(data, "en"), *texts(data, "zh")]
        rng.shuffle(both)
        made, questions = 0, []
        for number, text in enumerate(both):
            if made >= num_chunks:
                break
            document, _ = kb.add(io.BytesIO(f"{number}\n{text}".encode()), f"{number}.txt", max_mb=50)
            spans = range(0, len(text), 600)
            stage_chunks(
                kb,
                document.id,
                Loaded(text, "text/plain"),
                [Chunk(at, min(at + 600, len(text)), "", None, 0) for at in spans],
            )
            missing = without_vector(kb, [document.id], embedder.languages)
            vectors = numbers.normal(size=(len(missing), kb.dim)).astype(np.float32)
            keep_vectors(kb, missing, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
            publish(kb, document.id)
            made += len(spans)
            at = rng.randrange(max(len(text) - 40, 1))
            questions.append(text[at : at + (40 if text[at : at + 1].isascii() else 16)].strip() or "what is this?")
        times = []
        for question in questions[:3] + rng.choices(questions, k=_QUESTIONS):
            started = time.perf_counter()
            retrieve(kb, question, embedder, k=5)
            times.append(1000 * (time.perf_counter() - started))
    times = sorted(times[3:])  # the first loads the vectors
    found = {
        "chunks": made,
        "p50_ms": round(times[len(times) // 2], 1),
        "p95_ms": round(times[int(len(times) * 0.95)], 1),
    }
    print(f"search: {made:,} passages, p50 {found['p50_ms']} ms, p95 {found['p95_ms']} ms", file=sys.stderr)
    return found


def book(data: Path, e5: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as home:
        whole = bytearray()
        for text in texts(data, "en"):
            whole += text.encode() + b"\n\n"
            if len(whole) > _BOOK_BYTES:
                break
        (Path(name) / "book.txt").write_bytes(bytes(whole[:_BOOK_BYTES]).decode("utf-8", "ignore").encode())
        context, embedder = open_home(home, e5)
        cpu, started = cpu_seconds(), time.perf_counter()
        found = run_zhilu(Path(name), context, embedder)
        found |= {"cpu_s": round(cpu_seconds() - cpu, 1), "wall_s": round(time.perf_counter() - started, 1)}
    print(f"book: {found['passages']:,} passages, {found['cpu_s']} CPU s, {found['wall_s']} s", file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ZHILU_DATA"))
    parser.add_argument("--e5", type=Path, required=True, help="folder with the files of multilingual-e5-small")
    parser.add_argument("--parts", default="ingest,search,book")
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--chunks", type=int, default=50_000)
    parser.add_argument("--child", choices=PIPELINES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.child:
        return child(options.child, options.folder, options.e5)
    if options.data is None:
        parser.error("--data, or ZHILU_DATA")
    data = Path(options.data)
    report: dict[str, Any] = {"processor": processor(), "loaded": is_loaded()}
    print(report["processor"], file=sys.stderr)
    if report["loaded"]:
        print("loaded: others use this machine now; figures are too high", file=sys.stderr)
    for part in options.parts.split(","):
        if part == "ingest":
            report[part] = ingest(data, options.e5, options.files)
        elif part == "search":
            report[part] = search(data, options.e5, options.chunks)
        elif part == "book":
            report[part] = book(data, options.e5)
        else:
            parser.error(f"no part {part!r}: ingest, search, book")
    if options.json:
        print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
