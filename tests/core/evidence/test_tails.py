"""p-values by counting are valid, and tails find the distribution that they are fitted to."""

from __future__ import annotations

import numpy as np
import pytest

from core.evidence.tails import conformal, exponential_tail, pareto_tail


def test_p_values_of_exchangeable_scores_are_valid_and_almost_exact():
    """P(p <= a) <= a at every a, and equal to floor(a (m + 1)) / (m + 1)."""
    rng = np.random.default_rng(0)
    m, trials = 19, 4000
    found = np.empty(trials)
    for trial in range(trials):
        scores = rng.standard_normal(m + 1).astype(np.float32)
        found[trial] = conformal(np.sort(scores[1:]), scores[:1])[0]
    for a in (0.05, 0.1, 0.25, 0.5, 0.77):
        exact = np.floor(a * (m + 1) + 1e-9) / (m + 1)
        error = 4 * np.sqrt(exact * (1 - exact) / trials)
        assert np.mean(found <= a + 1e-9) == pytest.approx(exact, abs=error)


def test_ties_count_against_the_query():
    null = np.array([1.0, 2.0, 2.0, 3.0])
    at = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5])
    wanted = np.array([5, 5, 4, 4, 2, 2, 1]) / 5
    np.testing.assert_allclose(conformal(null, at), wanted)


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_the_fitted_tail_finds_a_pareto_tail_and_goes_beyond_the_sample(shape):
    rng = np.random.default_rng(0)
    uniform = rng.uniform(size=4000)
    values = -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape
    tail = pareto_tail(np.sort(values))
    assert tail is not None
    assert tail.share == pytest.approx(0.1)
    assert tail.shape == pytest.approx(shape, abs=0.1)
    wanted = np.array([1e-2, 1e-3, 1e-5])
    at = -np.log(wanted) if shape == 0 else (wanted**-shape - 1) / shape
    np.testing.assert_allclose(np.log10(tail.p_values(at)), np.log10(wanted), atol=0.6)


def test_the_exponential_tail_finds_the_scale_of_few_values():
    rng = np.random.default_rng(0)
    scales = []
    for _ in range(300):
        tail = exponential_tail(np.sort(rng.exponential(3.0, size=40)))
        assert tail is not None
        assert tail.share == pytest.approx(5 / 40)
        scales.append(tail.scale)
    assert np.mean(scales) == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize(("fit", "fewest"), [(pareto_tail, 200), (exponential_tail, 6)])
def test_what_has_no_tail_is_counted(fit, fewest):
    assert fit(np.arange(fewest - 1.0)) is None
    assert fit(np.arange(float(fewest))) is not None
    assert fit(np.zeros(1000)) is None
    assert fit(np.full(1000, -np.inf)) is None
    assert fit(np.zeros(0)) is None
