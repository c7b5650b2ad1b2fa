"""``run/engines.json``: what a later gateway finds, ends and leaves alone."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from zhilu.home import Home
from zhilu.process import Birth, mine
from zhilu.serving.supervise.runstate import EngineRecord, RunState

Sleeper = Callable[[], subprocess.Popen[bytes]]


@pytest.fixture
def state(own_home: Path) -> RunState:
    return RunState(Home(own_home).ensure())


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Starts processes that do nothing, and ends those that are left."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def record(process: Birth | None, owner: Birth) -> EngineRecord:
    return EngineRecord("m", "zhilu", "ready", "ready in 1 s", process, 4000, owner)


def dead_owner(sleeper: Sleeper) -> Birth:
    process = sleeper()
    known = Birth.of_new(process.pid)
    process.kill()
    process.wait()
    return known


def test_records_survive_a_round_trip(state: RunState) -> None:
    ours = [record(mine(), state.owner), record(None, state.owner)]
    state.write(ours)
    assert state.read() == ours


def test_an_orphan_is_ended_and_forgotten(state: RunState, sleeper: Sleeper) -> None:
    orphan = sleeper()
    state.owner = dead_owner(sleeper)
    state.write([record(Birth.of_new(orphan.pid), state.owner)])
    state.owner = mine()
    assert [r.process.pid for r in state.clear_orphans() if r.process] == [orphan.pid]
    assert not psutil.pid_exists(orphan.pid)
    assert state.read() == []


def test_the_engine_of_a_live_gateway_is_left_alone(state: RunState, sleeper: Sleeper) -> None:
    other_gateway, engine = sleeper(), sleeper()
    theirs = record(Birth.of_new(engine.pid), Birth.of_new(other_gateway.pid))
    state.owner = theirs.owner
    state.write([theirs])
    state.owner = mine()
    assert state.clear_orphans() == []
    state.write([record(None, state.owner)])
    assert engine.poll() is None
    assert theirs in state.read()


def test_a_stranger_with_the_same_pid_is_left_alone(state: RunState, sleeper: Sleeper) -> None:
    stranger = sleeper()
    born = Birth.of_new(stranger.pid).started
    state.owner = dead_owner(sleeper)
    state.write([record(Birth(stranger.pid, born - 3600), state.owner)])
    assert state.clear_orphans() == []
    time.sleep(0.1)
    assert stranger.poll() is None


def test_what_an_older_version_wrote_is_understood(state: RunState, sleeper: Sleeper) -> None:
    """It named a process by seconds since the epoch."""
    engine = sleeper()
    created = psutil.Process(engine.pid).create_time()
    old = {"model": "m", "engine": "zhilu", "state": "ready", "detail": "", "port": 1}
    noted = {
        **old,
        "process": {"pid": engine.pid, "created": created + 1.5},
        "owner": {"pid": engine.pid, "created": 1.0},
    }
    state.path.write_text(json.dumps([noted]))
    (read,) = state.read()
    assert read.process == Birth.of(engine.pid) and not read.owner.is_alive()


def test_an_unreadable_file_counts_as_empty(state: RunState) -> None:
    state.path.write_text('{"half a')
    assert state.read() == []
    assert state.clear_orphans() == []
    assert state.read() == []


def test_what_a_killed_writer_left_is_removed(state: RunState) -> None:
    state.write([record(None, state.owner)])
    half = state.path.parent / ".engines.json.abc.tmp"
    half.write_text("[{")
    state.clear_orphans()
    assert not half.exists()
    assert len(state.read()) == 1
