"""What the relay and the adapters ask of the gateway: the engine behind a name, and its answer to a request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from zhilu.context import Context
from zhilu.serving.gateway.ledger import Ledger
from zhilu.serving.served import Served
from zhilu.serving.supervise.supervisor import Supervisor

__all__ = ["Route", "Upstream"]


@dataclass(frozen=True)
class Route:
    """Where a request goes: the engine, and the name that it knows the model, or the adapter, by."""

    served: Served
    model: str


class Upstream(Protocol):
    """The engines as a request meets them. ``Gateway`` is one."""

    context: Context
    supervisor: Supervisor
    ledger: Ledger

    def route(self, name: str) -> AbstractAsyncContextManager[Route]:
        """The running engine of a model or an adapter, started first where it must be; raises what ``lease`` raises."""

    def lease(self, name: str) -> AbstractAsyncContextManager[Served]:
        """The running engine of a model, kept running while it is held; NotFoundError, BusyError or why it cannot start."""

    async def plan(self, name: str) -> Served:
        """What ``lease`` would give, without starting anything."""

    async def models(self) -> list[dict[str, Any]]:
        """Every name that a request may give."""

    async def post(
        self, served: Served, endpoint: str, raw: bytes, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send to an engine, and return when the headers of its answer have come; httpx's errors."""
