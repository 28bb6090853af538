"""Pixels agree where one image is a part of the other, wherever the registration begins."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter

from core.search.placement import Placements
from core.search.registration import SIDE, grey, register
from tests.core.search.pictures import crop, picture

LIMITS = {"overlap": 0.75, "likeness": 0.8}


def agreement(query, source, *, scale=1.0, mirrored=False, shift=(0.0, 0.0)):
    place = Placements(np.ones(1), np.array([scale]), np.array([mirrored]), np.array([shift]))
    return register(query[None], source[None], place, **LIMITS).agreement[0]


def test_mirrored_images_agree_where_the_placement_says_so():
    image = picture(5)
    one, two = grey(image), grey(ImageOps.mirror(image))
    assert agreement(one, two, mirrored=True) > 0.95
    assert agreement(one, two) < 0.5


def test_registration_makes_good_for_a_rough_placement():
    image = picture(6)
    part = grey(crop(image, 0.85, at=(0.5, 0.5)))
    assert agreement(part, grey(image), scale=0.8, shift=(0.1, -0.1)) > 0.9


def test_flat_images_agree_with_nothing():
    flat = grey(Image.new("RGB", (50, 50), "white"))
    assert agreement(flat, flat) == 0


def test_what_lies_outside_agrees_with_nothing():
    image = grey(picture(7))
    assert agreement(image, image, shift=(1.8, 1.8)) == 0


def test_how_much_must_lie_inside_is_a_setting():
    image = picture(6)
    place = Placements(np.ones(1), np.ones(1), np.zeros(1, bool), np.array([[0.8, 0.0]]))
    one, two = (grey(image.crop((0, at, 200, at + 120)))[None] for at in (48, 0))
    for overlap, agrees in ((0.3, True), (0.75, False)):
        found = register(one, two, place, overlap=overlap, likeness=0.8).agreement[0]
        assert (found > 0.8) == agrees


def test_agreement_is_the_correlation_of_what_a_blur_takes_away():
    """Without anything to register, against SciPy and NumPy."""
    one, other = (grey(picture(seed)).astype(float) / 255 for seed in (8, 9))
    mixed = np.rint(255 * (0.95 * one + 0.05 * other)).astype(np.uint8)
    details = [v - gaussian_filter(v, SIDE / 24) for v in (one, mixed / 255)]
    wanted = np.corrcoef(details[0].ravel(), details[1].ravel())[0, 1]
    assert agreement(grey(picture(8)), mixed) == pytest.approx(wanted, abs=0.01)


def test_pairs_do_not_see_each_other():
    images = [grey(picture(seed)) for seed in range(4)]
    parts = [grey(crop(picture(seed), 0.9)) for seed in (0, 1, 3, 2)]
    m = len(images)
    place = Placements(np.ones(m), np.full(m, 0.9), np.zeros(m, bool), np.zeros((m, 2)))
    together = register(np.stack(parts), np.stack(images), place, **LIMITS).agreement
    alone = [agreement(*pair, scale=0.9) for pair in zip(parts, images, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-4)
