"""The combination of aspects is valid however they depend, and keeps what one of them shows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pmean

from core.evidence.combination import Combination, combined

A = 4


def _asked(rng, count, *, shared, aspects=A):
    """Queries without a source: three groups each, in aspects that share a part of their noise."""
    for _ in range(count):
        common, own = rng.exponential(size=(3, 1)), rng.exponential(size=(3, aspects))
        yield shared * common + (1 - shared) * own


def test_strength_is_minus_the_log_of_a_mean_between_the_harmonic_and_the_geometric():
    p_values = np.random.default_rng(0).uniform(0.01, 1, (5, A))
    np.testing.assert_allclose(combined(p_values), -np.log(pmean(p_values, -0.5, axis=1)))
    assert combined(np.ones((1, A)))[0] == 0


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
@pytest.mark.slow
def test_queries_without_a_source_get_valid_p_values(shared):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        null = Combination.of(list(_asked(rng, 200, shared=shared)), aspects=A)
        found += [
            null.p_value(null.strength(values).max()) for values in _asked(rng, 50, shared=shared)
        ]
    for level in (0.01, 0.05, 0.2):
        error = 4 * np.sqrt(level / len(found))
        assert np.mean(np.array(found) <= level) <= level + error


@pytest.mark.parametrize("count", [20, 50])
@pytest.mark.slow
def test_they_are_valid_in_galleries_of_few_images_too(count):
    """Tails fitted to the null's own largest values made later queries look rare: .14 at .05."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        null = Combination.of(list(_asked(rng, count, shared=0.0, aspects=7)), aspects=7)
        asked = _asked(rng, 50, shared=0.0, aspects=7)
        found += [null.p_value(null.strength(values).max()) for values in asked]
    assert np.mean(np.array(found) <= 0.05) <= 0.06


def test_one_aspect_is_enough_where_a_sum_is_drowned():
    """A query that stands out in one of four aspects, of which one is noisy."""
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 1, 1, 20])
    rows = [values * scale for values in _asked(rng, 500, shared=0.0)]
    null = Combination.of(rows, aspects=A)
    query = np.array([[12.0, 1, 1, 20]])
    assert null.p_value(null.strength(query)[0]) <= 0.01
    sums = np.sort([values.sum(axis=1).max() for values in rows])
    assert np.mean(sums >= query.sum()) > 0.05


def test_an_aspect_s_p_value_is_the_share_of_queries_of_which_some_group_is_as_far():
    rows = [np.array([[x, 0.0], [x / 2, 1.0]]) for x in range(1, 11)]
    null = Combination.of(rows, aspects=2)
    np.testing.assert_array_equal(null.largest[:, 0], np.arange(1, 11))
    found = null.aspect_p_values(np.array([[4.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_allclose(found, [[8 / 11, 1.0], [1.0, 1 / 11]])


def test_a_value_beyond_the_null_is_rarer_the_further_it_is():
    values = np.random.default_rng(0).exponential(size=(500, 1, 1))
    null = Combination.of(list(values), aspects=1)
    far, further = null.aspect_p_values(np.array([[10.0], [20.0]]))[:, 0]
    assert further < far < 1 / 501
    assert null.strength(np.array([[1e9]]))[0] < np.inf
    assert null.strength(np.array([[-np.inf]]))[0] == 0


def _exponential(count=2000):
    values = np.random.default_rng(0).exponential(size=count)
    return Combination(np.sort(values)[:, None], np.sort(values))


def test_no_p_value_is_below_one_over_m_plus_one():
    assert _exponential(499).p_value(1e9) == pytest.approx(1 / 500)
    assert Combination(np.zeros((0, 1)), np.zeros(0)).p_value(1e9) == 1.0


def test_the_tail_goes_on_from_the_counted_share():
    null = _exponential()
    threshold = float(null.strengths[-201])
    assert null.tail_p_value(threshold - 0.1) == null.conformal_p_value(threshold - 0.1)
    assert null.tail_p_value(threshold + 1e-6) == pytest.approx(0.1, abs=0.002)
    assert 0 < null.tail_p_value(1e3) < null.conformal_p_value(1e3) == null.p_value(1e3)


def test_the_p_value_is_the_larger_share():
    null, at = _exponential(), np.linspace(0, 10, 50)
    counted = np.array([null.conformal_p_value(x) for x in at])
    smooth = np.array([null.tail_p_value(x) for x in at])
    np.testing.assert_array_equal([null.p_value(x) for x in at], np.maximum(counted, smooth))
    assert (counted > smooth).any()
    assert (smooth > counted).any()


def test_few_values_are_counted():
    assert _exponential(50).tail_p_value(1e9) == pytest.approx(1 / 51)
