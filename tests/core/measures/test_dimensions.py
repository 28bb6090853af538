"""Dimensions that come back are told from those that do not, and keep their factors."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import HeadConfig, MeasureConfig
from core.heads.fit import fit_head
from core.measures.dimensions import (
    Dimensions,
    matched_similarity,
    stability,
)


def test_spread_directions_are_stable_and_equal_ones_are_not():
    """Whitening fixes directions by their variances; where those are equal, any basis will do."""
    rng = np.random.default_rng(0)
    scales = np.array([16.0, 8, 4, *[1] * 12])
    features = (rng.standard_normal((400, 15)) * scales).astype(np.float32)
    head = fit_head(features, config=HeadConfig(k=15, shrinkage=0.0))
    found = stability(features, head, config=MeasureConfig(refits=4))
    assert found.shape == (15,)
    assert found[:3].min() > 0.95
    assert found[3:].mean() < MeasureConfig().stable
    assert (found == stability(features, head, config=MeasureConfig(refits=4))).all()


def test_a_head_without_a_fit_is_stable():
    features = np.random.default_rng(1).standard_normal((50, 4)).astype(np.float32)
    head = fit_head(features, config=HeadConfig(kind="identity"))
    np.testing.assert_allclose(stability(features, head, config=MeasureConfig(refits=2)), 1)


def test_a_head_of_other_data_is_less_stable():
    rng = np.random.default_rng(2)
    scales = np.array([8.0, 4, 2, 1])
    here = (rng.standard_normal((400, 4)) * scales).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0].astype(np.float32)
    config = HeadConfig(k=4, shrinkage=0.0)
    own, other = (fit_head(rows, config=config) for rows in (here, here @ turn))
    assert stability(here, own, config=MeasureConfig(refits=2)).min() > 0.95
    assert stability(here, other, config=MeasureConfig(refits=2)).mean() < 0.9


def test_no_refits_are_refused():
    with pytest.raises(ValueError, match="got 0"):
        MeasureConfig(refits=0)


def test_what_is_followed():
    shares = np.array([[0.3, 0.6], [0.05, 0.09]])
    found = Dimensions(np.array([0.9, 0.7]), ("colour", "shape"), shares)
    assert found.followed(0) == ("shape", 0.6)
    assert found.followed(1) is None
    assert found.stable.tolist() == [True, False]
    assert Dimensions(np.ones(2), (), np.zeros((2, 0))).followed(1) is None
    with pytest.raises(ValueError, match=r"0\.\.1, got 2"):
        found.followed(2)


def test_what_counts_as_stable_and_followed_are_settings():
    lenient = MeasureConfig(stable=0.6, follows=0.01)
    found = Dimensions(np.array([0.7]), ("a",), np.array([[0.05]]), lenient)
    assert found.stable.tolist() == [True]
    assert found.followed(0) == ("a", 0.05)


# Partners


def test_a_permutation_and_signs_change_no_similarity():
    rows = np.random.default_rng(0).standard_normal((500, 6))
    order = np.array([3, 1, 5, 0, 2, 4])
    other = rows[:, order] * np.array([1, -2, 3, -1, 1, -5.0]) + 7
    np.testing.assert_allclose(matched_similarity(rows, other), 1)


def test_partners_are_matched_one_to_one():
    """The second dimension would also choose the first one's partner."""
    rng = np.random.default_rng(1)
    one = rng.standard_normal((4000, 2))
    two = np.stack([one[:, 0] + 0.5 * one[:, 1], rng.standard_normal(4000)], axis=1)
    found = matched_similarity(one, two)
    assert found[0] == pytest.approx(1 / np.sqrt(1.25), abs=0.03)
    assert found[1] < 0.1


def test_unrelated_and_missing_dimensions_are_not_similar():
    rng = np.random.default_rng(2)
    one, two = rng.standard_normal((2, 4000, 5))
    assert matched_similarity(one, two).max() < 0.1
    found = matched_similarity(one, one[:, :2])
    np.testing.assert_allclose(found, [1, 1, 0, 0, 0])
    assert matched_similarity(np.ones((9, 2)), np.ones((9, 2))).tolist() == [0, 0]
