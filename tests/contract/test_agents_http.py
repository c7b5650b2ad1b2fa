"""Runs of agents over HTTP: what another machine's key does not open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from zhilu.agents.runs import RunStore
from zhilu.context import Context, open_context
from zhilu.host.app import create_app
from zhilu.tools.source import tool_sources

LOCAL = (
    "files:/",
    "sql:/tmp/x.db",
    "sql-write:/tmp/x.db",
    "code",
    "mcp:python -c pass",
    "openapi:http://127.0.0.1:9/openapi.json",
    "memory",
    "agent:clerk calculator",
)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    context = open_context({"home": str(tmp_path), "max_jobs": 1})
    yield context
    context.close()


def client_at(context: Context, address: str) -> TestClient:
    return TestClient(create_app(context, only=("agents",)), base_url="http://127.0.0.1", client=(address, 50_000))


def test_every_kind_of_tools_says_whether_it_is_for_who_sits_here() -> None:
    local = {kind for kind, source in tool_sources().items() if source.is_local}
    assert local == {name.partition(":")[0] for name in LOCAL}


@pytest.mark.parametrize("tool", LOCAL)
def test_from_another_machine_no_file_and_no_program_is_reached(context: Context, tool: str) -> None:
    with client_at(context, "192.0.2.7") as client:
        answer = client.post("/zhilu/v1/agents/runs", json={"task": "look around", "tools": ["calculator", tool]})
    assert answer.status_code == 403, answer.text
    assert answer.json()["error"]["param"] == "tools"
    assert RunStore(context).list() == []


def test_an_unknown_kind_is_refused_from_anywhere(context: Context) -> None:
    for address in ("192.0.2.7", "127.0.0.1"):
        with client_at(context, address) as client:
            answer = client.post("/zhilu/v1/agents/runs", json={"task": "x", "tools": ["nothing:at all"]})
        assert answer.status_code == 404
