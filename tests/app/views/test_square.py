from __future__ import annotations

import numpy as np

from app.views.square import within_square


def test_the_map_fills_the_square_whatever_its_outliers():
    """One far point had squeezed all others into a corner."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1_000, 2)) * [9, 1] + 100
    points[0] = [10_000, 100]
    first, second = within_square(points, points[:3])
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_allclose(first[:3], second)
    assert (np.quantile(first, 0.95, axis=0) - np.quantile(first, 0.05, axis=0) > 0.5).all()
    for axis in (0, 1):  # nobody passes anybody
        order = np.argsort(points[:, axis])
        assert (np.diff(first[order, axis]) >= 0).all()


def test_the_square_takes_points_that_are_all_alike():
    same = np.full((4, 2), 3.0)
    np.testing.assert_allclose(within_square(same, same)[0], 0.5, atol=1e-6)
