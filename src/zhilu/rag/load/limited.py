"""Runs a parser in a process of its own: a hanging or exploding parser kills only itself.

The child gets CPU-time, address-space and file-size limits from the kernel (``resource``; on systems without it only
the wall clock holds), no standard input, and hands its result back as JSON on its standard output.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from zhilu.errors import InputError, TooLargeError
from zhilu.messages import T
from zhilu.rag.load.base import Limits, Loaded

__all__ = ["load_limited"]

_GRACE_SECONDS = 5.0  # beyond the CPU limit, for starting Python and for parsers that sleep


def load_limited(path: Path, name: str, limits: Limits | None = None) -> Loaded:
    """Tell the format of the file at ``path`` (named ``name`` by its owner) and read it.

    Raises:
        InputError: the file cannot be used; one message says why. ``TooLargeError`` where size is the reason.
    """
    limits = limits or Limits()
    command = [sys.executable, "-m", "zhilu.rag.load.worker", str(path), name, json.dumps(asdict(limits))]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limits.seconds + _GRACE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _took_too_long(limits) from error
    if done.returncode == 0:
        answer = json.loads(done.stdout)
        if "error" not in answer:
            return Loaded.of(answer)
        kind = TooLargeError if answer["error"]["too_large"] else InputError
        raise kind(T.of(answer["error"]["message"]), code=answer["error"]["code"])
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM):
        raise _took_too_long(limits)
    raise _crashed(done.returncode, done.stderr.decode("utf-8", "replace"))


def _took_too_long(limits: Limits) -> InputError:
    return InputError(
        T(
            en=f"Reading this file took more than {limits.seconds} s of processor time and was stopped; it is probably "
            "damaged or made to do that.",
            zh=f"读取这个文件用了超过 {limits.seconds} 秒处理器时间，已停止；文件可能已损坏或是恶意构造的。",
        ),
        code="parse_timeout",
    )


def _crashed(returncode: int, stderr: str) -> InputError:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    reason = lines[-1][:160] if lines else f"exit {returncode}"
    return InputError(
        T(
            en=f"The parser failed on this file ({reason}); it is probably damaged.",
            zh=f"解析器无法读取这个文件（{reason}），文件可能已损坏。",
        ),
        code="parse_failed",
    )
