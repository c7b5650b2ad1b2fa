"""Reads one file under limits, in the process it is called in: a child of ``server``, or a process of its own
(``python -m zhilu.rag.load.worker PATH NAME LIMITS``, where processes cannot be forked).

The answer is two lines of JSON: what the parent should know of the loader, and the document or the refusal.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.rag.load import LOADERS
from zhilu.rag.load.base import Limits, Loaded
from zhilu.rag.load.sniff import sniff

__all__ = ["main", "read_file"]


def main(argv: list[str]) -> int:
    result = os.dup(1)
    os.dup2(2, 1)  # what a parser prints must not mix with the result
    return read_file(Path(argv[0]), argv[1], Limits(**json.loads(argv[2])), result)


def read_file(path: Path, name: str, limits: Limits, result: int) -> int:
    """Read the file at ``path`` and write the answer to the file descriptor ``result``; the exit status."""
    _limit_this_process(limits)
    head: dict[str, Any] = {}
    try:
        loader = LOADERS.get(sniff(path, name, limits))
        head = {"modules": list(loader.facts.modules)}
        answer = _checked(loader.load(path, limits), limits).data()
    except InputError as error:
        answer = {
            "error": {
                "message": error.message.data(),
                "code": error.code,
                "too_large": isinstance(error, TooLargeError),
            }
        }
    except MemoryError:
        print("MemoryError: it needs more memory than a document may take", file=sys.stderr, flush=True)
        return 1
    with os.fdopen(result, "w", encoding="utf-8") as out:
        out.write(json.dumps(head) + "\n")
        json.dump(answer, out, ensure_ascii=False)
    return 0


def _limit_this_process(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the parent's clock is the limit
        return
    signal.alarm(limits.seconds + 2)  # if the parent is gone, nobody else would end a sleeping parser
    used = int(time.process_time())  # of a process of its own: what importing took
    for what, value in (
        (resource.RLIMIT_CPU, used + limits.seconds),
        (resource.RLIMIT_AS, limits.memory_mb * 1024 * 1024),
        (resource.RLIMIT_FSIZE, 16 * 1024 * 1024),  # a parser writes nothing; Python may cache a module
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (limit, hard))


def _checked(loaded: Loaded, limits: Limits) -> Loaded:
    if len(loaded.text) > limits.max_chars:
        raise TooLargeError(
            T(
                en=f"This file holds {len(loaded.text):,} characters; at most {limits.max_chars:,} are taken in one "
                "document. Split it into several files.",
                zh=f"这个文件有 {len(loaded.text):,} 个字符；一个文档最多 {limits.max_chars:,} 个。请拆成几个文件。",
            ),
            code="text_too_long",
        )
    return loaded


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
