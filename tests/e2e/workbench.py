"""The running product and a browser before it, for the tests that drive the workbench as a person would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

__all__ = ["Watch", "browser_at", "chromium", "run_product", "run_scripted_model", "served_by"]

# Chromium does nothing of its own accord: no updates, no sync, no QUIC, no sandbox that containers lack.
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY_S = 60


def chromium() -> str | None:
    """The path of a Chromium of this machine."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served_by(argv: list[str], url: str, env: dict[str, str], log: Path, cwd: Path | None = None) -> Iterator[str]:
    """A process that answers at ``url`` until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=env, stdout=output, stderr=output, cwd=cwd)
    try:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                if httpx.get(url, trust_env=False, timeout=5).is_success:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def run_scripted_model(
    folder: Path, pause: float = 0.02, replies: list[tuple[list[str], str]] | None = None
) -> Iterator[str]:
    """``scripted_model.py`` in a process of its own; yields the address to give as ``ZHILU_BASE_URL``."""
    port = free_port()
    script = Path(__file__).with_name("scripted_model.py")
    argv = [sys.executable, str(script), "--port", str(port), "--pause", str(pause)]
    if replies is not None:
        (folder / "replies.json").write_text(json.dumps(replies, ensure_ascii=False), encoding="utf-8")
        argv += ["--replies", str(folder / "replies.json")]
    with served_by(argv, f"http://127.0.0.1:{port}/v1/models", {**os.environ}, folder / "model.log"):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def run_product(home: Path, **settings: str) -> Iterator[str]:
    """``zhilu up`` on a free port with its data under ``home``; yields its address."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZHILU_")}
    # What arrives after the start would come from the network: a gigabyte at each start, beside what is tested.
    env |= {"ZHILU_HOME": str(home), "LANG": "en_US.UTF-8", "ZHILU_STARTER": "none", "ZHILU_TORCH": "none"}
    env |= {f"ZHILU_{name.upper()}": value for name, value in settings.items()}
    argv = [sys.executable, "-m", "zhilu", "up", "--no-open", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with served_by(argv, f"{url}/health", env, home.parent / "up.log"):
        yield url


@contextmanager
def browser_at() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield browser
        browser.close()


class Watch:
    """A browser window that remembers what must not happen: errors in the console, requests to another host."""

    def __init__(self, browser: Browser, url: str, *, lang: str = "en", width: int = 1280, height: int = 860) -> None:
        self.url = url
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.context: BrowserContext = browser.new_context(
            base_url=url, viewport={"width": width, "height": height}, locale="zh-CN" if lang == "zh" else "en-US"
        )
        self.context.set_default_timeout(20_000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        self.context.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.foreign.append(request.url)

    def close(self) -> None:
        """Raises where one of them happened."""
        self.context.close()
        assert not self.foreign, f"requests that leave the machine: {self.foreign}"
        assert not self.errors, f"errors in the console: {self.errors}"
