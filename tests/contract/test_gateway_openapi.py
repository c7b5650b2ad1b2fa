"""Schemathesis over the OpenAPI document: whatever a client makes of it, no answer is a 5xx, and none is without words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.contract.gateway_server import RunningGateway, run_gateway
from tests.examples import examples

from zhilu.engine.testing import make_tiny_model
from zhilu.serving import routes, workbench_routes


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("openapi")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}, only=("serving", "workbench")) as running:
        assert httpx.post(
            f"{running.url}/v1/completions", json={"prompt": "x", "max_tokens": 1}, timeout=120.0
        ).is_success
        yield running


# Says in so many words that it is not possible here, which is what 501 is for; 503: a model made up, behind a URL made up.
_SAID = (501, 503)


def document() -> dict[str, Any]:
    """The routes' own, before anything listens: each operation is a test of its own."""
    app = FastAPI()
    for router in (routes.first_router, routes.router, workbench_routes.router):
        app.include_router(router)
    return app.openapi()


def can_be_wrong(operation: dict[str, Any]) -> bool:
    """Whether there is a request that does not fit: no body and no query leaves nothing, a name in a path is any text."""
    return "requestBody" in operation or any(p["in"] == "query" for p in operation.get("parameters", ()))


DETAILS = {(method, path): details for path, item in document()["paths"].items() for method, details in item.items()}
CASES = [(*one, "fits") for one in DETAILS] + [(*one, "does not") for one in DETAILS if can_be_wrong(DETAILS[one])]


@pytest.fixture(scope="module")
def schema(gateway: RunningGateway) -> Any:
    schemathesis = pytest.importorskip(
        "schemathesis", reason="schemathesis needs Python 3.11 in the version pinned here"
    )
    return schemathesis.openapi.from_url(f"{gateway.url}/zhilu/v1/openapi.json")


def test_the_routes_are_those_of_the_document_that_is_served(gateway: RunningGateway) -> None:
    served = httpx.get(f"{gateway.url}/zhilu/v1/openapi.json", trust_env=False).json()
    theirs = {(method, path) for path, item in served["paths"].items() for method in item}
    assert DETAILS.keys() <= theirs
    assert {(method, path) for method, path in theirs if path.startswith("/v1/")} <= DETAILS.keys()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("method", "path", "kind"), CASES, ids=lambda word: word)
def test_no_request_makes_the_gateway_fail(schema: Any, method: str, path: str, kind: str) -> None:
    from hypothesis import HealthCheck, given
    from schemathesis import GenerationMode

    mode = GenerationMode.POSITIVE if kind == "fits" else GenerationMode.NEGATIVE

    @examples(15, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def attempt(case: Any) -> None:
        response = case.call(timeout=120)
        if response.status_code >= 400 and method != "head":  # whose answers have no body
            body = response.json()
            error = body["error"]
            message = error if isinstance(error, str) else error["message"]
            assert message, body
        assert response.status_code < 500 or response.status_code in _SAID, (response.status_code, response.text[:500])

    attempt()
