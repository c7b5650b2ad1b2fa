"""Engines as real processes that misbehave on demand: started, killed, hung, broken, too many."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from zhilu.context import Context, open_context
from zhilu.errors import BusyError, InputError, NotFoundError, UnreachableError
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.catalog import FixedCatalog
from zhilu.serving.facts import LaunchOptions, ServedModel
from zhilu.serving.served import Limits, Served
from zhilu.serving.supervise.runstate import RunState
from zhilu.serving.supervise.supervisor import Supervisor
from zhilu.serving.testing import ScriptedEngine

MODELS = [ServedModel(name, Path("/nowhere")) for name in ("a", "b", "c")]
Test = Callable[..., Awaitable[None]]


def supervised(*flags: str, limits: Limits | None = None) -> Callable[[Test], Callable[[Context], None]]:
    """Run an async test with a supervisor whose only engines are scripted ones, started with ``flags``.

    ``scripted`` is the one that is chosen by itself; ``another`` must be named.
    """

    def decorate(test: Test) -> Callable[[Context], None]:
        @functools.wraps(test)
        def run(context: Context) -> None:
            async def main() -> None:
                registry: Registry[Any] = Registry(T("engine", "引擎"))
                registry.add("scripted", ScriptedEngine(flags))
                other = replace(ScriptedEngine.facts, name="another", rank={"cpu": 0, "gpu": 0})
                registry.add("another", ScriptedEngine(flags, other))
                supervisor = Supervisor(context, FixedCatalog(*MODELS), registry=registry, limits=limits)
                await supervisor.open()
                try:
                    await test(supervisor)
                finally:
                    await supervisor.aclose()
                assert not [s.pid for s in supervisor.states().values() if s.pid], "an engine was left running"

            asyncio.run(main())

        del run.__wrapped__  # pytest must see the signature of `run`
        return run

    return decorate


@pytest.fixture
def context(own_home: Path) -> Any:
    context = open_context()
    yield context
    context.close()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


async def killed(served: Served) -> int:
    """Kill the engine, wait until that is known, and return the pid it had."""
    pid, restarts = served.pid, served.restarts
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: served.restarts > restarts)
    return pid


@supervised()
async def test_an_engine_starts_when_asked_for_and_only_once(supervisor: Supervisor) -> None:
    one, two = await asyncio.gather(supervisor.ensure("a"), supervisor.ensure("a"))
    assert one is two
    assert one.state == "ready"
    assert psutil.pid_exists(one.pid or 0)
    assert one.ready_seconds and one.ready_seconds > 0
    assert [s.model.name for s in supervisor.states().values()] == ["a"]


@supervised()
async def test_a_killed_engine_is_back_while_requests_wait(supervisor: Supervisor) -> None:
    served = await supervisor.ensure("a")
    before = await killed(served)
    assert served.state == "starting"
    assert (await supervisor.ensure("a")).pid not in (None, before)
    assert served.restarts == 1


@supervised()
async def test_the_run_state_names_the_process(supervisor: Supervisor) -> None:
    served = await supervisor.ensure("a")
    state = RunState(supervisor.context.home)
    await until(lambda: [r.state for r in state.read()] == ["ready"])
    (record,) = state.read()
    assert record.process and record.process.pid == served.pid
    assert record.port == served.port
    await supervisor.stop("a")
    assert state.read() == []


@supervised("--crash-at-start")
async def test_what_cannot_start_fails_with_its_last_words(supervisor: Supervisor) -> None:
    with pytest.raises(UnreachableError, match="the model file is broken"):
        await supervisor.ensure("a")
    served = supervisor.states()["a"]
    assert served.state == "failed"
    assert served.restarts == 2
    with pytest.raises(UnreachableError):  # and it does not try again for everyone who asks
        await supervisor.ensure("a")
    assert served.restarts == 2


@supervised("--crash-at-start", limits=Limits(retry_seconds=0.0))
async def test_a_later_request_tries_again(supervisor: Supervisor) -> None:
    with pytest.raises(UnreachableError):
        await supervisor.ensure("a")
    first = supervisor.states()["a"]
    with pytest.raises(UnreachableError):
        await supervisor.ensure("a")
    assert supervisor.states()["a"] is not first


@supervised("--start-delay", "100", limits=Limits(start_seconds=0.3))
async def test_waiting_for_a_start_has_an_end(supervisor: Supervisor) -> None:
    started = time.monotonic()
    with pytest.raises(UnreachableError):
        await supervisor.ensure("a")
    assert time.monotonic() - started < 60  # it did not wait for the engine


@supervised("--ignore-term", limits=Limits(stop_grace_seconds=0.2))
async def test_an_engine_that_ignores_sigterm_is_killed(supervisor: Supervisor) -> None:
    served = await supervisor.ensure("a")
    pid = served.pid
    await supervisor.stop("a")
    assert served.state == "stopped"
    assert not psutil.pid_exists(pid or 0)


@supervised(limits=Limits(probe_seconds=0.1, probes=2))
async def test_an_engine_that_hangs_is_restarted(supervisor: Supervisor) -> None:
    served = await supervisor.ensure("a")
    before = served.pid
    os.kill(before or 0, signal.SIGSTOP)
    await until(lambda: served.restarts == 1)
    assert (await supervisor.ensure("a")).pid != before


@supervised()
async def test_the_least_recently_used_makes_room(supervisor: Supervisor) -> None:
    for name in ("a", "b", "a", "c"):  # two may run
        await supervisor.ensure(name)
    states = {name: served.state for name, served in supervisor.states().items()}
    assert states == {"a": "ready", "b": "stopped", "c": "ready"}
    assert "c" in supervisor.states()["b"].note.en


@supervised(limits=Limits(room_seconds=0.2))
async def test_a_model_in_use_is_not_stopped(supervisor: Supervisor) -> None:
    async with supervisor.lease("a"), supervisor.lease("b"):
        with pytest.raises(BusyError) as caught:
            await supervisor.ensure("c")
        assert caught.value.fix == "zhilu settings set max_engines 3"
        assert {s.state for s in supervisor.states().values()} == {"ready"}
    assert (await supervisor.ensure("c")).state == "ready"


@supervised("--start-delay", "0.3", limits=Limits(in_flight=2))
async def test_only_so_many_wait(supervisor: Supervisor) -> None:
    results = await asyncio.gather(*(supervisor.ensure("a") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Served) for result in results) == 2
    refused = [result for result in results if isinstance(result, BusyError)]
    assert len(refused) == 3
    assert all(error.retry_after >= 1 for error in refused)


@supervised()
async def test_unknown_names_are_refused(supervisor: Supervisor) -> None:
    with pytest.raises(NotFoundError, match="There are: a, b, c"):
        await supervisor.ensure("zebra")
    with pytest.raises(NotFoundError):
        await supervisor.stop("a")
    with pytest.raises(NotFoundError):
        await supervisor.start("a", engine="warp")


@supervised()
async def test_another_engine_replaces_the_running_one(supervisor: Supervisor) -> None:
    first = await supervisor.ensure("a")
    assert first.engine == "scripted"
    assert await supervisor.start("a", engine="auto") is first
    second = await supervisor.start("a", engine="another")
    assert (first.state, second.engine) == ("stopped", "another")
    await supervisor.ensure("a")
    await supervisor.stop("a")
    again = await supervisor.ensure("a")  # by the engine it had
    assert again is not second
    assert (again.state, again.engine) == ("ready", "another")


def test_a_remote_server_is_checked_before_it_counts_as_ready(context: Context) -> None:
    async def main() -> None:
        supervisor = Supervisor(context, FixedCatalog(*MODELS))
        try:
            await supervisor.start("far", engine="openai", options=LaunchOptions(base_url="http://127.0.0.1:9/v1"))
            with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
                await supervisor.ensure("far")
            with pytest.raises(InputError):
                await supervisor.start("far", engine="openai")
        finally:
            await supervisor.aclose()

    asyncio.run(main())


def test_engines_of_a_dead_gateway_are_ended_at_the_next_start(context: Context) -> None:
    """The deaf engine does not notice that its gateway is gone: the run state is what finds it."""
    import subprocess
    import sys

    from zhilu.process import Birth
    from zhilu.serving.supervise.ports import reserve_port
    from zhilu.serving.supervise.runstate import EngineRecord

    command = [sys.executable, "-m", "zhilu.serving.testing", "--port", str(reserve_port()), "--name", "a", "--deaf"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as orphan:
        state = RunState(context.home)
        gone = Birth(state.owner.pid, state.owner.started - 1000)
        state.owner = gone
        state.write([EngineRecord("a", "scripted", "ready", "", Birth.of_new(orphan.pid), 1, gone)])

        async def main() -> None:
            supervisor = Supervisor(context, FixedCatalog(*MODELS))
            await supervisor.open()
            await supervisor.aclose()

        asyncio.run(main())
        assert not psutil.pid_exists(orphan.pid)
