"""``zhilu doctor`` and ``GET /zhilu/v1/doctor``."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result
from machines import HEALTHY
from starlette.testclient import TestClient

import zhilu.doctor
from zhilu.cli import cli
from zhilu.context import open_context
from zhilu.doctor import checkup
from zhilu.doctor.testing import ScriptedRunner
from zhilu.host.app import create_app


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedRunner]:
    """The doctor looks at the last of these instead of this machine."""
    stack = [HEALTHY]
    monkeypatch.setattr(checkup, "SystemRunner", lambda: stack[-1])
    return stack


def run(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args), catch_exceptions=False)


def test_a_machine_without_errors_is_exit_0_and_json(machine: list[ScriptedRunner]) -> None:
    result = run("doctor", "--offline", "--json")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    assert set(answer) == {"machine", "findings", "checked_at", "seconds"}
    assert answer["machine"]["system"] == "Ubuntu 22.04.5 LTS"
    for finding in answer["findings"]:
        assert finding["severity"] in ("ok", "info", "warning", "error")
        assert set(finding["what"]) == {"en", "zh"}


def test_an_error_is_exit_1_with_its_fix_first(machine: list[ScriptedRunner]) -> None:
    machine.append(HEALTHY.but(commands={"uname -srm": "Linux 4.4.0-19041-Microsoft x86_64"}))
    result = run("--lang", "en", "doctor", "--offline")
    assert result.exit_code == 1
    assert result.stdout.startswith("[error] WSL version 1")
    assert "$ wsl --set-version" in result.stdout and "1 errors" in result.stdout


def test_it_speaks_chinese(machine: list[ScriptedRunner]) -> None:
    machine.append(HEALTHY.but(commands={"uname -srm": "Linux 4.4.0-19041-Microsoft x86_64"}))
    result = run("--lang", "zh", "doctor", "--offline")
    assert "[错误] WSL 版本为 1" in result.stdout and "1 个错误" in result.stdout


@pytest.fixture
def client() -> Iterator[TestClient]:
    context = open_context({"offline": True})
    with TestClient(create_app(context, only=("doctor",)), base_url="http://127.0.0.1") as client:
        yield client
    context.close()


def test_the_route_keeps_a_check_up_until_asked_for_another(client: TestClient, machine: list[ScriptedRunner]) -> None:
    first = client.get("/zhilu/v1/doctor").json()
    assert first["machine"]["cpu"].startswith("12th Gen")
    machine.append(HEALTHY.but(commands={"node --version": "v12.0.0"}))
    assert client.get("/zhilu/v1/doctor").json() == first
    again = client.get("/zhilu/v1/doctor", params={"refresh": True}).json()
    assert "node.too_old" in {finding["id"] for finding in again["findings"]}


def test_the_public_names_are_there() -> None:
    assert all(hasattr(zhilu.doctor, name) for name in zhilu.doctor.__all__)
