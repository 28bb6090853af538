"""The calibrator is an e-value, and the confidence is Bayes' rule with it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from core.calibration import bayes_factor, confidence

SHARES = st.floats(0.01, 0.99)
P_VALUES = st.floats(1e-6, 1.0)


@pytest.mark.parametrize("kappa", [0.05, 0.1, 0.5, 0.9])
def test_the_mean_under_the_null_is_one(kappa):
    # With u = log p the integrand has no pole: p^kappa kappa du.
    found, _ = quad(lambda u: bayes_factor(float(np.exp(u)), kappa=kappa) * np.exp(u), -500, 0)
    assert found == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("m", [1, 9, 500])
def test_the_mean_over_conformal_p_values_is_at_most_one(m):
    p_values = np.arange(1, m + 2) / (m + 1)  # each equally likely under the null
    mean = np.mean([bayes_factor(float(p), kappa=0.1) for p in p_values])
    assert mean <= 1


@given(P_VALUES, P_VALUES, SHARES, SHARES)
def test_smaller_p_values_never_mean_less(one, two, prior, kappa):
    low, high = sorted((one, two))
    assert bayes_factor(low, kappa=kappa) >= bayes_factor(high, kappa=kappa)
    assert confidence(low, prior=prior, kappa=kappa) >= confidence(high, prior=prior, kappa=kappa)


@given(P_VALUES, SHARES, SHARES)
def test_confidence_is_bayes_rule(p_value, prior, kappa):
    found = confidence(p_value, prior=prior, kappa=kappa)
    assert 0 < found < 1
    source, none = prior * kappa * p_value ** (kappa - 1), 1 - prior
    assert found == pytest.approx(source / (source + none))


def test_no_evidence_lowers_the_prior():
    assert confidence(1.0, prior=0.5, kappa=0.1) < 0.5
    assert confidence(1 / 501, prior=0.5, kappa=0.1) > 0.95
    assert confidence(1 / 501, prior=0.01, kappa=0.1) < 0.5


@pytest.mark.parametrize("p_value", [0.0, -0.1, 1.01, float("nan")])
def test_wrong_p_values_are_refused(p_value):
    with pytest.raises(ValueError, match="p_value"):
        bayes_factor(p_value, kappa=0.1)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_wrong_settings_are_refused(share):
    with pytest.raises(ValueError, match="kappa"):
        bayes_factor(0.5, kappa=share)
    with pytest.raises(ValueError, match="prior"):
        confidence(0.5, prior=share, kappa=0.1)
