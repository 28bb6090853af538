from __future__ import annotations

import numpy as np
import pytest

from core.measures.jackknife import GROUPS, estimate, gained, groups_of
from core.measures.reports import MEASURES


def left_out(rows: np.ndarray) -> np.ndarray:
    return np.array([rows[stay].mean() for stay in groups_of(len(rows))])


def test_each_row_is_left_out_once():
    stays = groups_of(37)
    assert len(stays) == GROUPS
    gone = np.concatenate([np.setdiff1d(np.arange(37), stay) for stay in stays])
    np.testing.assert_array_equal(np.sort(gone), np.arange(37))


def test_intervals_of_a_mean_hold_it_as_often_as_they_say():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(400, 100))
    found = [estimate(float(rows.mean()), left_out(rows)) for rows in samples]
    covered = np.mean([each.low <= 1 <= each.high for each in found])
    assert 0.91 <= covered <= 0.97


def test_a_difference_on_the_same_images_is_surer_than_its_sides():
    rng = np.random.default_rng(0)
    one = rng.normal(size=200)
    two = one + 0.1 + 0.01 * rng.normal(size=200)
    sides = [(float(rows.mean()), left_out(rows)) for rows in (one, two)]
    gain = gained(MEASURES["rankme"], *sides)
    first, second = (estimate(*side) for side in sides)
    assert gain.low > 0
    assert first.high > second.low, "apart they could be the same"
    assert gained(MEASURES["mean_abs_correlation"], *sides).high < 0


def test_an_interval_ends_where_values_do():
    found = estimate(0.9, np.linspace(0.5, 1, 10), bounds=(0.0, 1.0))
    assert found.low < 0.9 and found.high == 1


def test_an_interval_needs_groups():
    with pytest.raises(ValueError, match="two groups, got 1"):
        estimate(1.0, np.ones(1))
