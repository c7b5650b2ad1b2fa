"""Keeps one engine process per served model: starts it when it is needed, restarts it when it dies, makes room for others.

Runs inside the web process's event loop. Nothing here is thread-safe, except reading ``states``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import httpx

from zhilu.context import Context
from zhilu.errors import BusyError, NotFoundError, StorageError, UnreachableError, ZhiluError
from zhilu.home import storage_error
from zhilu.logs import get_logger
from zhilu.messages import T
from zhilu.models.inspect import thinking_of
from zhilu.process import Birth
from zhilu.registry import Registry
from zhilu.serving.catalog import Catalog
from zhilu.serving.engines import choose_engine, engine_registry
from zhilu.serving.engines.handover import HANDED, hand_over, release, sweep
from zhilu.serving.facts import EngineKind, Launch, LaunchOptions, ServedModel
from zhilu.serving.proofs.handover_proof import HANDOVER_DIFFERS, prove
from zhilu.serving.served import Limits, Served, queue_full
from zhilu.serving.supervise.backoff import Backoff
from zhilu.serving.supervise.engine_process import EngineProcess, log_path
from zhilu.serving.supervise.ports import reserve_port
from zhilu.serving.supervise.preflight import preflight
from zhilu.serving.supervise.runstate import EngineRecord, RunState

__all__ = ["Supervisor"]

log = get_logger(__name__)


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
        registry: Registry[EngineKind] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.context = context
        self.catalog = catalog
        self.registry = registry or engine_registry()
        self.limits = limits or Limits()
        self._served: dict[str, Served] = {}
        self._num_asking = 0  # requests that wait for a start to be decided
        self._starting = asyncio.Lock()  # one decision about room at a time
        self._run_state = RunState(context.home)
        self._writing = asyncio.Lock()
        self._http = httpx.AsyncClient(trust_env=False)

    async def open(self) -> None:
        """End what a killed gateway left behind."""
        await asyncio.to_thread(self._run_state.clear_orphans)
        await asyncio.to_thread(sweep, self.context.home.cache / HANDED)

    async def aclose(self) -> None:
        """Stop every engine, all at once."""
        await asyncio.gather(*(self._stop(served) for served in list(self._served.values())))
        await self._record()
        await self._http.aclose()

    def states(self) -> dict[str, Served]:
        """Every model that was started since the gateway runs, by name."""
        return dict(self._served)

    async def start(
        self, name: str, *, engine: str | None = None, options: LaunchOptions | None = None, restart: bool = False
    ) -> Served:
        """Start ``name`` and return at once; ``ensure`` waits for it.

        Starting a running model changes nothing, unless ``restart``: then it is ended first, once nothing speaks
        against the new start.

        Raises:
            NotFoundError: no such model or engine.
            MissingComponentError, InputError: the engine cannot serve it here. What runs goes on.
            BusyError: as many models as allowed are running, and all are in use.
        """
        async with self._starting:
            served = self._served.get(name)
            is_up = served is not None and served.state in ("starting", "ready")
            if served and is_up and not restart and engine in (None, "auto", served.engine):
                return served
            served = await self._prepare(name, engine, options)
            await self._make_room(served)
            self._served[name] = served
            served.keeper = asyncio.create_task(self._keep(served), name=f"engine {name}")
            return served

    @asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Served]:
        """The model, ready, and kept running for the duration; started first where needed.

        Raises:
            UnreachableError: it failed to start, or was not ready in time.
            BusyError: too many requests are in flight or waiting for it to start.
            and what ``start`` raises.
        """
        if self._num_asking >= self.limits.in_flight:
            raise queue_full(name, self.limits.in_flight)
        self._num_asking += 1
        try:
            served = await self._running(name)
        finally:
            self._num_asking -= 1
        with served.using(self.limits.in_flight):
            await self.until_ready(served)
            yield served

    async def ensure(self, name: str) -> Served:
        """Start the model where needed, and return once it is ready; raises what ``lease`` raises."""
        async with self.lease(name) as served:
            return served

    async def _running(self, name: str) -> Served:
        served = self._served.get(name)
        if served is not None and served.model.remote is not None:
            # Another process may have given the API another key, or taken it away.
            try:
                current = await asyncio.to_thread(self.catalog.get, name)
            except NotFoundError:
                await self.stop(name)
                raise
            if current.remote != served.model.remote:
                return await self.start(name, restart=True)
        if served is None or served.state == "stopped" or self._worth_retrying(served):
            before = (served.engine, served.options) if served else (None, None)
            return await self.start(name, engine=before[0], options=before[1])
        return served

    async def until_ready(self, served: Served) -> None:
        """Wait while it starts; UnreachableError if that fails or takes too long."""
        name = served.model.name
        try:
            if not served.settled.is_set():  # nearly every request finds it ready, and a timer costs more than a look
                await asyncio.wait_for(served.settled.wait(), self._start_seconds(served))
        except asyncio.TimeoutError:
            raise UnreachableError(
                T(f"The model {name!r} is still starting.", f"模型 {name!r} 仍在启动。"), fix="zhilu engine running"
            ) from None
        if served.state != "ready":
            raise UnreachableError(
                T(f"The model {name!r} is not running: {served.note.en}", f"模型 {name!r} 没有运行：{served.note.zh}"),
                fix=f"zhilu engine log {name}",
            )

    async def until_replaced(self, served: Served, process: EngineProcess) -> None:
        """Wait until it is known here that ``process``, which nobody can connect to any more, has ended; on a busy machine
        the exit of a killed engine is heard of late. At most as long as an engine may be silent before it is killed."""
        deadline = time.monotonic() + self.limits.probe_seconds * 2
        while served.process is process and served.state == "ready" and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def _start_seconds(self, served: Served) -> float:
        """An engine that is known to start slowly is given its time."""
        return max(self.limits.start_seconds, served.facts.start_seconds)

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

    async def plan(self, name: str) -> Served:
        """What serves ``name``, or would once it is asked for; starts and stops nothing. Raises what ``start`` raises."""
        served = self._served.get(name)
        if served is not None and served.state in ("starting", "ready"):
            return served
        before = (served.engine, served.options) if served else (None, None)
        return await self._prepare(name, *before)

    async def _prepare(self, name: str, engine: str | None, options: LaunchOptions | None) -> Served:
        settings = self.context.settings
        options = options or LaunchOptions(threads=settings.threads)
        wanted = engine or settings.engine
        elsewhere = wanted in self.registry and not self.registry.get(wanted).facts.is_process
        model = await asyncio.to_thread(self._find, name, elsewhere and options.base_url is not None, elsewhere)
        if model.remote is not None:
            wanted = engine or "auto"
        elif elsewhere:
            options = replace(options, base_url=options.base_url or settings.base_url)
        options = replace(options, home=self.context.home.path)
        old = self._served.get(name)
        freed = await asyncio.to_thread(old.process.memory) if old and old.process else 0
        chosen, reason = await asyncio.to_thread(choose_engine, wanted, model, self.registry, options, freed)
        adapter = self.registry.get(chosen)
        # Refuses what it cannot do before anything is stopped to make room.
        await asyncio.to_thread(preflight, adapter, model, options, freed)
        thinking = await asyncio.to_thread(thinking_of, model.path)
        return Served(model=model, kind=adapter, options=options, reason=reason, thinking=thinking)

    def _find(self, name: str, is_given: bool, elsewhere: bool) -> ServedModel:
        """The model of that name; one that lives elsewhere need not be known here, unless it is one of an API's."""
        if is_given:
            return ServedModel(name)
        try:
            found = self.catalog.get(name)
        except ZhiluError:
            if not elsewhere:
                raise
            return ServedModel(name)
        return found if found.remote is not None or not elsewhere else ServedModel(name)

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
            await self._record()
            if served.process is None:
                return  # reached by URL: nothing to watch, or it could not be started at all
            code = await self._watch(served.process, ready_at is not None)
            lived = time.monotonic() - ready_at if ready_at else 0.0
            delay = backoff.after(was_ready=ready_at is not None, ready_seconds=lived)
            if delay is None:
                served.turn("failed", served.note)
            else:
                served.restarts += 1
                served.turn("starting", T(f"ended with code {code}, restarting", f"以代码 {code} 退出，正在重启"))
            await self._record()
            if delay is None:
                return
            await asyncio.sleep(delay)

    async def _bring_up(self, served: Served) -> float | None:
        """One start: the moment it was ready (monotonic seconds), or None with the reason in ``served.note``."""
        try:
            port = reserve_port() if served.facts.is_process else 0
            model = await asyncio.to_thread(self._handed, served) if port else served.model
            served.launch = launch = served.kind.launch(model, served.options, port)
            if not served.facts.is_process:
                if (
                    served.model.remote is None
                ):  # an API was tested when it was added, and says for itself what is wrong
                    await self._check_remote(launch)
                served.turn("ready", T(f"at {launch.url}", f"位于 {launch.url}"))
                return None
            spawned = time.monotonic()
            path = log_path(self.context.home.logs, served.model.name)
            served.process = process = await EngineProcess.spawn(launch, path)
            await self._record()
            await process.wait_ready(self._http, self._start_seconds(served))
            proven = await self._prove(served, process)
        except ZhiluError as error:
            if served.process is None:
                served.turn("failed", error.message)
            else:
                served.note = error.message
                await served.process.stop(0)
            if error.code == HANDOVER_DIFFERS:  # another start would read it no better
                served.process = None
                served.turn("failed", error.message)
            return None
        if served.facts.handed == "imported" and model.path != served.model.path:
            await asyncio.to_thread(release, model.path)  # it has a copy of its own by now
        entries = await process.models(self._http)
        lengths = (_at(entry, served.facts.max_len_at) for entry in entries)
        served.max_len = next((length for length in lengths if isinstance(length, int)), None)
        served.adapters = {str(e["id"]): str(e.get("root") or "") for e in entries if e.get("parent") and "id" in e}
        served.ready_seconds = time.monotonic() - spawned
        note = T(f"ready in {served.ready_seconds:.1f} s", f"{served.ready_seconds:.1f} 秒后就绪")
        served.turn("ready", T(f"{note.en}; {proven.en}", f"{note.zh}；{proven.zh}") if proven else note)
        return time.monotonic()

    def _handed(self, served: Served) -> ServedModel:
        """The model as the engine gets it: a folder of links with both spellings, where it asks for one."""
        model, links = served.model, served.facts.handed
        if links is None or model.path is None or model.format != "safetensors":
            return model
        try:
            return replace(model, path=hand_over(model.path, self.context.home.cache / HANDED, links))
        except OSError as error:
            said = T(
                f"{str(model.path)!r} cannot be linked for the engine {served.engine!r}: {error}.",
                f"无法为引擎 {served.engine!r} 链接 {str(model.path)!r}：{error}。",
            )
            raise storage_error(error, self.context.home.cache / HANDED) or StorageError(said) from error

    async def _prove(self, served: Served, process: EngineProcess) -> T | None:
        """Hold a foreign engine to our own reading; raises UnsupportedError where it differs."""
        facts, path = served.facts.proof, served.model.path
        if facts is None or path is None or served.model.format not in facts.formats:
            return None
        name, cache = served.model.name, self.context.home.cache / "proofs"
        version = await asyncio.to_thread(served.kind.installed, self.context.home.path)
        how = f"{version[1].en} {served.options.precision}"
        try:
            said = await prove(self._http, process.launch, facts, served.engine, name, path, cache, how)
        except ZhiluError as error:
            process.note(error.message.en)
            log.warning("engine_refuted", engine=served.engine, model=name, why=error.message.en)
            raise
        process.note(said.en)
        log.info("engine_proof", engine=served.engine, model=name, said=said.en)
        return said

    async def _watch(self, process: EngineProcess, is_ready: bool) -> int:
        """The exit code, once it ends; an engine that is there but answers nothing any more is ended here."""
        silent = 0
        while is_ready and silent < self.limits.probes:
            with suppress(asyncio.TimeoutError):
                return await asyncio.wait_for(asyncio.shield(process.wait()), self.limits.probe_seconds)
            silent = 0 if await process.answers(self._http, self.limits.probe_seconds * 2) else silent + 1
        if silent:
            log.warning("engine_hangs", pid=process.id.pid, probes=silent)
            process.kill()
        return await process.wait()

    async def _check_remote(self, launch: Launch) -> None:
        try:
            response = await self._http.get(launch.at(launch.ready_path), headers=dict(launch.headers))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise UnreachableError(
                T(f"The server at {launch.url} does not answer: {reason}", f"{launch.url} 的服务没有应答：{reason}")
            ) from error
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
            if served.facts.handed:  # a model that was deleted meanwhile is on the disk as long as links to it are
                await asyncio.to_thread(sweep, self.context.home.cache / HANDED)
        if served.state != "stopped":
            served.turn("stopped", note or T("stopped", "已停止"))

    async def _record(self) -> None:
        """Write down which processes are ours, for whoever comes after a kill."""
        async with self._writing:
            owner: Birth = self._run_state.owner
            mine = [
                EngineRecord(
                    name, s.engine, s.state, s.detail, s.process.id if s.pid and s.process else None, s.port, owner
                )
                for name, s in self._served.items()
                if s.state != "stopped"
            ]
            await asyncio.to_thread(self._run_state.write, mine)


def _at(entry: object, path: tuple[str, ...]) -> object:
    """What stands at ``path`` in nested objects; None where there is no such place."""
    for word in path:
        entry = entry.get(word) if isinstance(entry, dict) else None
    return entry
