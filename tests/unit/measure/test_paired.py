"""Significance of paired differences, against values worked out by hand and by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zhilu.measure.paired import bootstrap, mcnemar


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [(0, 0, 1.0), (0, 5, 0.0625), (0, 6, 0.03125), (1, 9, 22 / 1024), (4, 4, 1.0), (2, 12, 212 / 2**14)],
)
def test_mcnemar_is_the_binomial_tail(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == pytest.approx(p)
    assert mcnemar(only_b, only_a) == pytest.approx(p)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_a_probability(a: int, b: int) -> None:
    assert 0 < mcnemar(a, b) <= 1


def test_bootstrap_of_a_sure_lead_stays_above_zero() -> None:
    found = bootstrap([1.0] * 8 + [0.0] * 12)
    assert found.mean == pytest.approx(0.4)
    assert 0 < found.low < found.mean < found.high
    # the exact standard error of the mean of twenty is sqrt(0.24 / 20)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * (0.24 / 20) ** 0.5, rel=0.12)


def test_bootstrap_of_nothing_and_of_no_difference() -> None:
    assert bootstrap([]) == (0.0, 0.0, 0.0)
    assert bootstrap(np.zeros(9)) == (0.0, 0.0, 0.0)
    assert bootstrap([1, -1, 1, -1]).low < 0 < bootstrap([1, -1, 1, -1]).high
