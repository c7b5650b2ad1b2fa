"""The process that hears or speaks: ``python -m zhilu.media.worker.child TASK``. Its model is loaded once and kept.

Standard input: one JSON object a line, a request. Standard output, for each: lines ``{"said": …}`` as work goes on, then
``{"done": …}`` or ``{"error": …}``. The process ends when its parent is gone (standard input closes) or when nobody has asked
for ``IDLE_SECONDS``, so that a model does not keep memory for an evening because of one question.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any

from zhilu.errors import ZhiluError
from zhilu.messages import T

__all__ = ["main"]

IDLE_SECONDS = 900.0
_MEMORY = 8 * 2**30  # of address space: ONNX Runtime and CTranslate2 reserve far more than they use

Work = Callable[[dict[str, Any]], Iterator[dict[str, Any]]]


def main(argv: list[str]) -> int:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not mix with the answers
    _limit()
    work = _work(argv[0])
    for line in _requests():
        for said in _answered(work, json.loads(line)):
            answers.write(json.dumps(said, ensure_ascii=False) + "\n")
            answers.flush()
    return 0


def _work(task: str) -> Work:
    if task == "hear":
        from zhilu.media.hear.whisper import hear

        return hear
    from zhilu.media.speak.kokoro import speak

    return speak


def _answered(work: Work, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    try:
        done: dict[str, Any] = {}
        for said in work(asked):
            if "done" in said:
                done = said
            else:
                yield {"said": said}
        yield done
    except ZhiluError as error:
        yield {"error": {"message": error.message.data(), "code": error.code, "param": error.param, "fix": error.fix}}
    except MemoryError:
        message = T("There is not enough memory for this file.", "内存不足，无法处理这个文件。")
        yield {"error": {"message": message.data(), "code": "no_memory", "param": None, "fix": None}}


def _requests() -> Iterator[bytes]:
    """Lines of standard input, until it closes or nothing comes for long."""
    waiting = b""
    while True:
        ready, _, _ = select.select([0], [], [], IDLE_SECONDS)
        if not ready:
            return
        piece = os.read(0, 1 << 16)
        if not piece:
            return
        *lines, waiting = (waiting + piece).split(b"\n")
        yield from lines


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system
        return
    for what, value in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(what)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (limit, hard))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
