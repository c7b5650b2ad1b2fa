"""The only way from a probe to the machine.

A probe never touches the machine itself: it asks a ``Machine``. A broken machine can therefore be written down as data
(``doctor/testing.py``), and a diagnosis can be tested without breaking anything.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = ["ABSENT", "TIMED_OUT", "Completed", "Machine", "Remembering", "Reply", "SystemRunner"]

ABSENT = 127  # the shell's exit status for a command that does not exist
TIMED_OUT = 124  # timeout(1)'s


@dataclass(frozen=True)
class Completed:
    """What a command left: exit status (ABSENT, TIMED_OUT or its own), stdout, stderr."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclass(frozen=True)
class Reply:
    """What a URL answered. ``status`` is None when nothing came back, and then ``error`` says why.

    ``kind`` of error: ``dns``, ``refused``, ``timeout``, ``tls``, ``proxy`` or ``other``.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    kind: str = ""
    error: str = ""


class Machine(Protocol):
    """What a probe may ask of the machine. No method raises; every method returns within its timeout (seconds)."""

    @property
    def env(self) -> Mapping[str, str]:
        """The environment variables."""

    def run(self, argv: Sequence[str], *, timeout: float = 3.0) -> Completed:
        """Run a command that only looks."""

    def read(self, path: str) -> str | None:
        """A text file's content, or None where it cannot be read."""

    def which(self, name: str) -> str | None:
        """Where a command is on PATH."""

    def connect(self, host: str, port: int, *, timeout: float = 1.0) -> str | None:
        """Open and close a TCP connection; None when it opened, else the error."""

    def fetch(self, url: str, *, timeout: float = 3.0) -> Reply:
        """HTTP HEAD, through the proxies of the environment, TLS verified."""


class SystemRunner:
    """The real machine."""

    @property
    def env(self) -> Mapping[str, str]:
        return os.environ

    def run(self, argv: Sequence[str], *, timeout: float = 3.0) -> Completed:
        try:
            # LC_ALL stays as it is: the locale is itself under examination, and we parse no translated text.
            done = subprocess.run(
                list(argv),
                capture_output=True,
                timeout=timeout,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                check=False,
            )
        except FileNotFoundError:
            return Completed(ABSENT, err=f"{argv[0]}: not found")
        except subprocess.TimeoutExpired:
            return Completed(TIMED_OUT, err=f"no answer within {timeout:g} s")
        except OSError as error:
            return Completed(126, err=str(error))
        return Completed(done.returncode, _text(done.stdout), _text(done.stderr))

    def read(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def which(self, name: str) -> str | None:
        return shutil.which(name)

    def connect(self, host: str, port: int, *, timeout: float = 1.0) -> str | None:
        try:
            socket.create_connection((host, port), timeout=timeout).close()
        except OSError as error:
            return str(error) or type(error).__name__
        return None

    def fetch(self, url: str, *, timeout: float = 3.0) -> Reply:
        import httpx

        try:
            reply = httpx.head(url, timeout=timeout, follow_redirects=True)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:
            # ValueError and ImportError: a proxy variable that httpx cannot use (no scheme; socks without socksio)
            return Reply(kind=_kind_of(error), error=str(error) or type(error).__name__)
        return Reply(reply.status_code, {name.lower(): value for name, value in reply.headers.items()})


def _text(raw: bytes) -> str:
    # wsl.exe and other Windows programs called from WSL answer in UTF-16
    return raw.decode("utf-16-le" if b"\x00" in raw[:64] else "utf-8", errors="replace")


def _kind_of(error: Exception) -> str:
    import httpx

    words = str(error).lower()
    if isinstance(error, (httpx.ProxyError, ValueError, ImportError)) or "proxy" in words:
        return "proxy"
    if isinstance(error, httpx.TimeoutException):
        return "timeout"
    for kind, signs in (
        ("tls", ("certificate", "ssl", "tls")),
        ("dns", ("name or service", "name resolution", "nodename", "getaddrinfo", "no address associated")),
        ("refused", ("refused", "unreachable", "no route")),
    ):
        if any(sign in words for sign in signs):
            return kind
    return "other"


class Remembering:
    """A runner that asks the machine each question once, however many probes ask it, also at the same time."""

    def __init__(self, inner: Machine) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._answers: dict[tuple[Any, ...], _Answer] = {}

    @property
    def env(self) -> Mapping[str, str]:
        return self._inner.env

    def run(self, argv: Sequence[str], *, timeout: float = 3.0) -> Completed:
        return self._once(("run", *argv), lambda: self._inner.run(argv, timeout=timeout))

    def read(self, path: str) -> str | None:
        return self._once(("read", path), lambda: self._inner.read(path))

    def which(self, name: str) -> str | None:
        return self._once(("which", name), lambda: self._inner.which(name))

    def connect(self, host: str, port: int, *, timeout: float = 1.0) -> str | None:
        return self._once(("connect", host, port), lambda: self._inner.connect(host, port, timeout=timeout))

    def fetch(self, url: str, *, timeout: float = 3.0) -> Reply:
        return self._once(("fetch", url), lambda: self._inner.fetch(url, timeout=timeout))

    def _once(self, key: tuple[Any, ...], ask: Callable[[], Any]) -> Any:
        with self._lock:
            answer = self._answers.setdefault(key, _Answer())
        with answer.lock:
            if not answer.known:
                answer.value, answer.known = ask(), True
        return answer.value


@dataclass
class _Answer:
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: Any = None
    known: bool = False
