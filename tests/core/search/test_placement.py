"""Placements of crops, found by a vote of their patches."""

from __future__ import annotations

import numpy as np
import pytest

from core.search.placement import placements
from tests.core.search.pictures import GRID, crop, described, picture


def test_the_placement_of_a_known_crop():
    image = picture(4)
    part = crop(image, 0.64, at=(1, 1))
    found = placements(described(image)[None], described(part)[None], grid=GRID)
    assert not found.mirrored[0]
    assert found.scale[0] > 1
    assert found.shift[0] == pytest.approx((-0.56, -0.56), abs=0.4)


def test_pairs_do_not_see_each_other():
    """Votes of many pairs are counted at once; each must get what it gets alone."""
    images = [picture(seed) for seed in range(5)]
    queries = np.stack([described(image) for image in images])
    sources = np.stack([described(crop(image, 0.8, at=(0, 1))) for image in images[::-1]])
    together = placements(queries, sources, grid=GRID)
    for i in range(5):
        alone = placements(queries[i : i + 1], sources[i : i + 1], grid=GRID)
        for name, values in vars(alone).items():
            np.testing.assert_array_equal(getattr(together, name)[i], values[0])
    assert together.votes.argmax() == 2  # the one pair of an image and its own crop
