"""The engine with a real (tiny) model: batching, preemption and caching must never show in the tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests.examples import examples

from zhilu import wire
from zhilu.engine.choose.sampler import log_softmax
from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.engine import Engine, load_engine
from zhilu.engine.options import EngineOptions
from zhilu.engine.sequence import Output
from zhilu.engine.server.api import sampling_params
from zhilu.errors import InputError

MakeEngine = Callable[..., Engine]
PROMPTS = [list(range(5, 5 + length)) for length in (3, 40, 17, 90, 1)]


def greedy(**fields: Any) -> SamplingParams:
    return SamplingParams(**{"max_tokens": 24, "temperature": 0.0, "ignore_eos": True, **fields})


def finish(engine: Engine) -> list[Output]:
    outputs = []
    while engine.requests:
        outputs += engine.step()
    assert_nothing_leaked(engine)
    return outputs


def assert_nothing_leaked(engine: Engine) -> None:
    pool = engine.scheduler.pool
    assert pool.num_free == pool.num_blocks
    assert not any(pool.references(number) for number in range(pool.num_blocks))
    assert not engine.scheduler.running and not engine.scheduler.waiting


def tokens(outputs: list[Output], id: str, index: int = 0) -> list[int]:
    return [o.token.id for o in outputs if o.request_id == id and o.index == index and o.token]


def text(outputs: list[Output], id: str = "0", index: int = 0) -> str:
    return "".join(o.text for o in outputs if o.request_id == id and o.index == index)


def one(engine: Engine, params: SamplingParams, prompt: list[int] = PROMPTS[1], n: int = 1) -> list[Output]:
    engine.add("0", prompt, params, n)
    return finish(engine)


def num_shareable(engine: Engine) -> int:
    """Tokens in the full blocks of the prompt of 90."""
    return {16: 80, 32: 64}[engine.runner.block_size]


@pytest.fixture(scope="module")
def alone(tiny: Any, needs_torch: None) -> dict[str, list[int]]:
    """Each prompt's greedy tokens when it has the engine to itself, without any cache, from the reference runner."""
    engine = load_engine(EngineOptions(tiny, max_len=256, threads=1, prefix_caching=False, runner="torch"))
    answers = {}
    for number, prompt in enumerate(PROMPTS):
        engine.add(str(number), prompt, greedy())
        answers[str(number)] = tokens(finish(engine), str(number))
    return answers


@pytest.fixture(scope="module")
def shared_engine(tiny: Any, runner: str) -> Engine:
    return load_engine(EngineOptions(tiny, max_len=256, threads=1, runner=runner))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix_caching": False},
        {"max_num_seqs": 2},
        {"max_batch_tokens": 7},  # prompts are computed in pieces, between others' tokens
        {"max_len": 128, "kv_tokens": 160},  # too few blocks for all: somebody is preempted
    ],
)
def test_a_batch_of_mixed_lengths_equals_single_runs(
    make_engine: MakeEngine, alone: dict[str, list[int]], options: dict[str, Any]
) -> None:
    engine = make_engine(**options)
    for number, prompt in enumerate(PROMPTS):
        engine.add(str(number), prompt, greedy())
    outputs = finish(engine)
    assert {id: tokens(outputs, id) for id in alone} == alone
    assert (engine.scheduler.num_preemptions > 0) == ("kv_tokens" in options)


def test_requests_join_and_leave_at_any_time(make_engine: MakeEngine, alone: dict[str, list[int]]) -> None:
    engine = make_engine(max_num_seqs=3)
    outputs: list[Output] = []
    for number, prompt in enumerate(PROMPTS):
        engine.add(str(number), prompt, greedy())
        engine.add(f"noise-{number}", prompt[::-1], greedy(max_tokens=100), n=2)
        for _ in range(3):
            outputs += engine.step()
        engine.abort(f"noise-{number}")
        engine.abort("never-heard-of")
    outputs += finish(engine)
    assert {id: tokens(outputs, id) for id in alone} == alone


def test_a_repeated_prompt_is_found_in_the_cache(make_engine: MakeEngine, alone: dict[str, list[int]]) -> None:
    engine = make_engine()
    first = one(engine, greedy(), PROMPTS[3])
    computed = engine.metrics.num_computed_tokens
    second = one(engine, greedy(), PROMPTS[3])
    assert tokens(first, "0") == tokens(second, "0") == alone["3"]
    shared = num_shareable(engine)
    assert first[0].num_cached == 0 and second[0].num_cached == shared
    assert engine.metrics.num_computed_tokens - computed == computed - shared


def test_n_answers_share_their_prompt(make_engine: MakeEngine) -> None:
    engine = make_engine()
    outputs = one(engine, SamplingParams(12, seed=7, ignore_eos=True), PROMPTS[3], n=3)
    answers = [tokens(outputs, "0", index) for index in range(3)]
    assert all(len(answer) == 12 for answer in answers)
    assert len({tuple(answer) for answer in answers}) == 3
    assert engine.metrics.num_computed_tokens < 90 + 2 * (90 - num_shareable(engine)) + 3 * 12


def test_a_seed_gives_the_same_tokens_whatever_else_is_in_the_batch(make_engine: MakeEngine) -> None:
    wish = SamplingParams(24, seed=42, ignore_eos=True)
    quiet = tokens(one(make_engine(), wish), "0")
    busy = make_engine(max_batch_tokens=16)
    for number, prompt in enumerate(PROMPTS):
        busy.add(f"noise-{number}", prompt, SamplingParams(30, ignore_eos=True))
    busy.step()
    assert tokens(one(busy, wish), "0") == quiet
    assert tokens(one(make_engine(), SamplingParams(24, seed=43, ignore_eos=True)), "0") != quiet


def test_max_tokens_and_stop_tokens(make_engine: MakeEngine, alone: dict[str, list[int]]) -> None:
    engine = make_engine()
    outputs = one(engine, greedy(max_tokens=5))
    assert tokens(outputs, "0") == alone["1"][:5] and outputs[-1].finish_reason == "length"
    third = alone["1"][2]
    where = alone["1"].index(third)
    outputs = one(engine, greedy(stop_token_ids=frozenset({third})))
    assert tokens(outputs, "0") == alone["1"][: where + 1]
    assert (outputs[-1].finish_reason, outputs[-1].stop_reason, outputs[-1].text) == ("stop", third, "")
    outputs = one(engine, greedy(stop_token_ids=frozenset({third}), min_tokens=10))
    assert third not in tokens(outputs, "0")[:10]


def test_the_end_token_ends_unless_ignored(make_engine: MakeEngine) -> None:
    engine = make_engine()
    (end,) = engine.eos_ids
    forced = {"logit_bias": {end: 100.0}}
    outputs = one(engine, greedy(ignore_eos=False, **forced))
    assert [o.finish_reason for o in outputs] == ["stop"] and text(outputs) == ""
    assert len(one(engine, greedy(max_tokens=4, **forced))) == 4


def test_stop_strings_end_the_text_before_them(make_engine: MakeEngine) -> None:
    engine = make_engine()
    # Bias towards letters, so that the noise is readable text, one letter per token.
    letters = {id: 50.0 for letter in "abcdefgh" for id in engine.tokenizer.encode(letter)}
    wish = {"logit_bias": letters, "temperature": 1.0, "seed": 3}
    whole = text(one(engine, greedy(**wish)))
    assert len(whole) == 24
    stop = whole[10:13]  # three tokens long
    at = whole.index(stop)
    outputs = one(engine, greedy(stop_strings=(stop,), **wish))
    assert text(outputs) == whole[:at]
    assert (outputs[-1].finish_reason, outputs[-1].stop_reason) == ("stop", stop)
    outputs = one(engine, greedy(stop_strings=(stop,), include_stop=True, **wish))
    assert text(outputs) == whole[: at + 3]
    assert text(one(engine, greedy(stop_strings=("xyz",), **wish))) == whole


def test_penalties_change_the_answer_as_they_promise(make_engine: MakeEngine) -> None:
    engine = make_engine()
    # A large presence penalty forbids every repetition of a generated token.
    answer = tokens(one(engine, greedy(presence_penalty=1e4, max_tokens=60)), "0")
    assert len(set(answer)) == 60
    answer = tokens(one(engine, greedy(repetition_penalty=1e4, max_tokens=30)), "0")
    assert not set(answer) & set(PROMPTS[1])


def test_logprobs_are_the_models(make_engine: MakeEngine) -> None:
    engine = make_engine()
    rows: list[np.ndarray] = []
    run = engine.runner.run
    engine.runner.run = lambda chunks: (rows.append(run(chunks).copy()), rows[-1])[1]  # type: ignore[method-assign]
    outputs = one(engine, greedy(num_top_logprobs=3))
    for output, row in zip(outputs, rows, strict=True):
        assert output.token is not None
        expected = log_softmax(row[0])
        assert output.token.logprob == pytest.approx(expected[output.token.id])
        assert output.token.top[0] == (output.token.id, output.token.logprob)


@pytest.mark.parametrize(
    ("prompt", "params", "needle"),
    [
        ([], {}, "empty"),
        ([10**6], {}, "1000000"),
        ([-1], {}, "-1"),
        ([1] * 250, {}, "18 too many"),
        ([1], {"logit_bias": {10**6: 1.0}}, "logit_bias"),
        ([1], {"stop_token_ids": frozenset({10**6})}, "stop_token_ids"),
    ],
)
def test_what_cannot_run_is_refused_and_leaves_nothing(
    make_engine: MakeEngine, prompt: list[int], params: dict[str, Any], needle: str
) -> None:
    engine = make_engine()
    with pytest.raises(InputError, match=needle):
        engine.add("0", prompt, greedy(**params))
    assert not engine.requests
    assert engine.step() == []


def test_memory_must_hold_one_whole_sequence(make_engine: MakeEngine) -> None:
    with pytest.raises(InputError, match="cannot hold one sequence of 256"):
        make_engine(kv_tokens=64)
    with pytest.raises(InputError, match="4096 positions"):
        make_engine(max_len=5000)
    # The longest possible sequence runs to its end in the smallest possible memory.
    engine = make_engine(kv_tokens=256)
    assert len(one(engine, greedy(max_tokens=166), PROMPTS[3])) == 166


def test_one_requests_failure_is_its_own(make_engine: MakeEngine, alone: dict[str, list[int]]) -> None:
    engine = make_engine()
    run = engine.runner.run

    def spoil_the_second(chunks: Any) -> Any:
        logits = run(chunks).copy()
        logits[1:2] = np.nan
        return logits

    engine.add("1", PROMPTS[1], greedy())
    engine.add("bad", PROMPTS[2], greedy(), n=1)
    engine.runner.run = spoil_the_second  # type: ignore[method-assign]
    outputs = engine.step()
    engine.runner.run = run  # type: ignore[method-assign]
    assert [str(o.error) for o in outputs if o.error] == ["the model produced no finite logits"]
    outputs += finish(engine)
    assert tokens(outputs, "1") == alone["1"]


WISHES = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1, exclude_min=True),
        "top_k": st.integers(-1, 10**9),
        "min_p": st.floats(0, 1),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
        "repetition_penalty": st.floats(0.01, 100),
        "logit_bias": st.dictionaries(st.integers(0, 255).map(str), st.floats(-100, 100), max_size=3),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "stop": st.lists(st.text(min_size=1, max_size=3), max_size=3),
        "min_tokens": st.integers(0, 8),
        "logprobs": st.integers(0, 20),
        "n": st.integers(1, 3),
        "ignore_eos": st.booleans(),
    },
)


@examples(50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WISHES, min_size=1, max_size=4))
def test_whatever_the_wire_lets_through_runs_to_its_end(shared_engine: Engine, wishes: list[dict[str, Any]]) -> None:
    for number, wish in enumerate(wishes):
        request = wire.parse_request(wire.CompletionRequest, {"prompt": "x", "max_tokens": 8, **wish})
        shared_engine.add(str(number), PROMPTS[number], sampling_params(request, {}, room=100), request.n)
    outputs = finish(shared_engine)
    assert not [o.error for o in outputs if o.error]
    ended = [o for o in outputs if o.finish_reason]
    assert len(ended) == sum(wish.get("n", 1) for wish in wishes)
