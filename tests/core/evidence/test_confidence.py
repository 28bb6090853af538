"""The confidence is a law of the strength, moved by the prior, bounded by what a null can tell."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from core.config import AnswerConfig
from core.evidence.confidence import borne_out, confidence, stated

LAW = {"midpoint": 3.0, "slope": 2.0, "surest": 7.0, "largest_odds": 1e6}
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


@pytest.mark.parametrize(("strength", "sign"), [(-1e9, -1), (1e9, 1)])
@pytest.mark.parametrize("surest", [2.0, 7.0])
def test_nothing_is_certain(strength, sign, surest):
    found = confidence(strength, prior=0.5, **{**LAW, "surest": surest})
    assert math.log(odds(found)) == pytest.approx(sign * surest)


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


@given(STANDINGS, SHARES, st.floats(1, 1e4))
def test_the_odds_of_the_evidence_are_at_most_those_that_are_borne_out(strength, prior, most):
    found = confidence(strength, prior=prior, **{**LAW, "largest_odds": most})
    assert odds(found) <= odds(prior) * most * (1 + 1e-9)


def test_odds_below_even_are_refused():
    with pytest.raises(ValueError, match="largest_odds"):
        confidence(1.0, prior=0.5, **{**LAW, "largest_odds": 0.5})


@pytest.mark.parametrize(("size", "most"), [(30, 10), (300, 100), (3_000, 1_000)])
def test_beyond_all_of_a_null_the_rule_of_three_holds(size, most):
    found = borne_out(1 / (size + 1), null_size=size, level=0.05)
    assert found == pytest.approx(most, rel=0.06)


@pytest.mark.parametrize(
    ("as_strong", "size", "share"), [(1, 50, 0.0914), (5, 200, 0.0519), (10, 1_000, 0.0169)]
)
def test_odds_are_one_over_the_upper_bound_of_a_binomial_share(as_strong, size, share):
    """One-sided 95 % bounds by the definition: so few are found with a chance of .05."""
    assert binom.cdf(as_strong, size, share) == pytest.approx(0.05, abs=0.001)
    found = borne_out((as_strong + 1) / (size + 1), null_size=size, level=0.5)
    assert found == pytest.approx(1 / share, rel=0.01)


@given(st.floats(1e-4, 1), st.floats(1e-4, 1), st.integers(1, 2_000))
def test_a_larger_p_value_never_bears_out_more(one, two, size):
    low, high = (borne_out(p, null_size=size, level=0.05) for p in sorted((one, two), reverse=True))
    assert low <= high


@pytest.mark.parametrize("p_value", [0.051, 0.4, 1.0])
def test_what_does_not_stand_out_is_no_likelier_a_source_than_not(p_value):
    assert borne_out(p_value, null_size=2_000, level=0.05) == 1
    assert stated(30.0, AnswerConfig(), p_value=p_value, null_size=2_000) == 0.5


@pytest.mark.parametrize("p_value", [0.0, -1.0, 1.1, math.nan])
def test_a_p_value_that_is_none_is_refused(p_value):
    with pytest.raises(ValueError, match="p_value"):
        borne_out(p_value, null_size=10, level=0.05)


def test_a_null_of_none_is_refused():
    with pytest.raises(ValueError, match="null_size"):
        borne_out(1.0, null_size=0, level=0.05)
