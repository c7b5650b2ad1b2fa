"""The outcome of every request: figures for ``/metrics`` and a line in the usage log. Never a word of its content."""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from starlette.requests import Request

from zhilu.logs import get_logger
from zhilu.serving.gateway.metrics import Counter, Gauge, LabelledHistogram
from zhilu.serving.served import Served
from zhilu.serving.supervise.engine_process import rotate

__all__ = ["CLIENT_LEFT", "Exchange", "Ledger", "exchange_of"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
log = get_logger(__name__)
CLIENT_LEFT = 499  # nginx's number for "the client closed the connection"; nobody receives it


@dataclass
class Exchange:
    """One request from its arrival to its last byte. ``model`` is empty until it is known to exist."""

    id: str
    endpoint: str
    model: str = ""
    stream: bool = False
    arrived: float = field(default_factory=time.monotonic)
    first_byte: float | None = None
    status: int = 200
    code: str | None = None  # of the error, if there was one
    usage: Mapping[str, Any] | None = None


def exchange_of(request: Request, endpoint: str) -> Exchange:
    """A request that has just come, under the client's ``x-request-id`` if it can be one, else a new one."""
    theirs = request.headers.get("x-request-id", "")
    return Exchange(theirs if _REQUEST_ID.fullmatch(theirs) else f"req-{uuid.uuid4().hex}", endpoint)


class Ledger:
    """Keeps the figures, and appends one JSON line a request to ``logs/usage.jsonl`` (rotated at 10 MB)."""

    def __init__(self, logs: Path) -> None:
        self.path = logs / "usage.jsonl"
        self._file = self.path.open("ab", buffering=0)
        by = ("model", "endpoint")
        self._requests = Counter("zhilu_gateway_requests_total", "Requests answered.", (*by, "status"))
        self._broken = Counter("zhilu_gateway_broken_streams_total", "Streams that ended with an error.", by)
        self._tokens = Counter("zhilu_gateway_tokens_total", "Tokens of answered requests.", ("model", "kind"))
        self._first = LabelledHistogram("zhilu_gateway_first_byte_seconds", "From arrival to the first byte sent.", by)
        self._whole = LabelledHistogram("zhilu_gateway_request_seconds", "From arrival to the last byte sent.", by)
        self._in_flight = Gauge("zhilu_gateway_in_flight", "Requests being answered.", ("model",))
        self._up = Gauge("zhilu_engine_up", "1 while the engine is ready.", ("model", "engine"))
        self._restarts = Gauge("zhilu_engine_restarts", "Restarts since it was started.", ("model", "engine"))
        self._num_lines = 0
        self._is_full = False

    def book(self, exchange: Exchange) -> None:
        """Count a finished exchange."""
        now = time.monotonic()
        by = (exchange.model, exchange.endpoint)
        self._requests.add(*by, str(exchange.status))
        self._whole.add(*by, value=now - exchange.arrived)
        if exchange.first_byte is not None:
            self._first.add(*by, value=exchange.first_byte - exchange.arrived)
        if exchange.stream and exchange.status == 200 and exchange.code:
            self._broken.add(*by)
        for kind in ("prompt", "completion"):
            count = (exchange.usage or {}).get(f"{kind}_tokens")
            if isinstance(count, int):
                self._tokens.add(exchange.model, kind, value=count)
        self._write(exchange, now)

    def close(self) -> None:
        self._file.close()

    def _write(self, exchange: Exchange, now: float) -> None:
        first = None if exchange.first_byte is None else round(exchange.first_byte - exchange.arrived, 4)
        usage = exchange.usage or {}
        line = {
            "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            "id": exchange.id,
            "model": exchange.model,
            "endpoint": exchange.endpoint,
            "stream": exchange.stream,
            "status": exchange.status,
            "code": exchange.code,
            "prompt_tokens": usage.get("prompt_tokens"),
            "completion_tokens": usage.get("completion_tokens"),
            "first_byte_s": first,
            "seconds": round(now - exchange.arrived, 4),
        }
        # One write of one line to a file opened for appending: whole or not at all, whoever else writes or is killed.
        try:
            os.write(self._file.fileno(), json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:  # a full disk: who asked gets the answer all the same
            if not self._is_full:
                log.warning("usage_not_logged", path=str(self.path), error=str(error))
            self._is_full = True
            return
        self._is_full = False
        self._num_lines += 1
        if self._num_lines % 1000 == 0:
            rotate(self.path, max_bytes=10_000_000)

    def lines(self, served: Iterable[Served]) -> Iterator[str]:
        """The gateway's own exposition."""
        for gauge in (self._in_flight, self._up, self._restarts):
            gauge.clear()
        for item in served:
            name, engine = item.model.name, item.engine
            self._in_flight.set(name, value=item.in_flight)
            self._up.set(name, engine, value=item.state == "ready")
            self._restarts.set(name, engine, value=item.restarts)
        for metric in (
            self._requests, self._broken, self._tokens, self._first, self._whole,
            self._in_flight, self._up, self._restarts,
        ):  # fmt: skip
            yield from metric.lines()
