"""Crops are found by what they show; images that only resemble each other are not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.encoders.descriptors import quantize
from core.search.crops import (
    Placement,
    agreement,
    crop_links,
    grey,
    placements,
)
from core.values import Grid

GRID = Grid(10, 10)


def picture(seed, side=200):
    rng = np.random.default_rng(seed)
    coarse, fine = (rng.integers(0, 256, (n, n, 3), np.uint8) for n in (6, 25))
    both = [
        np.asarray(Image.fromarray(a).resize((side, side), Image.Resampling.BICUBIC), np.float32)
        for a in (coarse, fine)
    ]
    return Image.fromarray((0.6 * both[0] + 0.4 * both[1]).astype(np.uint8))


def described(image):
    """Descriptors of a grid: the pixels of every patch."""
    pixels = np.asarray(image.convert("RGB").resize((40, 40), Image.Resampling.BOX), np.float32)
    patches = pixels.reshape(10, 4, 10, 4, 3).transpose(0, 2, 1, 3, 4).reshape(100, -1)
    return quantize(patches[None] - patches.mean())[0]


def crop(image, share, at=(0.6, 0.3)):
    width, height = int(image.width * share), int(image.height * share)
    left, top = int((image.width - width) * at[0]), int((image.height - height) * at[1])
    return image.crop((left, top, left + width, top + height))


def links_of(images):
    patches = np.stack([described(image) for image in images])
    n = len(images)
    table = np.array([[j for j in range(n) if j != i] for i in range(n)])
    return {
        tuple(sorted(map(int, pair)))
        for pair in crop_links(table, patches, load=images.__getitem__)
    }


@pytest.mark.parametrize("share", [0.95, 0.85, 0.75])
def test_crops_are_found_from_either_side(share):
    images = [
        picture(0),
        crop(picture(0), share),
        picture(1),
        crop(picture(1), share, at=(0.1, 0.9)),
    ]
    assert links_of(images) == {(0, 1), (2, 3)}
    assert links_of(images[::-1]) == {(0, 1), (2, 3)}


def test_recompressed_and_smaller_crops_are_found(tmp_path):
    small = crop(picture(2), 0.85).resize((70, 70))
    small.save(tmp_path / "small.jpg", quality=40)
    assert links_of([picture(2), Image.open(tmp_path / "small.jpg")]) == {(0, 1)}


def test_other_pictures_are_no_crops():
    assert links_of([picture(seed) for seed in range(6)]) == set()


def test_two_views_that_share_half_of_their_area_are_not_copies():
    whole = picture(3, side=300)
    assert links_of([whole.crop((0, 0, 200, 200)), whole.crop((100, 0, 300, 200))]) == set()


def test_the_placement_of_a_known_crop():
    image = picture(4)
    part = crop(image, 0.64, at=(1, 1))
    found = placements(described(image), described(part)[None], grid=GRID)[0]
    assert not found.mirrored
    assert found.scale > 1
    assert found.shift == pytest.approx((-0.56, -0.56), abs=0.4)


def test_mirrored_images_agree_where_the_placement_says_so():
    image = picture(5)
    one, two = grey(image), grey(ImageOps.mirror(image))
    assert agreement(one, two, Placement(1.0, 1.0, True, (0.0, 0.0))) > 0.95
    assert agreement(one, two, Placement(1.0, 1.0, False, (0.0, 0.0))) < 0.5


def test_registration_makes_good_for_a_rough_placement():
    image = picture(6)
    rough = Placement(1.0, 0.8, False, (0.1, -0.1))
    assert agreement(grey(crop(image, 0.85, at=(0.5, 0.5))), grey(image), rough) > 0.9


def test_flat_images_agree_with_nothing():
    flat = grey(Image.new("RGB", (50, 50), "white"))
    assert agreement(flat, flat, Placement(1.0, 1.0, False, (0.0, 0.0))) == 0


def test_nothing_is_looked_for_without_a_square_grid():
    patches = quantize(np.random.default_rng(0).standard_normal((3, 12, 4)))
    assert crop_links(np.array([[1], [0], [1]]), patches, load=lambda _: picture(0)).shape == (0, 2)
