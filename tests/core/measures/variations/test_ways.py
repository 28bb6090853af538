"""Variations are reproducible, go further along the dial, and refuse what they cannot make."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from core.encoders.backbones import BackboneConfig, build
from core.measures.variations import ways
from core.measures.variations.ways import WAYS, Ingredients, vary
from core.values import Cancelled

MOVING = {"style", "inversion"}
"""Ways that move pixels by a network, which take long."""


def picture(seed: int) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((160, 120), Image.Resampling.BICUBIC)


def given(**more) -> Ingredients:
    network = build(BackboneConfig(input_size=32), seed=0).eval()
    return Ingredients(picture(0), picture(1), lambda: network, **more)


def pixels(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), float)


@pytest.mark.parametrize("way", sorted(set(WAYS) - MOVING))
@pytest.mark.slow
def test_a_variation_follows_its_seed_and_goes_further_along_the_dial(way):
    near, again, far = (vary(way, given(), far=far, seed=3) for far in (0.0, 0.0, 1.0))
    assert near.tobytes() == again.tobytes()
    own = pixels(picture(0), near.size)
    gaps = [np.abs(pixels(made, near.size) - own).mean() for made in (near, far)]
    assert gaps[1] > 1.5 * gaps[0]


def test_a_variation_sees_a_corner_as_large_as_the_dial_says():
    """A crop about the middle is found by its thumbnail: the dial shifts what is seen.

    Every pixel of the image says where it is, and a blend with black leaves .6 of that.
    """
    ramp = np.indices((100, 200))[::-1].transpose(1, 2, 0)
    image = Image.fromarray(np.dstack([ramp, 0 * ramp[..., :1]]).astype(np.uint8))
    black = Image.new("RGB", (200, 100))
    corners = set[tuple[int, int]]()
    for seed in range(20):
        made = vary("blend", Ingredients(image, black, lambda: None), far=0.5, seed=seed)
        seen = np.asarray(made, float)[..., :2] / 0.6
        low, high = seen.min((0, 1)), seen.max((0, 1))
        np.testing.assert_allclose(high - low, [154, 77], atol=4)
        corner = min(itertools.product((0, 45), (0, 22)), key=lambda each: abs(low - each).sum())
        np.testing.assert_allclose(low, corner, atol=4)
        corners.add(corner)
    assert corners == {(0, 0), (45, 0), (0, 22), (45, 22)}


def test_inversion_goes_by_fewer_stages_beyond_the_middle_of_the_dial(monkeypatch):
    asked: list[tuple[int, ...]] = []

    def noted(_network, start, *, aim, **_more):
        asked.append(aim.content)
        return start

    monkeypatch.setattr(ways, "optimise", noted)
    for far in (0.0, 0.5, 0.75, 1.0):
        vary("inversion", given(), far=far, seed=0)
    assert asked == [(1, 2, 3, 4), (1, 2, 3, 4), (2, 3, 4), (3, 4)]


@pytest.mark.slow
@pytest.mark.parametrize("way", sorted(MOVING))
def test_ways_that_move_pixels_can_be_stopped(way):
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int, _what: str) -> None:
        seen.append((done, total))
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        vary(way, given(progress=stop), far=0.5, seed=0)
    assert seen[-1][0] == 2


@pytest.mark.slow
def test_ways_of_two_images_take_from_both_and_the_others_from_one():
    for way in set(WAYS) - MOVING:
        made, other = (
            vary(way, Ingredients(picture(0), picture(p), given().network), far=0.6, seed=1)
            for p in (1, 2)
        )
        assert (made.tobytes() != other.tobytes()) == WAYS[way].partner


@pytest.mark.parametrize(("way", "far"), [("copying", 0.5), ("blend", -0.1), ("blend", 1.1)])
def test_what_cannot_be_made_is_refused(way, far):
    with pytest.raises(ValueError, match=r"way|far"):
        vary(way, given(), far=far, seed=0)
