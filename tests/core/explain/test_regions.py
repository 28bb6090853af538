from __future__ import annotations

import numpy as np
import pytest

from core.explain.regions import regions, standouts


def islands(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Three tight islands, each smaller than the one before, and which each point is of."""
    rng = np.random.default_rng(0)
    of = np.repeat([0, 1, 2], [3 * count, 2 * count, count])
    centres = np.array([[0.2, 0.2], [0.8, 0.3], [0.5, 0.8]])
    return (centres[of] + rng.normal(0, 0.02, (len(of), 2))).astype(np.float32), of


def test_islands_are_regions_the_largest_first():
    points, of = islands()
    np.testing.assert_array_equal(regions(points, blur=0.05), of)


def test_a_wide_kernel_makes_fewer_regions_than_a_narrow_one():
    points = np.random.default_rng(1).uniform(size=(2_000, 2)).astype(np.float32)
    counts = [len(np.unique(regions(points, blur=blur))) for blur in (0.02, 0.06, 0.5)]
    assert counts[0] > counts[1] > counts[2] == 1


def test_no_points_have_no_regions_and_bad_ones_are_refused():
    assert len(regions(np.zeros((0, 2), np.float32), blur=0.1)) == 0
    with pytest.raises(ValueError, match="finite"):
        regions(np.full((3, 2), np.nan, np.float32), blur=0.1)
    with pytest.raises(ValueError, match="blur"):
        regions(np.zeros((3, 2), np.float32), blur=0.0)


def test_the_value_of_a_region_names_it_with_its_shares():
    _, of = islands()
    kind = np.array(["glass", "wood", ""])[of]
    kind[:18] = "wood"  # a tenth of the first island
    found = standouts(of, {"material": kind.tolist()})
    assert found[0] is not None
    assert (found[0].column, found[0].value) == ("material", "glass")
    assert found[0].share == pytest.approx(0.9)
    assert found[0].overall == pytest.approx(162 / 360)
    assert found[1] is not None
    assert found[1].value == "wood"
    assert found[2] is None  # what is not said is no name


def test_chance_names_no_region():
    """Twenty regions of 30 images and 300 values: some lift is large, none is more than chance."""
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(20), 30)
    columns = {f"c{i}": rng.integers(0, 30, 600).astype(str).tolist() for i in range(10)}
    assert standouts(labels, columns) == [None] * 20


def test_what_all_images_share_and_what_few_have_names_nothing():
    labels = np.repeat([0, 1], 50)
    assert standouts(labels, {"a": ["same"] * 100}) == [None, None]
    few = standouts(np.where(np.arange(100) < 5, 0, 1), {"a": ["x"] * 5 + ["y"] * 95})
    assert few[0] is None
