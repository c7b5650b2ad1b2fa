"""The gates of stage 1 on zhilu-nano behind a real gateway: passed by a true prediction, failed where their subject is broken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

import zhilu.engine.observe as observe
import zhilu.lens.backward as backward
import zhilu.lens.views.architecture as architecture
import zhilu.lens.views.scored as scored
from zhilu.client import GATEWAY_FILE
from zhilu.context import Context, open_context
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.gate import Status, Verdict
from zhilu.lens import gates
from zhilu.lens.gates import GATES
from zhilu.process import mine

pytestmark = pytest.mark.slow
TEXT = "The old dog bites the young man in the park"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("lens")
    with run_gateway(home, {"model": "zhilu-nano"}, only=("serving", "lens")) as running:
        state = {"url": running.url, **mine().note()}
        (home / "run" / GATEWAY_FILE).write_text(json.dumps(state))
        running.call(running.supervisor.ensure("zhilu-nano"))
        yield running


@pytest.fixture
def context(gateway: RunningGateway) -> Iterator[Context]:
    context = open_context({"home": str(gateway.context.home.path), "model": "zhilu-nano"})
    for kept in (context.home.path / "lens").glob("*.json"):
        kept.unlink()
    yield context
    context.close()


@pytest.fixture
def post(gateway: RunningGateway) -> Callable[..., Any]:
    def send(path: str, **body: Any) -> Any:
        answer = httpx.post(f"{gateway.url}/zhilu/v1/lens/{path}", json=body, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return send


def passes(verdict: Verdict) -> bool:
    return verdict.status is Status.PASSED


def test_there_is_a_gate_for_every_task_of_stage_1() -> None:
    assert [gate.task for gate in GATES] == [f"1.{number}" for number in range(1, 7)]


def test_without_a_prediction_no_gate_passes(context: Context) -> None:
    for gate in GATES:
        verdict = gate.run(context)
        assert verdict.status is Status.NOT_YET
        assert verdict.fix and verdict.fix.startswith("zhilu lens")


def test_tokens(
    gateway: RunningGateway, context: Context, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = post("tokens", text=TEXT)
    true = sorted({token["start"] for token in seen["tokens"]} - {0})
    assert not post("tokens/predict", text=TEXT, cuts=[1, 2])["passed"]
    assert not passes(gates.check_tokens(context))
    url = f"{gateway.url}/zhilu/v1/lens/tokens/predict"  # who has seen the answer cannot predict it any more
    refused = httpx.post(url, json={"text": TEXT, "cuts": true}, trust_env=False)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "seen_before")
    other = "指路让学习更简单，you will see."
    cuts = sorted({token["start"] for token in post("tokens", text=other)["tokens"]} - {0})
    assert post("tokens/predict", text=other, cuts=cuts)["passed"]
    assert passes(gates.check_tokens(context))

    right = Tokenizer.pieces
    monkeypatch.setattr(Tokenizer, "pieces", lambda self, text: right(self, text)[::-1])
    assert not passes(gates.check_tokens(context))


def predict_look(post: Callable[..., Any]) -> None:
    where = {"text": TEXT, "layer": 2, "head": 1, "token": 7}
    truth = post("attention/predict", **where, guess=0)["truth"]
    wrong = 0 if truth else 1
    assert not post("attention/predict", **where, guess=wrong)["passed"]
    assert post("attention/predict", **where, guess=truth)["passed"]


def test_attention(context: Context, post: Callable[..., Any]) -> None:
    predict_look(post)
    verdict = gates.check_attention(context)
    assert passes(verdict), verdict.why
    assert any("served engine" in figure.name.en for figure in verdict.figures)


def no_second_half(x: Any, angles: Any) -> Any:
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * np.cos(angles)[:, None, :], second], axis=-1)


MUTATIONS: dict[str, tuple[str, Any]] = {
    "rotation turned backwards on one side": ("rotate", no_second_half),
    "no rotation": ("rotate", lambda x, angles: x),
    "neighbours paired": ("rotate", lambda x, angles: observe_rotate_interleaved(x, angles)),
    "no scale": ("scale_of", lambda size: np.float32(1)),
    "mask off by one": ("causal_mask", lambda n: np.tri(n, k=1, dtype=bool)),
    "no mask": ("causal_mask", lambda n: np.ones((n, n), dtype=bool)),
    "norm without its root": ("rms_norm", lambda x, w, eps: x / (np.mean(x * x, -1, keepdims=True) + eps) * w),
    "activation forgotten": ("silu", lambda x: x),
}


def observe_rotate_interleaved(x: Any, angles: Any) -> Any:
    out = np.empty_like(x)
    cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
    out[..., 1::2] = x[..., 1::2] * cos + x[..., 0::2] * sin
    return out


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_forward_pass_is_caught(
    name: str, context: Context, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the learner answers, and even where the broken map agrees with them."""
    predict_look(post)
    attribute, broken = MUTATIONS[name]
    monkeypatch.setattr(observe, attribute, broken)
    verdict = gates.check_attention(context)
    assert verdict.status is Status.FAILED
    assert "proves nothing" in verdict.why.en


def test_positions(context: Context, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"text": TEXT, "head": 0, "query": 8, "key": 2, "to": 5}
    first, second = post("positions", **where)["orders"]
    higher, lower = ("first", "second") if first["rope"] > second["rope"] else ("second", "first")
    assert not post("positions/predict", **where, higher=lower, without="same")["passed"]
    assert not passes(gates.check_positions(context))
    assert post("positions/predict", **where | {"head": 1}, higher=higher, without="same")["higher"] in (
        "first",
        "second",
    )
    truth = post("positions", **where | {"head": 2})["orders"]
    right = "first" if truth[0]["rope"] > truth[1]["rope"] else "second"
    assert post("positions/predict", **where | {"head": 2}, higher=right, without="same")["passed"]
    verdict = gates.check_positions(context)
    assert passes(verdict), verdict.why

    import zhilu.lens.views.positions as positions

    monkeypatch.setattr(positions, "rotate", no_second_half)
    assert not passes(gates.check_positions(context))


def test_architecture(context: Context, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shares = post("architecture/predict", shares={"embedding": 90, "attention": 10})["shares"]
    assert not passes(gates.check_architecture(context))
    assert post("architecture/predict", shares={kind: round(share) for kind, share in shares.items()})["passed"]
    assert passes(gates.check_architecture(context))
    right = architecture.map_tensors
    monkeypatch.setattr(
        architecture, "map_tensors", lambda *a: {k: v for k, v in right(*a).items() if ".mlp.up" not in k}
    )
    assert not passes(gates.check_architecture(context))


def test_training(context: Context, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    guess = {"text": "The capital of Atlantis is Poseidonis.", "loss": "falls"}
    assert not post("step/predict", **guess, changes="both")["passed"]
    assert not passes(gates.check_training(context))
    assert post("step/predict", **guess, changes="training")["passed"]
    assert passes(gates.check_training(context))
    right = backward._attention_back
    monkeypatch.setattr(backward, "_attention_back", lambda block, d: tuple(4 * part for part in right(block, d)))
    assert not passes(gates.check_training(context))


def test_prompt(context: Context, post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not post("prompt", prompt="Please: {question}")["passed"]
    assert not passes(gates.check_prompt(context))
    measured = post("prompt", prompt="{question}\n{passage}\n{question}")
    assert measured["passed"], measured
    verdict = gates.check_prompt(context)
    assert passes(verdict), verdict.why
    monkeypatch.setattr(Tokenizer, "render_chat", lambda self, messages: messages[0]["role"])
    assert not passes(gates.check_prompt(context))


def test_a_prompt_needs_a_place_for_the_question(context: Context) -> None:
    from zhilu.errors import InputError

    with pytest.raises(InputError, match="question"):
        asyncio.run(scored.measure(context, "zhilu-nano", "Answer me."))
