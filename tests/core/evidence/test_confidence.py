"""The confidence is a law of the strength, moved by the prior, bounded by what a null can tell."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evidence.confidence import confidence

LAW = {"midpoint": 3.0, "slope": 2.0, "null_size": 2_000}
SHARES = st.floats(0.01, 0.99)
STANDINGS = st.floats(-50, 50)


def odds(probability: float) -> float:
    return probability / (1 - probability)


def test_it_is_one_half_at_the_midpoint_point():
    assert confidence(3.0, prior=0.5, **LAW) == pytest.approx(0.5)


def test_one_more_multiplies_the_odds():
    low, high = (confidence(x, prior=0.5, **LAW) for x in (2.5, 3.5))
    assert odds(high) / odds(low) == pytest.approx(math.exp(2))


@given(STANDINGS, STANDINGS, SHARES)
def test_more_strength_never_means_less(one, two, prior):
    low, high = sorted((one, two))
    assert confidence(low, prior=prior, **LAW) <= confidence(high, prior=prior, **LAW)


@given(STANDINGS, SHARES)
def test_the_prior_multiplies_the_odds(strength, prior):
    even = confidence(strength, prior=0.5, **LAW)
    found = confidence(strength, prior=prior, **LAW)
    assert odds(found) == pytest.approx(odds(even) * odds(prior), rel=1e-6)


@pytest.mark.parametrize("strength", [-1e9, 1e9])
def test_nothing_is_certain(strength):
    assert 0.0005 < confidence(strength, prior=0.5, **LAW) < 0.9995


@pytest.mark.parametrize("strength", [math.nan, math.inf])
def test_a_strength_that_is_no_number_is_refused(strength):
    with pytest.raises(ValueError, match="strength"):
        confidence(strength, prior=0.5, **LAW)


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, math.nan])
def test_a_prior_that_decides_everything_is_refused(prior):
    with pytest.raises(ValueError, match="prior"):
        confidence(1.0, prior=prior, **LAW)


def test_a_law_that_does_not_rise_is_refused():
    with pytest.raises(ValueError, match="slope"):
        confidence(1.0, prior=0.5, **{**LAW, "slope": 0.0})


@given(STANDINGS, SHARES, st.integers(1, 500))
def test_the_odds_of_the_evidence_are_at_most_those_that_the_null_can_count(strength, prior, size):
    found = confidence(strength, prior=prior, **{**LAW, "null_size": size})
    assert odds(found) <= odds(prior) * max(size / 3, 1) * (1 + 1e-9)


def test_a_group_beyond_a_null_of_thirty_is_no_surer_than_ten_to_one():
    found = confidence(30.0, prior=0.5, **{**LAW, "null_size": 30})
    assert odds(found) == pytest.approx(10)


def test_a_null_of_none_is_refused():
    with pytest.raises(ValueError, match="null_size"):
        confidence(1.0, prior=0.5, **{**LAW, "null_size": 0})
