from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.evidence.influence import contested, decompose, influences

UNITS = np.eye(6)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_a_half_and_half_composite():
    weights = decompose(UNITS[0] + UNITS[1], UNITS[:4])
    np.testing.assert_allclose(weights, np.array([1, 1, 0, 0]) / np.sqrt(2), atol=1e-12)
    np.testing.assert_allclose(influences(weights, none=0.0).shares, [0.5, 0.5, 0, 0], atol=1e-12)


def test_a_copy_is_all_one_source():
    sources = np.random.default_rng(0).standard_normal((5, 20))
    weights = decompose(3 * sources[2], sources)
    np.testing.assert_allclose(weights, [0, 0, 1, 0, 0], atol=1e-9)


def test_an_uneven_mixture_keeps_its_proportions():
    """Unlike a split by cosine, sources that overlap are not counted twice."""
    sources = unit(np.random.default_rng(1).uniform(0, 1, (4, 30)))
    weights = decompose(0.7 * sources[0] + 0.3 * sources[3], sources)
    np.testing.assert_allclose(influences(weights, none=0.0).shares, [0.7, 0, 0, 0.3], atol=1e-9)


@pytest.mark.parametrize("query", [UNITS[5], -UNITS[0], 0 * UNITS[0]])
def test_an_unrelated_query_has_no_sources(query):
    weights = decompose(query, UNITS[:4])
    np.testing.assert_array_equal(weights, 0)
    found = influences(weights, none=0.2)
    assert found.none == 1
    assert found.shares.sum() == 0


def test_a_duplicated_source_changes_nothing_once_grouped():
    rng = np.random.default_rng(2)
    sources = rng.standard_normal((3, 12))
    query = sources[0] + sources[1]
    alone = influences(decompose(query, sources), none=0.1).shares
    copied = decompose(query, np.concatenate([sources, sources[:1]]))
    assert copied[0] + copied[3] == pytest.approx(decompose(query, sources)[0], abs=1e-9)
    groups = np.array([0, 1, 2, 0])
    first = np.unique(groups, return_index=True)[1]
    grouped = np.concatenate([sources, sources[:1]])[first]
    np.testing.assert_allclose(influences(decompose(query, grouped), none=0.1).shares, alone)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 50), d=st.integers(1, 40))
def test_karush_kuhn_tucker_conditions_hold(seed, n, d):
    """w >= 0, gradient >= 0, and one of the two 0 everywhere: necessary and sufficient here."""
    rng = np.random.default_rng(seed)
    query, sources = rng.standard_normal(d), rng.standard_normal((n, d)) + 0.3
    weights = decompose(query, sources)
    gradient = unit(sources) @ (weights @ unit(sources) - unit(query))
    assert (weights >= 0).all()
    assert (gradient >= -1e-9).all()
    np.testing.assert_allclose(weights * gradient, 0, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(
    weights=st.lists(st.floats(0, 1e6, allow_subnormal=False), max_size=50),
    none=st.floats(0, 1),
)
def test_shares_and_none_sum_to_one(weights, none):
    found = influences(np.array(weights, dtype=float), none=none)
    assert abs(found.shares.sum() + found.none - 1) <= 1e-12
    assert ((found.shares >= 0) & (found.shares <= 1)).all()


def test_shares_keep_the_proportions_of_the_weights():
    found = influences(np.array([0.2, 0.6]), none=0.5)
    np.testing.assert_allclose(found.shares, [0.125, 0.375])


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"none must be in \[0, 1\], got 1.5"):
        influences(np.ones(2), none=1.5)
    with pytest.raises(ValueError, match="not negative"):
        influences(np.array([-0.1, 1]), none=0.0)
    with pytest.raises(ValueError, match="finite"):
        influences(np.array([np.nan]), none=0.0)
    with pytest.raises(ValueError, match="must be finite"):
        decompose(np.array([np.nan, 1]), UNITS[:2, :2])


def test_every_patch_goes_to_the_source_that_explains_it_best():
    strengths = np.array([[0.9, 0.2, 0.0, 0.5], [0.3, 0.8, 0.0, 0.5]])
    np.testing.assert_allclose(contested(strengths), [0.9 + 0.25, 0.8 + 0.25])


def test_a_source_that_is_second_everywhere_explains_nothing():
    strengths = np.array([[0.9, 0.8], [0.5, 0.7]])
    np.testing.assert_allclose(contested(strengths), [1.7, 0])
    np.testing.assert_allclose(contested(np.zeros((2, 3))), [0, 0])
