"""What a chat page shows while a model writes: read from the page in a browser, or through its built stream module in Node.js.

A reader yields what was ``Seen`` and leaves the judgement to the gate. The page is watched by an observer that runs in it, so that
no look comes too late: it notes how long the answer is at each change, and presses "stop" itself where that is to be tried.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from zhilu.errors import UpstreamError
from zhilu.messages import T
from zhilu.serving.proofs.browser import Page

__all__ = ["InBrowser", "InNode", "Reader", "Seen", "Selectors"]

_ANSWER_S = 300.0
_BEGIN_S = 20.0  # from Enter until the page is busy
_STOP_AFTER = 2  # changes of the answer before the stop is pressed


@dataclass
class Seen:
    """Of one question: ``moments`` (seconds, characters of the answer so far) at each change, whether the page then rests, the
    error that it shows, the ids of its requests at the gateway, and the second at which "stop" was pressed."""

    moments: list[tuple[float, int]] = field(default_factory=list)
    is_ended: bool = False
    error: str = ""
    requests: list[str] = field(default_factory=list)
    stopped_at: float | None = None

    @property
    def spread(self) -> float:
        """Seconds between the first piece and the last."""
        return self.moments[-1][0] - self.moments[0][0] if self.moments else 0.0


class Reader(Protocol):
    """Asks once, with the model that the page has chosen or the one named; ``stops``: in the middle of the answer."""

    def ask(self, question: str, *, model: str, stops: bool = False) -> Seen: ...


@dataclass(frozen=True)
class Selectors:
    """Where a page shows what (CSS). ``resting`` is there when no answer comes; ``field`` can be typed into."""

    field: str
    answer: str
    stop: str
    resting: str
    error: str = '[role="alert"]'
    waiting: str = ".waiting"


_WATCH = """(() => {
  const at = %s, seen = [];
  const answer = () => {
    const last = [...document.querySelectorAll(at.answer)].at(-1);
    return !last || last.querySelector(at.waiting) ? "" : last.innerText;
  };
  let before = answer().length, left = %d;
  window.zhilu = { seen, stopped: null, begun: false };
  new MutationObserver(() => {
    window.zhilu.begun ||= !document.querySelector(at.resting);
    const length = answer().length;
    if (length === before) return;
    before = length;
    if (!length) return;
    seen.push([performance.now() / 1000, length]);
    const button = --left === 0 && document.querySelector(at.stop);
    if (button) { window.zhilu.stopped = performance.now() / 1000; button.click(); }
  }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  document.querySelector(at.field).focus();
})()"""


@dataclass
class InBrowser:
    """``address`` of the page; ``names_model``: it takes ``?model=``."""

    page: Page
    address: str
    at: Selectors
    names_model: bool = True

    def ask(self, question: str, *, model: str, stops: bool = False) -> Seen:
        """
        Raises:
            UpstreamError: the page shows no field to type into.
        """
        page, at = self.page, self.at
        page.go(f"{self.address}?model={model}" if self.names_model else self.address)
        if not page.wait_for(f"document.querySelector({json.dumps(at.field)})", 20):
            raise UpstreamError(T(f"{self.address} shows no field to ask in.", f"{self.address} 没有显示输入框。"))
        page.look(_WATCH % (json.dumps(vars(at)), _STOP_AFTER if stops else -1))
        page.requests.clear()
        page.type(question)
        resting, error = (f"document.querySelector({json.dumps(css)})" for css in (at.resting, at.error))
        # A page rests before it begins, too.
        is_begun = page.wait_for(f"window.zhilu.begun || {error}", _BEGIN_S)
        is_ended = is_begun and page.wait_for(f"(window.zhilu.begun && {resting}) || {error}", _ANSWER_S)
        page.wait_for("false", 0.3)  # what still comes after a stop must be seen
        told: dict[str, Any] = page.look("window.zhilu")
        said = page.look(f"{error}?.innerText ?? ''")
        ids = [headers.get("x-request-id", "") for url, headers in page.requests if "/chat/completions" in url]
        return Seen([(at, n) for at, n in told["seen"]], is_ended, said, ids, told["stopped"])


@dataclass
class InNode:
    """``module``: the built stream module; ``origin``: the page's server."""

    node: str
    module: Path
    origin: str
    env: dict[str, str]

    def ask(self, question: str, *, model: str, stops: bool = False) -> Seen:
        script = Path(__file__).with_name("read_stream.mjs")
        given: Sequence[str] = [str(_STOP_AFTER)] if stops else []
        command = [self.node, str(script), str(self.module), self.origin, model, question, *given]
        try:
            done = subprocess.run(
                command, env=self.env, capture_output=True, text=True, encoding="utf-8", timeout=_ANSWER_S, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
            *pieces, last = [json.loads(line) for line in done.stdout.splitlines()]
        except (subprocess.TimeoutExpired, ValueError) as error:
            raise UpstreamError(
                T(f"The page's module cannot be run: {error}", f"无法运行页面的模块：{error}")
            ) from error
        moments = [(float(piece["at"]), int(piece["length"])) for piece in pieces]
        stopped = moments[-1][0] if last["stopped"] else None
        ids = [identity for identity in last["requests"] if identity]
        return Seen(moments, True, last["error"] or "", ids, stopped)
