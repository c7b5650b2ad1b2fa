"""Symbols are found in a process of its own: a parser that a stranger's file holds up, or breaks, takes only itself along.

Parsers have inputs on which their time grows with the square of the length (tree-sitter: a run of ``a=>``), and some are in C.
The child is started once for a run of many files and started anew after one that it did not survive.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO

from zhilu.apps.coder.index.python import outline_python
from zhilu.apps.coder.index.symbols import Call, Outline, Symbol
from zhilu.apps.coder.index.trees import GRAMMARS, outline_tree

__all__ = ["Outliner", "outline_here"]

SECONDS = 10.0  # for one file
_MEMORY = 2 << 30


def outline_here(language: str, text: str) -> Outline:
    """The outline, in this process: for text that is trusted, and for the child."""
    if language == "python":
        return outline_python(text)
    return outline_tree(language, text) if language in GRAMMARS else Outline()


class Outliner:
    """Outlines files one after the other in a child. Not for several threads at once."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Outliner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def outline(self, language: str, text: str) -> Outline:
        """An outline without symbols where the child took too long or broke; its ``problem`` says which."""
        if language != "python" and language not in GRAMMARS:
            return Outline()
        asked = json.dumps([language, text]).encode()
        if self._child is None:
            command = [sys.executable, "-m", "zhilu.apps.coder.index.apart"]
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        stdin, stdout = self._child.stdin, self._child.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(asked + b"\n")
            stdin.flush()
            line = _line(stdout, time.monotonic() + self._seconds)
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            is_alive = self._child.poll() is None
            self.close()
            return Outline(problem=f"more than {self._seconds:g} s" if is_alive else "the parser broke")
        symbols, calls, problem = json.loads(line)
        return Outline([Symbol(*s) for s in symbols], [Call(*c) for c in calls], problem)

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # what it was not told any more
                        stream.close()
            child.wait()


def _line(stream: IO[bytes], deadline: float) -> bytes:
    """What comes until the end of a line; less where the child ends or time is over."""
    got = bytearray()
    while (left := deadline - time.monotonic()) > 0 and select.select([stream], [], [], left)[0]:
        block = os.read(stream.fileno(), 1 << 16)
        got += block
        if not block or block.endswith(b"\n"):
            break
    return bytes(got)


def main() -> None:
    """The child: a line with language and text in, a line with the outline out, until nobody asks any more."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin.buffer:
        language, text = json.loads(line)
        found = outline_here(language, text)
        symbols = [[s.name, s.qualname, s.kind, s.start, s.end, s.signature, s.doc] for s in found.symbols]
        print(json.dumps([symbols, [[c.name, c.line] for c in found.calls], found.problem]), flush=True)


if __name__ == "__main__":
    main()
