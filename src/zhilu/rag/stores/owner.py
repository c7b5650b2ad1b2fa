"""The one process that has a store's files open (see ``owned``): ``python -m zhilu.rag.stores.owner '{"target": …}'``.

It holds a lock while it lives, so there is one; it ends when nobody was connected for ``LINGER_S`` seconds, or when its folder is
gone. Each connection is served by a thread.
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from zhilu.errors import UpstreamError, error_body
from zhilu.home import atomic_write, file_lock
from zhilu.messages import T
from zhilu.rag.database import KbDatabase
from zhilu.rag.stores.base import Filter, StorePlace, VectorRow, VectorStore
from zhilu.rag.stores.owned import decode, encode, owner_file

__all__ = ["LINGER_S", "answer", "main"]

LINGER_S = 5.0


def answer(store: VectorStore, message: bytes) -> bytes:
    """Do what a client asks; an error of the library is the answer, and the owner lives on."""
    try:
        head, numbers = decode(message)
        where = None if head.get("where") is None else Filter(**head["where"])
        done: Any = None
        match head["do"]:
            case "upsert":
                vectors = numbers.reshape(len(head["ids"]), -1)
                about = zip(head["ids"], vectors, head["doc_ids"], head["langs"], strict=True)
                store.upsert([VectorRow(*row) for row in about])
            case "search":
                done = store.search(numbers, head["k"], where)
            case "count":
                done = store.count(where)
            case "delete":
                done = store.delete(where or Filter())
            case "drop":
                store.drop()
            case other:
                raise ValueError(f"unknown operation {other!r}")
        return encode({"done": done})
    except Exception as error:  # whatever a library raises
        said = " ".join(str(error).split())[:400] or type(error).__name__
        return encode(error_body(UpstreamError(T(f"The vector store failed: {said}", f"向量库出错：{said}"))))


class _Door:
    """Who is connected, and since when nobody is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num = 0
        self._empty_since = time.monotonic()

    def enter(self) -> None:
        with self._lock:
            self._num += 1

    def leave(self) -> None:
        with self._lock:
            self._num -= 1
            self._empty_since = time.monotonic()

    def is_quiet(self) -> bool:
        with self._lock:
            return self._num == 0 and time.monotonic() - self._empty_since > LINGER_S


def _serve(connection: Connection, store: VectorStore, door: _Door) -> None:
    try:
        with suppress(EOFError, OSError):
            while True:
                connection.send_bytes(answer(store, connection.recv_bytes()))
    finally:
        connection.close()
        door.leave()


def _let_in(listener: Listener, store: VectorStore, door: _Door) -> None:
    while True:
        door_open = True
        try:
            connection = listener.accept()
        except (AuthenticationError, EOFError, ConnectionError):
            continue  # a stranger, or one that went away
        except OSError:
            door_open = False
        if not door_open:
            return
        door.enter()
        threading.Thread(target=_serve, args=(connection, store, door), daemon=True).start()


def main(about: dict[str, Any]) -> None:
    """Serve until nobody needs it; returns at once where another owner is there."""
    folder = Path(about["folder"])
    file = owner_file(folder, about["name"])
    with file_lock(file.with_suffix(".lock"), blocking=False) as held:
        if not held:
            return
        module, _, function = about["target"].partition(":")
        database = KbDatabase(folder / "kb.db")
        place = StorePlace(database, folder, about["dim"], about["key"])
        store: VectorStore = getattr(importlib.import_module(module), function)(place)
        key = secrets.token_bytes(32)
        listener = Listener(("127.0.0.1", 0), backlog=64, authkey=key)
        door = _Door()
        threading.Thread(target=_let_in, args=(listener, store, door), daemon=True).start()
        atomic_write(file, json.dumps({"port": listener.address[1], "key": key.hex(), "pid": os.getpid()}))
        try:
            while not door.is_quiet() and file.exists():
                time.sleep(0.2)
        finally:
            file.unlink(missing_ok=True)
            listener.close()
            store.close()
            database.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # the library's threads may linger
