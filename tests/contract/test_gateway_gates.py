"""Gates 2.1 and 2.2 against a running gateway: they pass on what is right, and fail on what is not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.contract.gateway_server import RunningGateway, run_gateway, run_tiny_gateway

from zhilu.cli import cli
from zhilu.client import ModelClient
from zhilu.context import Context, open_context
from zhilu.engine.testing import make_tiny_model
from zhilu.gate import Status
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.serving.catalog import FixedCatalog
from zhilu.serving.facts import ServedModel
from zhilu.serving.gates import (
    GATES,
    check_adapter_applied,
    check_greedy_answer,
    check_protocol,
    check_sampling,
    first_difference,
)
from zhilu.serving.testing import ScriptedEngine


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("gates")
    with run_tiny_gateway(home) as running:
        yield running


@pytest.fixture
def context(gateway: RunningGateway) -> Iterator[Context]:
    context = open_context({"home": str(gateway.context.home.path), "model": "tiny"})
    yield context
    context.close()


def test_the_gates_are_those_of_the_roadmap() -> None:
    assert [gate.task for gate in GATES] == ["2.1", "2.2", "2.3", "2.4"]


def test_another_programs_answer_is_judged_token_by_token(gateway: RunningGateway) -> None:
    """What gates 2.1, 2.4 and a tuned model's parity rest on where rounded weights choose otherwise at a near tie."""

    async def ask() -> tuple[float | None, float | None, float | None, float | None]:
        async with ModelClient(gateway.url) as client:
            prompt = [5, 6, 7, 8]
            done = await client.completions(
                prompt,
                model="tiny",
                temperature=0,
                max_tokens=12,
                min_tokens=12,
                ignore_eos=True,
                return_token_ids=True,
            )
            own = done["choices"][0]["token_ids"]
            assert len(own) == 12
            one_other = [*own[:-1], (own[-1] + 1) % 100]
            return (
                await client.worst_tie(prompt, own, model="tiny"),
                await client.worst_tie(prompt, one_other, model="tiny"),
                await client.worst_tie(prompt, [(id + 1) % 100 for id in own], model="tiny"),
                await client.worst_tie(prompt, own[:6], model="tiny", ended=True),
            )

    same, one, all_others, cut = asyncio.run(ask())
    assert same == 0
    assert one is not None and one > 0
    assert all_others is None  # more than one in ten
    assert cut is None  # it goes on where the other program ended


def test_the_protocol_gate_passes_with_its_figures(context: Context) -> None:
    verdict = check_protocol(context)
    assert verdict.status is Status.PASSED, verdict.why
    figures = {figure.name.en: figure.value for figure in verdict.figures}
    passed, total = str(figures["checks passed"]).split("/")
    assert passed == total
    assert 0 < float(figures["time to first token, median"]) < 10_000
    assert verdict.artefacts[0].name == "conformance.json"


@pytest.mark.parametrize("flags", [(), ("--log-level", "info")])
def test_check_shows_verdicts_and_no_log_of_requests(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    """The gate's 26 checks make over a hundred requests, by the official client and by httpx: none is a line here."""
    words = ["--lang", "en", "--home", str(gateway.context.home.path), *flags, "check", "2.2"]
    monkeypatch.setenv("ZHILU_MODEL", "tiny")
    with monkeypatch.context() as kept:  # the verb tells it to the processes that gates start
        kept.setenv("ZHILU_LOG_LEVEL", "info")
        if not flags:
            kept.delenv("ZHILU_LOG_LEVEL")
        done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "2.2 ✓ passed" in done.stdout and "checks passed" in done.stdout
    lines = done.stderr.splitlines()
    assert lines[0].startswith("[1/1] 2.2 ")
    assert [line for line in lines if "HTTP" in line or "httpx" in line] == []
    if not flags:  # the gateway of this test runs in this process, and may warn
        assert [line for line in lines[1:] if "[warning" not in line] == []


def test_the_protocol_gate_fails_where_it_does_not_hold(context: Context, tmp_path: Path) -> None:
    """The scripted engine, asked directly, refuses nothing and counts nothing."""
    registry: Registry[Any] = Registry(T("engine", "引擎"))
    registry.add("scripted", ScriptedEngine())
    catalog = FixedCatalog(ServedModel("tiny", tmp_path))
    with run_gateway(tmp_path / "home", {"model": "tiny"}, catalog=catalog, registry=registry) as running:
        served = running.call(running.supervisor.ensure("tiny"))
        context.settings = context.settings.model_copy(update={"base_url": served.launch.url})
        verdict = check_protocol(context)
    assert verdict.status is Status.FAILED
    assert "an unknown parameter is refused by name" in verdict.why.en
    assert "未知参数" in verdict.why.zh
    assert verdict.fix


@pytest.mark.slow
def test_every_sampling_parameter_is_connected(context: Context) -> None:
    verdict = check_sampling(context)
    assert verdict.status is Status.PASSED, verdict.why
    assert int({figure.name.en: figure.value for figure in verdict.figures}["parameters proven"]) >= 15


def test_the_sampling_gate_fails_where_parameters_are_ignored(context: Context, tmp_path: Path) -> None:
    """The scripted engine answers the same whatever it is asked."""
    from zhilu.serving.proofs.sampling_checks import prove_sampling

    registry: Registry[Any] = Registry(T("engine", "引擎"))
    registry.add("scripted", ScriptedEngine())
    catalog = FixedCatalog(ServedModel("tiny", tmp_path))
    with run_gateway(tmp_path / "home", {"model": "tiny"}, catalog=catalog, registry=registry) as running:
        served = running.call(running.supervisor.ensure("tiny"))
        proofs = prove_sampling(f"{served.launch.url}/v1", "tiny")
    assert {proof.outcome for proof in proofs} == {"ignored"}


@pytest.mark.slow
def test_an_adapter_is_proven_to_be_applied(context: Context, gateway: RunningGateway) -> None:
    if "lora" not in gateway.supervisor.states()["tiny"].facts.can:
        assert check_adapter_applied(context).status is Status.CANNOT_RUN_HERE
        return
    verdict = check_adapter_applied(context)
    assert verdict.status is Status.PASSED, verdict.why
    assert not gateway.gateway.adapters.list()  # the one that was made for it is gone again


def test_without_the_model_there_is_nothing_to_check_yet(gateway: RunningGateway) -> None:
    context = open_context({"home": str(gateway.context.home.path), "model": "nobody"})
    verdict = check_protocol(context)
    context.close()
    assert verdict.status is Status.NOT_YET
    assert "nobody" in verdict.why.en


def test_a_model_behind_a_url_has_no_files_to_compare(gateway: RunningGateway) -> None:
    context = open_context({"home": str(gateway.context.home.path), "base_url": gateway.url})
    assert check_greedy_answer(context).status is Status.CANNOT_RUN_HERE
    context.close()


@pytest.mark.slow
def test_the_greedy_gate_passes_on_equal_tokens_and_fails_on_others(context: Context, gateway: RunningGateway) -> None:
    verdict = check_greedy_answer(context)
    assert verdict.status is Status.PASSED, verdict.why
    figures = {figure.name.en: figure.value for figure in verdict.figures}
    assert int(figures["tokens compared"]) > 20
    folder = context.home.models / "tiny"
    kept = folder.with_name("kept")
    shutil.move(folder, kept)
    make_tiny_model(folder, seed=9)  # the files are no longer what the engine has loaded
    try:
        verdict = check_greedy_answer(context)
    finally:
        shutil.rmtree(folder)
        shutil.move(kept, folder)
    assert verdict.status is Status.FAILED
    assert "token" in verdict.why.en
    assert len(verdict.artefacts) == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "place"),
    [([], [], None), (["a"], ["a"], None), (["a", "b"], ["a", "c"], 1), (["a"], ["a", "b"], 1), (["a"], [], 0)],
)
def test_the_first_difference_is_found(ours: list[str], theirs: list[str], place: int | None) -> None:
    assert first_difference(ours, theirs) == place


@pytest.mark.slow
def test_reference_answers_need_a_model(tmp_path: Path) -> None:
    from zhilu.gate import Verdict
    from zhilu.serving.proofs.greedy import reference_of

    verdict = reference_of(tmp_path / "nothing", [[1, 2]], 4)
    assert isinstance(verdict, Verdict)
    assert verdict.status in (Status.FAILED, Status.CANNOT_RUN_HERE)
