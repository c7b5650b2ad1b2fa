"""Guessing must never show in the tokens: the same answers in fewer steps, and no guessing where it does not pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zhilu.engine.choose.sampling import SamplingParams
from zhilu.engine.choose.speculate import Drafter
from zhilu.engine.engine import Engine
from zhilu.engine.sequence import Output
from zhilu.errors import InputError

PROMPT = [7, 8, 9, 10, 11, 12, 7, 8, 9]


def test_the_longest_ending_that_occurred_before_says_what_follows() -> None:
    drafter = Drafter(limit=8)
    assert drafter.propose([1, 2, 3, 4, 5, 6, 9, 2, 3], room=8) == [4, 5, 6, 9]  # begins with half the limit
    assert Drafter(8).propose([1, 2, 3, 4, 5, 6, 9, 2, 3], room=2) == [4, 5]
    assert Drafter(8).propose([1, 2, 3, 4, 5], room=8) == []
    # The ending 5, 2, 3 is the surer guide than 2, 3, though that occurred later.
    assert Drafter(2).propose([5, 2, 3, 4, 2, 3, 6, 5, 2, 3], room=8) == [4]


def test_a_text_that_repeats_itself_is_guessed_on_past_its_end() -> None:
    assert Drafter(16).propose([1, 2, 3, 1, 2, 3, 1, 2], room=8) == [3, 1, 2, 3, 1, 2, 3, 1]


def test_success_lengthens_the_guesses_and_failure_pauses_them() -> None:
    drafter, text = Drafter(limit=8), [1, 2] * 20
    assert len(drafter.propose(text, 99)) == 4
    drafter.learn(4, 4)
    assert len(drafter.propose(text, 99)) == 8
    drafter.learn(8, 2)
    assert len(drafter.propose(text, 99)) == 3
    pauses = []
    for _ in range(4):
        drafter.learn(3, 0)
        pause = 0
        while not drafter.propose(text, 99):
            pause += 1
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8]


def test_the_index_grows_with_the_text() -> None:
    rng = np.random.default_rng(0)
    text = rng.integers(0, 3, 300).tolist()
    growing = Drafter(4)
    for end in range(2, len(text)):
        assert growing.propose(text[:end], 4) == Drafter(4).propose(text[:end], 4)


def run(engine: Engine, requests: dict[str, SamplingParams], prompt: list[int] = PROMPT) -> dict[str, list[Output]]:
    for id, params in requests.items():
        engine.add(id, prompt, params)
    outputs: dict[str, list[Output]] = {id: [] for id in requests}
    while engine.requests:
        for output in engine.step():
            assert output.error is None
            outputs[output.request_id].append(output)
    pool = engine.scheduler.pool
    assert pool.num_free == pool.num_blocks
    return outputs


def ids(outputs: list[Output]) -> list[int]:
    return [output.token.id for output in outputs if output.token]


# Few tokens to choose from, so that texts repeat themselves and guesses are right and wrong by turns.
FEW = {"allowed_token_ids": frozenset(range(60, 64)), "ignore_eos": True}
WISHES = {
    "greedy": SamplingParams(60, temperature=0, ignore_eos=True),
    "greedy, few": SamplingParams(60, temperature=0, **FEW),  # type: ignore[arg-type]
    "sampled": SamplingParams(60, temperature=0.7, seed=3, **FEW),  # type: ignore[arg-type]
    "penalties": SamplingParams(60, temperature=0, repetition_penalty=1.1, frequency_penalty=0.2, **FEW),  # type: ignore[arg-type]
    "logprobs": SamplingParams(40, temperature=0, num_top_logprobs=2, **FEW),  # type: ignore[arg-type]
    "stop": SamplingParams(60, temperature=0.7, seed=5, stop_strings=("\x1f" * 3,), **FEW),  # type: ignore[arg-type]
    "one": SamplingParams(1, temperature=0, ignore_eos=True),
}


def test_every_kind_of_request_gets_the_tokens_of_plain_decoding(make_engine: Callable[..., Engine]) -> None:
    plain = run(make_engine(), WISHES)
    engine = make_engine(speculate=8)
    guessing = run(engine, WISHES)
    for name in WISHES:
        assert ids(guessing[name]) == ids(plain[name]), name
        assert [o.text for o in guessing[name]] == [o.text for o in plain[name]], name
        assert guessing[name][-1].finish_reason == plain[name][-1].finish_reason
    for ours, theirs in zip(guessing["logprobs"], plain["logprobs"], strict=True):
        assert ours.token and theirs.token and ours.token.logprob == pytest.approx(theirs.token.logprob, abs=1e-4)
    metrics = engine.metrics
    assert 0 < metrics.num_accepted_tokens < metrics.num_drafted_tokens


def test_copying_takes_fewer_steps(make_engine: Callable[..., Engine]) -> None:
    copying: dict[str, Any] = {"copy": SamplingParams(100, temperature=0, logit_bias={60: 1000.0}, ignore_eos=True)}
    plain, guessing = make_engine(), make_engine(speculate=8)
    assert ids(run(guessing, copying)["copy"]) == ids(run(plain, copying)["copy"]) == [60] * 100
    assert guessing.metrics.num_steps < plain.metrics.num_steps / 4


def test_scarce_memory_goes_to_nobodys_guesses(make_engine: Callable[..., Engine]) -> None:
    requests = {str(seed): SamplingParams(80, temperature=0.5, seed=seed, **FEW) for seed in range(5)}  # type: ignore[arg-type]
    plain = run(make_engine(), requests)
    tight = make_engine(speculate=8, max_len=96, kv_tokens=192, max_batch_tokens=16)
    guessing = run(tight, requests)
    assert {id: ids(o) for id, o in guessing.items()} == {id: ids(o) for id, o in plain.items()}
    assert tight.scheduler.num_preemptions > 0


def test_a_grammar_holds_under_guessing(make_engine: Callable[..., Engine]) -> None:
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_regex("(red, green, ){6}")
    wish = {"guided": SamplingParams(120, temperature=1.0, seed=1, grammar=grammar)}
    engine = make_engine(speculate=8)
    text = "".join(output.text for output in run(engine, wish)["guided"])
    assert text == "red, green, " * 6
    assert engine.metrics.num_accepted_tokens > 20  # the grammar itself says what comes


@pytest.mark.parametrize("number", [-1, 65])
def test_numbers_that_cannot_be_are_refused(number: int) -> None:
    from zhilu.engine.options import check_speculate

    with pytest.raises(InputError, match=str(number)):
        check_speculate(number)
