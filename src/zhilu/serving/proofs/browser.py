"""A page in a Chromium of this machine, driven over its own protocol: for gates that judge what a person sees.

Chromium takes commands on a pipe (``--remote-debugging-pipe``: JSON with a zero byte after each), so nothing has to be installed
and no port is opened. Protocol: https://chromedevtools.github.io/devtools-protocol/ (Browser, Page, Runtime, Input, Network).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zhilu.errors import UpstreamError
from zhilu.messages import T

__all__ = ["Page", "find_chromium", "open_page"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
_OF_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
# Nothing of its own accord: no updates, no sync, no first-run pages.
_QUIET = (
    "--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-extensions", "--remote-debugging-pipe", "--window-size=1000,800",
)  # fmt: skip
_ANSWER_S = 60.0
# Puts the pipe's ends where Chromium looks for them, and becomes Chromium. Both are moved out of the way first.
_LAUNCH = (
    "import fcntl, os, sys; ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]; "
    "[os.dup2(end, place) for end, place in zip(ends, (3, 4))]; os.execv(sys.argv[3], sys.argv[3:])"
)


def find_chromium() -> str | None:
    """The path of a Chromium, or None. It must be of this machine: none is fetched. On Windows pipes cannot be handed on so."""
    if os.name == "nt":
        return None
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or (_OF_MACOS if os.access(_OF_MACOS, os.X_OK) else None)


class Page:
    """One page. ``requests``: (address, response headers) of all that it fetched, as they came."""

    def __init__(self, to: int, of: int) -> None:
        self._to, self._of = to, of
        self._held = b""
        self._last = 0
        self._session: str | None = None
        self.requests: list[tuple[str, dict[str, str]]] = []

    def begin(self, headers: dict[str, str]) -> str:
        """Open the page; the browser's name and version. ``headers`` go with each of its requests."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.ask(f"{domain}.enable")
        if headers:
            self.ask("Network.setExtraHTTPHeaders", headers=headers)
        return str(self.ask("Browser.getVersion")["product"])

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        """A command, and what came of it.

        Raises:
            UpstreamError: the browser refused it, ended or is silent.
        """
        self._last += 1
        command = {"id": self._last, "method": method, "params": given}
        if self._session is not None:
            command["sessionId"] = self._session
        try:
            os.write(self._to, json.dumps(command).encode() + b"\0")
        except OSError as error:
            raise _lost(str(error)) from error
        deadline = time.monotonic() + _ANSWER_S
        while True:
            told = self._next(deadline)
            if told.get("id") == self._last:
                if "error" in told:
                    raise _lost(f"{method}: {told['error'].get('message')}")
                result: dict[str, Any] = told["result"]
                return result
            if told.get("method") == "Network.responseReceived":
                response = told["params"]["response"]
                self.requests.append((response["url"], {k.lower(): v for k, v in response["headers"].items()}))

    def look(self, script: str) -> Any:
        """The value of an expression on the page, as JSON can say it.

        Raises:
            UpstreamError: it throws.
        """
        came = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in came:
            raise _lost(str(came["exceptionDetails"].get("exception", {}).get("description", script))[:300])
        return came["result"].get("value")

    def wait_for(self, script: str, seconds: float) -> bool:
        """True as soon as the expression is true; False if it is not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not self.look(f"Boolean({script})"):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def go(self, address: str) -> None:
        self.ask("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete'", _ANSWER_S)

    def type(self, text: str) -> None:
        """As a keyboard does, into what has the focus; then Enter."""
        self.ask("Input.insertText", text=text)
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "nativeVirtualKeyCode": 13}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text="\r", **key)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **key)

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._of], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise _lost(f"no answer in {_ANSWER_S:g} s")
            came = os.read(self._of, 1 << 16)
            if not came:
                raise _lost("it ended")
            self._held += came
        message, _, self._held = self._held.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


@contextmanager
def open_page(program: str, headers: dict[str, str] | None = None) -> Iterator[tuple[Page, str]]:
    """A page in a new browser with nothing remembered, and the browser's version. It ends with the block.

    Raises:
        UpstreamError: it does not start here.
    """
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    # As root the browser's own sandbox refuses to start; the page is one of ours.
    rootly = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="zhilu-page-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), program, *_QUIET, *rootly,
             f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        page = Page(ours_out, ours_in)
        try:
            yield page, page.begin(headers or {})
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(ours_in)
            os.close(ours_out)


def _lost(why: str) -> UpstreamError:
    return UpstreamError(T(f"The browser does not do as it is told: {why}", f"浏览器没有照做：{why}"))
