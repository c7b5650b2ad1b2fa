"""A graceful end: answers in progress are finished, new requests are sent elsewhere.

On the first SIGTERM the gate closes: a new request gets a 503 with ``Retry-After``, and ``/health`` says ``draining``, so that a
load balancer turns to another server. The server stops after the last answer, or after ``drain_seconds``. A second SIGTERM, or
Ctrl-C, stops it at once.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

from zhilu.errors import UnreachableError, error_body
from zhilu.logs import get_logger
from zhilu.messages import T, pick_lang

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["DrainingServer", "Intake"]

log = get_logger(__name__)

# Looking on and taking part in shutting down stay possible.
_ALWAYS_OPEN = ("/metrics", "/state", "/steps", "/v1/unload_lora_adapter")
_RETRY_SECONDS = 5


class Intake:
    """ASGI middleware: counts the requests in progress and, once closed, lets no more in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.is_closed = False
        self.num_open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS_OPEN:
            await self.app(scope, receive, send)
        elif self.is_closed:
            await self._refuse(scope, receive, send)
        else:
            self.num_open += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.num_open -= 1

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Retry-After": str(_RETRY_SECONDS), "Connection": "close"}
        if scope["path"] == "/health":
            body: dict[str, object] = {"status": "draining"}
        else:
            problem = UnreachableError(
                T("this engine is shutting down and takes no new requests", "引擎正在关闭，不再接受新请求"),
                code="draining",
            )
            body = error_body(problem, pick_lang(Headers(scope=scope).get("accept-language")))
        await JSONResponse(body, 503, headers)(scope, receive, send)


class DrainingServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, gate: Intake, drain_seconds: float) -> None:
        super().__init__(config)
        self.gate = gate
        self.drain_seconds = drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self.gate.is_closed or not self.gate.num_open:
            super().handle_exit(sig, frame)
            return
        self.gate.is_closed = True
        log.info("engine_draining", num_open=self.gate.num_open, seconds=self.drain_seconds)
        threading.Thread(target=self._stop_when_empty, args=(sig,), name="drain", daemon=True).start()

    def _stop_when_empty(self, sig: int) -> None:
        deadline = time.monotonic() + self.drain_seconds
        while self.gate.num_open and time.monotonic() < deadline and not self.should_exit:
            time.sleep(0.02)
        super().handle_exit(sig, None)
