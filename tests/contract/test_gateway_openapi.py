"""Schemathesis over the OpenAPI document: whatever a client makes of it, no answer is a 5xx, and none is without words."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("openapi")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        assert httpx.post(
            f"{running.url}/v1/completions", json={"prompt": "x", "max_tokens": 1}, timeout=120.0
        ).is_success
        yield running


@pytest.fixture(scope="module")
def api(gateway: RunningGateway) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{gateway.url}/zhilu/v1/openapi.json")


schema = schemathesis.pytest.from_fixture("api")
# Says in so many words that it is not possible here, which is what 501 is for; 503: a model made up, behind a URL made up.
_SAID = (501, 503)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_makes_the_gateway_fail(case: schemathesis.Case) -> None:
    response = case.call(timeout=120)
    if response.status_code >= 400:
        body = response.json()
        error = body["error"]
        message = error if isinstance(error, str) else error["message"]
        assert message, body
    assert response.status_code < 500 or response.status_code in _SAID, (response.status_code, response.text[:500])
