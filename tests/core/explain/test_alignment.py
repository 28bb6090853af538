"""A query is laid over its source where pixels agree, and flat patches show nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.explain.alignment import aligned, telling
from core.search.patches import region_match
from tests.core.search.pictures import GRID, crop, described, picture


def _aligned(query, source):
    images = (query, source)
    return aligned(described(query), described(source), grid=GRID, images=images)


def test_a_crop_is_laid_where_it_was_cut():
    whole = picture(0)
    found = _aligned(crop(whole, 0.75, at=(0.6, 0.3)), whole)
    assert found is not None
    assert not found.mirrored
    assert found.scale == pytest.approx((0.75, 0.75), abs=0.05)
    assert found.shift == pytest.approx((-0.1, 0.05), abs=0.06)


def test_a_mirrored_copy_is_turned():
    found = _aligned(ImageOps.mirror(picture(1)), picture(1))
    assert found is not None
    assert found.mirrored
    assert found.scale == pytest.approx((1, 1), abs=0.03)


def test_other_pictures_are_not_laid_over_one_another():
    assert _aligned(picture(2), picture(3)) is None


def test_matches_on_a_flat_background_do_not_count():
    """Even walls of two pictures were linked as if they had been taken from one another."""
    shown = Image.new("RGB", (200, 200), (180, 180, 180))
    shown.paste(picture(4, side=100), (100, 100))
    local = described(shown)
    whole = region_match(local, local, query_grid=GRID, source_grid=GRID)
    found = telling(whole, (shown, shown))
    assert len(found.pairs) < len(whole.pairs)
    rows, columns = np.divmod(found.pairs[:, 0], GRID.columns)
    assert (rows >= 5).all() and (columns >= 5).all()
    assert len(found.pairs) >= 20
    heat = found.query_heat.reshape(10, 10)
    assert heat[:5].max() == heat[:, :5].max() == 0
    assert heat[5:, 5:].min() > 0
