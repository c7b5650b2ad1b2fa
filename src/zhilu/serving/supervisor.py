"""Keeps one engine process per served model: starts it when it is asked for, restarts it when it dies, makes room for others.

Runs inside the web process's event loop; nothing here is thread-safe, except ``states`` for reading.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Literal

import httpx

from zhilu.context import Context
from zhilu.errors import BusyError, NotFoundError, UnreachableError, ZhiluError
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.backoff import Backoff
from zhilu.serving.catalog import Catalog
from zhilu.serving.engines import choose_engine, engine_registry
from zhilu.serving.facts import Engine, EngineFacts, Launch, LaunchOptions, ServedModel
from zhilu.serving.ports import reserve_port
from zhilu.serving.process import EngineProcess, log_path
from zhilu.serving.runstate import EngineRecord, ProcessId, RunState

__all__ = ["Limits", "Served", "State", "Supervisor"]

log = get_logger(__name__)
State = Literal["starting", "ready", "failed", "stopped"]


@dataclass(frozen=True)
class Limits:
    """Bounds on what waits.

    Attributes:
        in_flight: requests a model may have at the gateway at the same time, those that wait included.
        start_seconds: an engine that is not ready by then is given up; a request waits no longer than this either.
        room_seconds: how long a start waits for another model to become idle.
        retry_seconds: after a failure, the next request that comes so much later tries to start it again.
    """

    in_flight: int = 256
    start_seconds: float = 120.0
    room_seconds: float = 30.0
    retry_seconds: float = 15.0
    stop_grace_seconds: float = 5.0


@dataclass(eq=False)
class Served:
    """A model that is, was or will be served, as everyone sees it."""

    model: ServedModel
    adapter: Engine
    options: LaunchOptions
    reason: T  # why this engine
    state: State = "starting"
    note: T = field(default_factory=lambda: T("loading the model", "正在加载模型"))
    restarts: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
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
        return self.adapter.facts

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
            raise BusyError(
                T(
                    f"The queue of {self.model.name!r} is full ({limit} requests).",
                    f"模型 {self.model.name!r} 的队列已满（{limit} 个请求）。",
                ),
                retry_after=2,
            )
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_used = time.monotonic()


class Supervisor:
    """The engines of one gateway.

    Args:
        catalog: what may be served. registry: the engines there are.
    """

    def __init__(
        self,
        context: Context,
        catalog: Catalog,
        *,
        registry: Registry[Engine] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.context = context
        self.catalog = catalog
        self.registry = registry or engine_registry()
        self.limits = limits or Limits()
        self._served: dict[str, Served] = {}
        self._starting = asyncio.Lock()  # one decision about room at a time
        self._run_state = RunState(context.home)
        self._writing = asyncio.Lock()
        self._http = httpx.AsyncClient(trust_env=False)

    async def open(self) -> None:
        """End what a killed gateway left behind."""
        await asyncio.to_thread(self._run_state.clear_orphans)

    async def aclose(self) -> None:
        """Stop every engine, all at once."""
        await asyncio.gather(*(self._stop(served) for served in list(self._served.values())))
        await self._record()
        await self._http.aclose()

    def states(self) -> dict[str, Served]:
        """Every model that was started since the gateway runs, by name."""
        return dict(self._served)

    async def start(self, name: str, *, engine: str | None = None, options: LaunchOptions | None = None) -> Served:
        """Start ``name`` and return at once; ``ensure`` waits for it. Starting a running model changes nothing.

        Raises:
            NotFoundError: no such model or engine.
            MissingComponentError, InputError: the engine cannot serve it here.
            BusyError: as many models as allowed are running, and all are in use.
        """
        async with self._starting:
            served = self._served.get(name)
            if served and served.state in ("starting", "ready") and engine in (None, "auto", served.engine):
                return served
            served = await self._prepare(name, engine, options)
            await self._make_room(served)
            self._served[name] = served
            served.keeper = asyncio.create_task(self._keep(served), name=f"engine {name}")
            return served

    async def ensure(self, name: str) -> Served:
        """The model, ready; started first where needed.

        Raises:
            UnreachableError: it failed to start, or was not ready in time.
            and what ``start`` raises.
        """
        served = self._served.get(name)
        if served is None or served.state == "stopped" or self._worth_retrying(served):
            before = (served.engine, served.options) if served else (None, None)
            served = await self.start(name, engine=before[0], options=before[1])
        if served.state == "ready":
            return served
        try:
            await asyncio.wait_for(served.settled.wait(), self.limits.start_seconds)
        except asyncio.TimeoutError:
            raise UnreachableError(
                T(f"The model {name!r} is still starting.", f"模型 {name!r} 仍在启动。"), fix="zhilu engine running"
            ) from None
        if served.state != "ready":
            raise UnreachableError(
                T(
                    f"The model {name!r} is not running: {served.note.en}",
                    f"模型 {name!r} 没有运行：{served.note.zh}",
                ),
                fix=f"zhilu engine log {name}",
            )
        return served

    def _worth_retrying(self, served: Served) -> bool:
        return served.state == "failed" and time.monotonic() - served.turned > self.limits.retry_seconds

    async def stop(self, name: str) -> Served:
        """Stop a model's engine; the requests in flight get an error. Stopping twice is no error.

        Raises:
            NotFoundError: it was never started.
        """
        served = self._served.get(name)
        if served is None:
            raise NotFoundError(
                T(f"The model {name!r} is not running.", f"模型 {name!r} 没有在运行。"), fix="zhilu engine running"
            )
        await self._stop(served)
        await self._record()
        return served

    async def _prepare(self, name: str, engine: str | None, options: LaunchOptions | None) -> Served:
        settings = self.context.settings
        options = options or LaunchOptions(threads=settings.threads)
        wanted = engine or settings.engine
        if wanted in self.registry and not self.registry.get(wanted).facts.is_process:
            model = ServedModel(name)  # lives elsewhere: nothing to look up here
            options = replace(options, base_url=options.base_url or settings.base_url)
        else:
            model = await asyncio.to_thread(self.catalog.get, name)
        chosen, reason = choose_engine(wanted, model, self.registry)
        adapter = self.registry.get(chosen)
        adapter.launch(model, options, 1)  # refuses what it cannot do before anything is stopped to make room
        return Served(model=model, adapter=adapter, options=options, reason=reason)

    async def _make_room(self, newcomer: Served) -> None:
        """Stop the least recently used idle engines until one more may run."""
        old = self._served.get(newcomer.model.name)
        if old is not None:
            await self._stop(old)
        deadline = time.monotonic() + self.limits.room_seconds
        while newcomer.facts.is_process:
            live = [s for s in self._served.values() if s.facts.is_process and s.state in ("starting", "ready")]
            if len(live) < self.context.settings.max_engines:
                return
            idle = [s for s in live if s.in_flight == 0]
            if idle:
                oldest = min(idle, key=lambda s: s.last_used)
                await self._stop(oldest, T(f"made room for {newcomer.model.name}", f"为 {newcomer.model.name} 让位"))
            elif time.monotonic() > deadline:
                raise BusyError(
                    T(
                        f"{len(live)} models are running and all are in use; no room for {newcomer.model.name!r}.",
                        f"{len(live)} 个模型都在使用中，没有空位运行 {newcomer.model.name!r}。",
                    ),
                    retry_after=10,
                    fix=f"zhilu settings set max_engines {len(live) + 1}",
                )
            else:
                await asyncio.sleep(0.1)

    async def _keep(self, served: Served) -> None:
        """Run the engine, and run it again when it dies; ends when it has failed for good."""
        backoff = Backoff()
        while True:
            ready_at = await self._bring_up(served)
            if served.process is None:
                return  # reached by URL: nothing to watch, or it could not be started at all
            code = await served.process.wait()
            lived = time.monotonic() - ready_at if ready_at else 0.0
            delay = backoff.after(was_ready=ready_at is not None, ready_seconds=lived)
            if delay is None:
                served.turn("failed", served.note)
                return
            served.restarts += 1
            served.turn(
                "starting",
                T(f"ended with code {code}, restarting", f"以代码 {code} 退出，正在重启"),
            )
            await asyncio.sleep(delay)

    async def _bring_up(self, served: Served) -> float | None:
        """One start: the moment it was ready (monotonic seconds), or None with the reason in ``served.note``."""
        try:
            port = reserve_port() if served.facts.is_process else 0
            served.launch = launch = served.adapter.launch(served.model, served.options, port)
            if not served.facts.is_process:
                await self._check_remote(launch)
                served.turn("ready", T(f"at {launch.url}", f"位于 {launch.url}"))
                return None
            spawned = time.monotonic()
            path = log_path(self.context.home.logs, served.model.name)
            served.process = process = await EngineProcess.spawn(launch, path)
            await self._record()
            await process.wait_ready(self._http, self.limits.start_seconds)
        except ZhiluError as error:
            if served.process is None:
                served.turn("failed", error.message)
            else:
                served.note = error.message
                await served.process.stop(0)
            return None
        served.ready_seconds = time.monotonic() - spawned
        served.turn("ready", T(f"ready in {served.ready_seconds:.1f} s", f"{served.ready_seconds:.1f} 秒后就绪"))
        return time.monotonic()

    async def _check_remote(self, launch: Launch) -> None:
        try:
            response = await self._http.get(f"{launch.url}{launch.ready_path}", headers=dict(launch.headers))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(T(f"{launch.url}: {reason}", f"{launch.url}：{reason}")) from error
        if response.is_error:
            code = response.status_code
            raise UnreachableError(T(f"{launch.url} answered {code}", f"{launch.url} 返回 {code}"))

    async def _stop(self, served: Served, note: T | None = None) -> None:
        if served.keeper is not None:
            served.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await served.keeper
            served.keeper = None
        if served.process is not None:
            await served.process.stop(self.limits.stop_grace_seconds)
        if served.state != "stopped":
            served.turn("stopped", note or T("stopped", "已停止"))

    async def _record(self) -> None:
        """Write down which processes are ours, for whoever comes after a kill."""
        async with self._writing:
            owner: ProcessId = self._run_state.owner
            mine = [
                EngineRecord(name, s.engine, s.process.id, s.port or 0, owner)
                for name, s in self._served.items()
                if s.process is not None and s.process.alive
            ]
            await asyncio.to_thread(self._run_state.write, mine)
