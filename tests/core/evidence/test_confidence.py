"""The confidence is a logistic law of the standing, moved by the prior as Bayes' rule says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evidence.confidence import confidence

LAW = {"turning": 3.0, "steepness": 2.0}
SHARES = st.floats(0.01, 0.99)
STANDINGS = st.floats(-50, 50)


def odds(probability: float) -> float:
    return probability / (1 - probability)


def test_it_is_one_half_at_the_turning_point():
    assert confidence(3.0, prior=0.5, **LAW) == pytest.approx(0.5)


def test_one_median_more_multiplies_the_odds():
    low, high = (confidence(x, prior=0.5, **LAW) for x in (2.5, 3.5))
    assert odds(high) / odds(low) == pytest.approx(math.exp(2))


@given(STANDINGS, STANDINGS, SHARES)
def test_standing_out_further_never_means_less(one, two, prior):
    low, high = sorted((one, two))
    assert confidence(low, prior=prior, **LAW) <= confidence(high, prior=prior, **LAW)


@given(STANDINGS, SHARES)
def test_the_prior_multiplies_the_odds(standing, prior):
    even = confidence(standing, prior=0.5, **LAW)
    found = confidence(standing, prior=prior, **LAW)
    assert odds(found) == pytest.approx(odds(even) * odds(prior), rel=1e-6)


@pytest.mark.parametrize("standing", [-1e9, 1e9])
def test_nothing_is_certain(standing):
    assert 0.0005 < confidence(standing, prior=0.5, **LAW) < 0.9995


@pytest.mark.parametrize("standing", [math.nan, math.inf])
def test_a_standing_that_is_no_number_is_refused(standing):
    with pytest.raises(ValueError, match="standing"):
        confidence(standing, prior=0.5, **LAW)


@pytest.mark.parametrize("prior", [0.0, 1.0, -1.0, math.nan])
def test_a_prior_that_decides_everything_is_refused(prior):
    with pytest.raises(ValueError, match="prior"):
        confidence(1.0, prior=prior, **LAW)


def test_a_law_that_does_not_rise_is_refused():
    with pytest.raises(ValueError, match="steepness"):
        confidence(1.0, prior=0.5, turning=3.0, steepness=0.0)
