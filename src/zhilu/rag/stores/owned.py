"""A store whose library serves one process only, used by all of ours: the process ``owner`` has it, and this is its client.

Our gateway searches while a job's worker writes, and Chroma and Milvus Lite allow one process on their files. The first who needs
the store starts its owner, which listens on loopback and lets in only who has the key from a file that no other user can read.
Whoever finds the owner gone starts another and asks again: every operation may be repeated. The owner ends itself when
nobody has been connected for a while, so nothing is left running. What was acknowledged was acknowledged by the library.

A message is a JSON head, a line feed, and the vectors as float32; no pickles.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zhilu.errors import UnreachableError, UpstreamError
from zhilu.jobs.process import JOB_MARK, spawn
from zhilu.messages import T
from zhilu.rag.stores.base import (
    Filter,
    StoreFacts,
    StoreKind,
    StorePlace,
    Vector,
    VectorRow,
    VectorStore,
    check_length,
)

__all__ = ["OwnedStore", "decode", "encode", "filter_data", "owned", "owner_file"]

_PATIENCE_S = 90.0  # for an owner to start: its library alone takes seconds on a busy machine
_TRIES = 5  # an operation that kills every owner must come to an end
_IDLE = 4  # connections kept between two operations
_BATCH = 4_000  # rows sent at a time


def owner_file(folder: Path, name: str) -> Path:
    """Where the owner of a store writes how it is reached."""
    return folder / f"vectors.{name}.owner"


def encode(head: dict[str, Any], vectors: NDArray[np.float32] | None = None) -> bytes:
    body = b"" if vectors is None else np.ascontiguousarray(vectors, "<f4").tobytes()
    return json.dumps(head).encode() + b"\n" + body


def decode(message: bytes) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """``(head, numbers)``, the numbers flat."""
    head, _, body = message.partition(b"\n")
    return json.loads(head), np.frombuffer(body, "<f4").astype(np.float32)


def filter_data(where: Filter | None) -> dict[str, list[Any] | None] | None:
    if where is None:
        return None
    return {
        "ids": None if where.ids is None else [int(i) for i in where.ids],
        "doc_ids": None if where.doc_ids is None else list(where.doc_ids),
        "langs": None if where.langs is None else list(where.langs),
    }


class OwnedStore:
    """``target``: ``module:function`` that opens the store itself, in the owner's process."""

    def __init__(self, facts: StoreFacts, target: str, place: StorePlace) -> None:
        self.facts = facts
        self.dim = place.dim
        self._target = target
        self._place = place
        self._file = owner_file(place.folder, facts.name)
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    def upsert(self, rows: Sequence[VectorRow]) -> None:
        check_length(rows, self.dim)
        for at in range(0, len(rows), _BATCH):
            part = rows[at : at + _BATCH]
            head = {"ids": [r.id for r in part], "doc_ids": [r.doc_id for r in part], "langs": [r.lang for r in part]}
            self._ask({"do": "upsert", **head}, np.stack([r.vector for r in part]))

    def delete(self, where: Filter) -> int:
        return int(self._ask({"do": "delete", "where": filter_data(where)}))

    def search(self, vector: Vector, k: int, where: Filter | None = None) -> list[tuple[int, float]]:
        found = self._ask({"do": "search", "k": k, "where": filter_data(where)}, np.asarray(vector, np.float32))
        return [(int(i), float(score)) for i, score in found]

    def count(self, where: Filter | None = None) -> int:
        return int(self._ask({"do": "count", "where": filter_data(where)}))

    def drop(self) -> None:
        self._ask({"do": "drop"})

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _ask(self, head: dict[str, Any], vectors: NDArray[np.float32] | None = None) -> Any:
        message = encode(head, vectors)
        for number in range(1, _TRIES + 1):
            connection = self._take(fresh=number > 1)
            try:
                connection.send_bytes(message)
                answer, _ = decode(connection.recv_bytes())
            except (EOFError, OSError) as error:  # the owner was killed
                connection.close()
                if number == _TRIES:
                    raise self._unreachable(str(error)) from error
                continue
            self._give(connection)
            if "error" in answer:
                raise UpstreamError(T.of(answer["error"]["messages"]), fix=answer["error"].get("fix"))
            return answer["done"]
        raise AssertionError("the last try returns or raises")

    def _take(self, fresh: bool) -> Connection:
        with self._lock:
            if fresh:
                for connection in self._idle:
                    connection.close()
                self._idle.clear()
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give(self, connection: Connection) -> None:
        with self._lock:
            if len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> Connection:
        """To the owner that is there, else to one that is started now."""
        deadline, started = time.monotonic() + _PATIENCE_S, 0.0
        while True:
            with suppress(OSError, ValueError, KeyError, EOFError, AuthenticationError):
                reach = json.loads(self._file.read_text(encoding="utf-8"))
                return Client(("127.0.0.1", reach["port"]), authkey=bytes.fromhex(reach["key"]))
            if not self._place.folder.is_dir():
                raise self._unreachable(f"{str(self._place.folder)!r}")
            now = time.monotonic()
            if now > deadline:
                raise self._unreachable(self._log.read_text(errors="replace")[-300:] if self._log.exists() else "")
            # again now and then: the one that was started may have found another that was just about to end
            if not started or now - started > 3:
                started = now
                self._start()
            time.sleep(0.05)

    @property
    def _log(self) -> Path:
        return self._place.folder / f"vectors.{self.facts.name}.log"

    def _start(self) -> None:
        place = self._place
        about = {
            "target": self._target,
            "folder": str(place.folder),
            "dim": place.dim,
            "key": place.key,
            "name": self.facts.name,
        }
        # not marked as the job's: what a job started is killed with it, and others use the owner, too
        env = {name: value for name, value in os.environ.items() if name != JOB_MARK}
        self._log.unlink(missing_ok=True)
        spawn([sys.executable, "-m", "zhilu.rag.stores.owner", json.dumps(about)], env=env, log=self._log)

    def _unreachable(self, said: str) -> UnreachableError:
        said = " ".join(said.split())
        return UnreachableError(
            T(
                f"The process that keeps the vectors ({self.facts.title.en}) does not answer. {said}".rstrip(),
                f"保存向量的进程（{self.facts.title.zh}）没有应答。{said}",
            ),
            fix="zhilu kb move KB --store sqlite",
        )


def owned(facts: StoreFacts, target: str, *, needs: tuple[str, ...], install: str) -> StoreKind:
    """The kind whose stores are opened in an owner's process, where ``target`` opens them."""

    def open_owned(place: StorePlace) -> VectorStore:
        kind.check(None)
        return OwnedStore(facts, target, place)

    kind = StoreKind(facts, open_owned, needs=needs, install=install)
    return kind
