"""LangChain's standard chat-model tests, its Anthropic class and LlamaIndex's OpenAI-like one against the gateway with the embedded model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.clients.environment import Results, python_with, run_tests
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MODEL = "zhilu-nano"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("frameworks")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")  # the second name that LangChain's tests switch to
    with run_gateway(home) as running:
        running.call(running.supervisor.ensure(MODEL))
        yield running


def check(results: Results, at_least: int) -> None:
    for name, why in results.expected_failures.items():
        print(f"expected failure: {name}: {why}")
    assert results.failed == {}
    assert len(results.passed) >= at_least, results.output


def test_langchains_standard_chat_model_tests(gateway: RunningGateway, tmp_path: Path) -> None:
    # The timing tests are no promise of a protocol; the rest of the suite runs.
    results = run_tests(
        python_with("langchain"), "langchain_chat.py", tmp_path / "report.xml", f"{gateway.url}/v1", MODEL,
        "--benchmark-disable", "-k", "not test_stream_time",
    )  # fmt: skip
    check(results, at_least=28)


def test_langchains_anthropic_class(gateway: RunningGateway, tmp_path: Path) -> None:
    results = run_tests(
        python_with("anthropic"), "langchain_anthropic_chat.py", tmp_path / "report.xml", f"{gateway.url}/v1", MODEL
    )
    check(results, at_least=8)
    assert results.skipped == {}
    assert results.expected_failures == {}


def test_llamaindexs_openai_like_class(gateway: RunningGateway, tmp_path: Path) -> None:
    results = run_tests(
        python_with("llamaindex"), "llamaindex_llm.py", tmp_path / "report.xml", f"{gateway.url}/v1", MODEL
    )
    check(results, at_least=6)
    assert results.skipped == {}
    assert results.expected_failures == {}


def test_openai_agents_langgraph_and_pydantic_ai(gateway: RunningGateway, tmp_path: Path) -> None:
    results = run_tests(
        python_with("agents"), "agent_frameworks.py", tmp_path / "report.xml", f"{gateway.url}/v1", MODEL
    )
    check(results, at_least=6)
    assert results.skipped == {}
