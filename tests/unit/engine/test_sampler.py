from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from zhilu.engine.choose.sampler import candidates, draw_from_all, log_softmax, make_generator, penalize, sample
from zhilu.engine.choose.sampling import SamplingParams

LOGITS = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * 3


def params(**fields: Any) -> SamplingParams:
    return SamplingParams(max_tokens=1, **fields)


def draw(count: int, logits: np.ndarray = LOGITS, seed: int = 0, **fields: Any) -> list[int]:
    generator = make_generator(seed, 0)
    return [sample(logits, params(**fields), generator, (), {}).id for _ in range(count)]


def test_greedy_takes_the_likeliest() -> None:
    assert draw(3, temperature=0) == [int(LOGITS.argmax())] * 3


def test_frequencies_follow_the_distribution() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    counts = Counter(draw(20_000, logits))
    assert [counts[i] / 20_000 for i in range(4)] == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.015)
    sharper = Counter(draw(20_000, logits, temperature=0.5))
    squares = np.array([0.5, 0.3, 0.15, 0.05]) ** 2
    assert sharper[0] / 20_000 == pytest.approx(squares[0] / squares.sum(), abs=0.015)


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_top_p_is_the_smallest_set_with_the_mass(top_p: float, scale: float) -> None:
    logits = LOGITS * np.float32(scale)
    ids, _ = candidates(logits, params(top_p=top_p))
    probabilities = np.exp(log_softmax(logits))
    order = np.argsort(-probabilities)
    size = int((probabilities[order].cumsum() < top_p).sum()) + 1
    assert set(ids) == set(order[:size])


def test_top_k_and_min_p() -> None:
    assert set(candidates(LOGITS, params(top_k=5))[0]) == set(np.argsort(-LOGITS)[:5])
    assert len(candidates(LOGITS, params(top_k=5000))[0]) == 1000
    ids, _ = candidates(LOGITS, params(min_p=0.1))
    probabilities = np.exp(log_softmax(LOGITS))
    assert set(ids) == set(np.flatnonzero(probabilities >= 0.1 * probabilities.max()))


def test_penalties_and_bias() -> None:
    logits = np.array([1.0, -1.0, 2.0, 0.5], dtype=np.float32)
    counts = {0: 3, 1: 1}
    assert penalize(logits, params(), (), counts) is logits
    out = penalize(logits, params(presence_penalty=0.5, frequency_penalty=0.25), (), counts)
    assert out == pytest.approx([1 - 0.5 - 0.75, -1 - 0.5 - 0.25, 2, 0.5])
    out = penalize(logits, params(repetition_penalty=2.0), {2}, counts)
    assert out == pytest.approx([0.5, -2.0, 1.0, 0.5])
    assert penalize(logits, params(logit_bias={3: 100}), (), {}) == pytest.approx([1, -1, 2, 100.5])
    assert logits == pytest.approx([1.0, -1.0, 2.0, 0.5])


def test_forbidden_tokens_do_not_come() -> None:
    best = int(LOGITS.argmax())
    assert sample(LOGITS, params(temperature=0), make_generator(0, 0), (), {}, {best}).id != best


def test_logprobs_are_of_the_unchanged_distribution() -> None:
    wish = params(temperature=0.1, top_k=3, num_top_logprobs=5)
    token = sample(LOGITS, wish, make_generator(0, 0), (), {})
    expected = LOGITS - np.logaddexp.reduce(LOGITS.astype(np.float64))
    assert token.logprob == pytest.approx(expected[token.id], abs=1e-5)
    assert [id for id, _ in token.top] == list(np.argsort(-LOGITS)[:5])
    assert [value for _, value in token.top] == pytest.approx(np.sort(expected)[::-1][:5], abs=1e-5)


def test_seeds() -> None:
    assert draw(20, seed=1) == draw(20, seed=1) != draw(20, seed=2)
    first, second = make_generator(1, 0), make_generator(1, 1)
    assert first.random(5).tolist() != second.random(5).tolist()
    assert make_generator(-1, 0).random() == make_generator(-1, 0).random()
    assert make_generator(None, 0).random() != make_generator(None, 0).random()


def test_a_plain_draw_is_the_inverse_of_the_cumulative_distribution() -> None:
    rng = np.random.default_rng(0)
    row = (3 * rng.standard_normal(5000)).astype(np.float32)
    ids, probabilities = candidates(row, SamplingParams(1, temperature=0.8))
    cumulative = probabilities.cumsum() / probabilities.sum()
    for uniform in rng.random(300):
        drawn = draw_from_all(row, 0.8, uniform)
        assert abs(cumulative[drawn] - uniform) <= probabilities[drawn] / probabilities.sum() + 1e-5
        assert ids[drawn] == drawn


@pytest.mark.parametrize("uniform", [0.0, 0.3, 1 - 2**-53, 1.0])
def test_what_cannot_come_is_never_drawn(uniform: float) -> None:
    row = np.full(1000, -np.inf, np.float32)
    row[[3, 700]] = 5.0
    assert draw_from_all(row, 1.0, uniform) == (3 if uniform < 0.5 else 700)
