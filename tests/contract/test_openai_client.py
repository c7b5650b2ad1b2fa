"""The conformance run of gate 2.2 against our gateway, check by check, with the official OpenAI client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.serving.proofs.conformance import (
    CHECKS,
    Check,
    Subject,
    connect_openai,
    measure_first_token,
    run_conformance,
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("openai")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        running.call(running.supervisor.ensure("tiny"))
        yield running


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_conforms(gateway: RunningGateway, check: Check) -> None:
    with connect_openai(f"{gateway.url}/v1", None, 60.0) as client:
        check.run(Subject(client, "tiny", "zhilu-embed"))


def test_the_first_token_is_measured(gateway: RunningGateway) -> None:
    assert 0 < measure_first_token(f"{gateway.url}/v1", "tiny", repeats=3) < 5


def test_a_server_that_is_not_there_fails_every_check() -> None:
    outcomes = run_conformance("http://127.0.0.1:9/v1", "tiny", timeout=2.0)
    assert outcomes
    assert not any(outcome.passed for outcome in outcomes)
    assert all(outcome.why for outcome in outcomes)


def test_a_server_that_serves_another_model_is_found_out(gateway: RunningGateway) -> None:
    outcomes = {o.check.name: o for o in run_conformance(f"{gateway.url}/v1", "nobody", timeout=30.0)}
    assert not outcomes["models"].passed
    assert not outcomes["chat"].passed
    assert outcomes["unknown-model"].passed
