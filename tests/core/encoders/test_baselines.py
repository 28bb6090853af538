"""The plain descriptors on images whose features are known."""

from __future__ import annotations

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from core.encoders import baselines
from core.encoders.baselines import (
    BASELINES,
    EDGE_GRID,
    Baseline,
    edge_features,
    hash_features,
    palette_features,
    thumbnail_features,
)
from core.values import Encoder


def _image(seed, size=(40, 30)):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def _unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_keeps_the_protocol(name):
    encoder = BASELINES[name]()
    assert isinstance(encoder, Encoder)
    images = [_image(0), _image(1, (17, 90)), _image(2, (300, 20))]
    encoded = encoder.encode(images)
    assert encoded.features.shape == (3, encoder.dim)
    assert encoded.features.dtype == np.float32
    assert encoded.patches is None
    alone = encoder.encode(images[1:2]).features
    np.testing.assert_array_equal(alone, encoded.features[1:2])
    assert encoder.name == name


def test_identities_differ_by_name_and_version():
    known = {make().identity for make in BASELINES.values()}
    assert len(known) == len(BASELINES)
    assert BASELINES["phash"]().identity == BASELINES["phash"]().identity
    newer = Baseline("phash", 64, hash_features, version=2)
    assert newer.identity not in known


@pytest.mark.parametrize("name", BASELINES)
def test_identities_change_with_decoding(name, monkeypatch):
    before = BASELINES[name]().identity
    monkeypatch.setattr(baselines, "DECODING", 0)
    assert BASELINES[name]().identity != before


def test_thumbnail_is_the_mean_of_each_of_64_cells():
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:2, :2] = (255, 0, 51)
    found = thumbnail_features(Image.fromarray(pixels)).reshape(8, 8, 3)
    wanted = np.zeros((8, 8, 3))
    wanted[0, 0] = (1, 0, 0.2)
    np.testing.assert_allclose(found, wanted - wanted.mean((0, 1)), atol=1e-6)


def test_thumbnail_is_a_correlation():
    image = _image(3)
    darker = Image.eval(image, lambda v: v // 2 + 40)
    negative = Image.eval(image, lambda v: 255 - v)
    same, brightness, against = (
        _unit(BASELINES["thumbnail"]().encode([image, other]).features)
        for other in (image, darker, negative)
    )
    assert same[0] @ same[1] == pytest.approx(1)
    assert brightness[0] @ brightness[1] > 0.999
    assert against[0] @ against[1] == pytest.approx(-1, abs=1e-4)  # pixels are rounded


def test_histogram_counts_colours_and_not_places():
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = (255, 0, 40)
    encoder = BASELINES["histogram"]()
    found = encoder.encode([Image.fromarray(halves), Image.fromarray(halves[:, ::-1].copy())])
    cell = 7 * 64 + 0 * 8 + 40 // 32
    assert np.flatnonzero(found.features[0]).tolist() == [0, cell]
    np.testing.assert_allclose(found.features[0][[0, cell]], np.sqrt(0.5))
    np.testing.assert_array_equal(found.features[0], found.features[1])


def test_histograms_are_unit_and_their_product_is_the_bhattacharyya_coefficient():
    one, two = BASELINES["histogram"]().encode([_image(4), _image(5)]).features
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ two == pytest.approx(np.sqrt(one**2 * two**2).sum(), abs=1e-6)


def test_the_cosine_of_hashes_is_one_less_twice_the_share_of_differing_bits():
    images = [_image(seed) for seed in range(4)]
    unit = _unit(BASELINES["phash"]().encode(images).features)
    distances = [[imagehash.phash(a) - imagehash.phash(b) for b in images] for a in images]
    np.testing.assert_allclose(unit @ unit.T, 1 - 2 * np.array(distances) / 64, atol=1e-6)
    assert np.max(distances) > 10  # or the comparison would hold for anything


def test_an_edge_counts_alike_whatever_is_its_lighter_side_and_however_dark():
    image = _image(3, (96, 96)).convert("L")
    found = edge_features(image.convert("RGB"))
    apart = np.linalg.norm(edge_features(_image(4, (96, 96))) - found)
    for changed in (ImageOps.invert(image), image.point(lambda value: value // 2)):
        assert np.linalg.norm(edge_features(changed.convert("RGB")) - found) < apart / 10


@pytest.mark.parametrize(("upright", "orientation"), [(True, 0), (False, 3)])
def test_a_stripe_falls_into_its_cells_and_its_orientation(upright, orientation):
    values = np.zeros((96, 96), np.uint8)
    values[:, 48:] = 200
    image = Image.fromarray(values if upright else values.T).convert("RGB")
    cells = edge_features(image).reshape(EDGE_GRID.rows, EDGE_GRID.columns, -1)
    assert set(np.flatnonzero(cells.sum(axis=(0, 1)) > 1e-6)) == {orientation}
    across = cells.sum(axis=(0, 2) if upright else (1, 2))
    assert across.argmax() == EDGE_GRID.rows // 2
    assert not across[[0, -1]].any()


@pytest.mark.parametrize(
    ("colour", "shares"),
    [
        ("white", {(4, 2, 2): 1}),
        ("black", {(0, 2, 2): 1}),
        # CIELAB of sRGB under D50, as Lindbloom's calculator gives it: 54.3, 80.8, 69.9
        ("red", {(2, 4, 4): 0.83, (3, 4, 4): 0.17}),
        # 29.6, 68.3, -112.0
        ("blue", {(1, 4, 0): 0.82, (2, 4, 0): 0.18}),
        # 97.6, -15.8, 93.4: the third of the five places of a* is 0, the second -25
        ("yellow", {(4, 1, 4): 0.9 * 0.63, (4, 2, 4): 0.9 * 0.37, (3, 1, 4): 0.1 * 0.63}),
    ],
)
def test_a_palette_shares_a_colour_by_the_nearest_ones(colour, shares):
    found = palette_features(Image.new("RGB", (30, 20), colour)).reshape(5, 5, 5) ** 2
    assert found.sum() == pytest.approx(1)
    for place, share in shares.items():
        assert found[place] == pytest.approx(share, abs=0.02)


def test_a_palette_knows_how_much_there_is_of_a_colour_but_not_where():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :16] = 255
    left = palette_features(Image.fromarray(pixels))
    assert left[[0 * 25 + 12, 4 * 25 + 12]] ** 2 == pytest.approx([0.75, 0.25])
    lower = palette_features(Image.fromarray(np.rot90(pixels)))
    np.testing.assert_allclose(left, lower, atol=1e-6)


def test_an_image_without_edges_has_none():
    assert not edge_features(Image.new("RGB", (40, 30), (9, 200, 90))).any()
