"""A served model as other modules see it, and the limits on what may wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Literal

import httpx

from zhilu.errors import BusyError
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.models.inspect import Thinking
from zhilu.serving.facts import EngineFacts, EngineKind, Launch, LaunchOptions, ServedModel
from zhilu.serving.supervise.engine_process import EngineProcess

__all__ = ["Limits", "Served", "State", "queue_full"]

log = get_logger(__name__)
State = Literal["starting", "ready", "failed", "stopped"]


@dataclass(frozen=True)
class Limits:
    """Bounds on what waits.

    Attributes:
        in_flight: requests a model may have at the gateway at the same time, those that wait included.
        start_seconds: an engine that is not ready by then is given up; a request waits no longer than this either.
        room_seconds: how long a start waits for another model to become idle.
        probe_seconds, probes: a running engine is asked so often whether it is well; one that did not answer so many
            times in a row (each within twice that time) is killed and started again.
        retry_seconds: after a failure, the next request that comes so much later tries to start it again.
    """

    in_flight: int = 256
    start_seconds: float = 120.0
    room_seconds: float = 30.0
    retry_seconds: float = 15.0
    stop_grace_seconds: float = 5.0
    probe_seconds: float = 10.0
    probes: int = 3


@dataclass(eq=False)
class Served:
    """A model that is, was or will be served, as everyone sees it."""

    model: ServedModel
    kind: EngineKind
    options: LaunchOptions
    reason: T  # why this engine
    state: State = "starting"
    note: T = field(default_factory=lambda: T("loading the model", "正在加载模型"))
    restarts: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    thinking: Thinking | None = None  # None also where nobody knows: the model lives elsewhere
    max_len: int | None = None  # tokens, as the engine says once it is ready
    adapters: dict[str, str] = field(default_factory=dict)  # those it was started with: name -> folder
    ready_seconds: float | None = None  # from spawn to ready, of the last start
    launch: Launch | None = None
    process: EngineProcess | None = None
    in_flight: int = 0
    last_used: float = field(default_factory=time.monotonic)
    turned: float = field(default_factory=time.monotonic)  # when the state last changed
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # set while ready, failed or stopped
    keeper: asyncio.Task[None] | None = None

    @property
    def facts(self) -> EngineFacts:
        return self.kind.facts

    @property
    def engine(self) -> str:
        return self.facts.name

    @property
    def detail(self) -> str:
        return self.note.say()

    @property
    def pid(self) -> int | None:
        return self.process.id.pid if self.process and self.process.alive else None

    @property
    def port(self) -> int | None:
        return httpx.URL(self.launch.url).port if self.launch and self.pid else None

    def turn(self, state: State, note: T) -> None:
        """Change state and wake those who wait for it."""
        self.state, self.note, self.turned = state, note, time.monotonic()
        if state == "starting":
            self.settled.clear()
        else:
            self.settled.set()
        log.info("engine_state", model=self.model.name, engine=self.engine, state=state, detail=note.en, pid=self.pid)

    @contextmanager
    def using(self, limit: int) -> Iterator[None]:
        """Count a request while it lasts, so that the model is not stopped under it.

        Raises:
            BusyError: ``limit`` requests are in flight.
        """
        if self.in_flight >= limit:
            raise queue_full(self.model.name, limit)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_used = time.monotonic()


def queue_full(name: str, limit: int) -> BusyError:
    return BusyError(
        T(f"The queue of {name!r} is full ({limit} requests).", f"模型 {name!r} 的队列已满（{limit} 个请求）。"),
        retry_after=2,
    )
