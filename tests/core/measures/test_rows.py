"""Which rows and columns are measured: a seeded sample, and one pair for each set of sources."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.config import MeasureConfig
from core.measures.rows import Pairs, Rows, leading, pair_up, sampled, standardised

NOTHING = Pairs(np.zeros((0, 3)), np.zeros((0, 3)))


def test_a_small_gallery_is_measured_whole_and_a_large_one_by_a_random_sample():
    config = MeasureConfig(images=20)
    assert sampled(20, config=config).tolist() == list(range(20))
    found = sampled(1_000, config=config)
    assert len(set(found.tolist())) == 20
    assert found.tolist() == sorted(found.tolist())
    assert found.tolist() == sampled(1_000, config=config).tolist()
    assert found.tolist() != sampled(1_000, config=MeasureConfig(images=20, seed=1)).tolist()
    assert found.max() > 500  # not the first ones


def test_every_image_is_drawn_alike():
    draws = [sampled(50, config=MeasureConfig(images=10, seed=s)) for s in range(500)]
    counts = np.bincount(np.concatenate(draws), minlength=50)
    assert stats.chisquare(counts).pvalue > 0.001


def test_leading_dimensions_are_the_first_or_those_that_vary_most():
    real = np.random.default_rng(0).normal(size=(50, 3)) * np.array([1.0, 9.0, 3.0])
    ordered, loose = (
        Rows(real, real[:0], NOTHING, order) for order in (np.arange(real.shape[1]), None)
    )
    assert leading(ordered, count=2).tolist() == [0, 1]
    assert leading(loose, count=2).tolist() == [1, 2]
    assert leading(loose, count=9).tolist() == [1, 2, 0]


def test_images_of_the_same_sources_are_one_pair():
    """Each was a pair of its own, with equal real rows, as if they were independent."""
    real = np.eye(3)
    synthetic = np.array([[1.0, 2, 3], [3, 2, 1], [0, 0, 9], [5, 5, 5]])
    found = pair_up([[1], [1], [], [2, 0]], real, synthetic)
    np.testing.assert_allclose(found.real, [[0, 1, 0], [0.5, 0, 0.5]])
    np.testing.assert_allclose(found.synthetic, [[2, 2, 2], [5, 5, 5]])
    again = pair_up([[0, 2], [2, 0, 0]], real, synthetic[:2])
    assert len(again.real) == 1


def test_nothing_known_gives_no_pairs():
    found = pair_up([[], []], np.eye(3), np.ones((2, 3)))
    assert found.real.shape == found.synthetic.shape == (0, 3)


def test_standard_columns_have_mean_0_and_variance_1():
    found = standardised(np.random.default_rng(0).normal(2, 5, (40, 3)).astype(np.float32))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=0), 1)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e9])
def test_a_constant_column_becomes_zero(value):
    """The mean of equal numbers is not always that number to the last bit."""
    rows = np.full((7, 2), value, np.float32)
    rows[:, 1] = np.arange(7)
    assert not standardised(rows)[:, 0].any()
