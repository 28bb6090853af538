"""Colours that numbers state, against colour science written down in the tests."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.images import colour
from core.images.decode import load_image
from core.images.spaces import CodePoints
from tests.core.images.made import encoded, picture
from tests.core.images.numbers import chrm, cicp, gama, in_srgb_curve, pq, with_chunks, with_nclx
from tests.core.images.profiles import SPACES, levels, out_of, rgb_profile
from tests.core.images.test_colour import colourful, off, scene

PRIMARIES = {"Display P3": 12, "Rec. 2020": 9}
EVERY_SPACE = pytest.mark.parametrize("name", PRIMARIES)
SIGNALS = {
    "PNG": lambda stored, primaries: with_chunks(stored, cicp(primaries)),
    "AVIF": lambda stored, primaries: with_nclx(
        encoded(stored, "AVIF", quality=100, subsampling="4:4:4"), primaries
    ),
    "HEIF": lambda stored, primaries: encoded(
        stored,
        "HEIF",
        quality=100,
        chroma=444,
        color_primaries=primaries,
        transfer_characteristics=13,
    ),
}


@pytest.mark.parametrize("kind", SIGNALS)
@EVERY_SPACE
@pytest.mark.slow
def test_primaries_stated_by_code_points_are_converted(name, kind):
    """They were read as those of sRGB: dull, and other colours to an encoder."""
    if kind == "HEIF":
        pytest.importorskip("pillow_heif")
    original = scene()
    stored = Image.fromarray(in_srgb_curve(SPACES[name], np.asarray(original)))
    loaded = load_image(SIGNALS[kind](stored, PRIMARIES[name]))
    assert loaded.notes == ()
    here = np.abs(np.asarray(loaded.image, float) - np.asarray(original)).mean()
    bare = np.abs(np.asarray(stored, float) - np.asarray(original)).mean()
    assert here < 2 and bare > 3 * here, (here, bare)


def test_the_curves_of_television_are_shown_as_that_of_srgb():
    for transfer in (1, 2, 6, 13, 14, 15):
        data = with_chunks(colourful(), cicp(1, transfer))
        assert load_image(data).image.tobytes() == colourful().tobytes()


@pytest.mark.parametrize(("transfer", "gamma"), [(4, 2.2), (5, 2.8), (8, 1.0)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_curves(transfer, gamma, mode):
    given = colourful().convert(mode)
    loaded = load_image(with_chunks(given, cicp(1, transfer)))
    assert off(loaded.image, levels((np.asarray(given.convert("RGB")) / 255) ** gamma)) <= 2


def test_a_narrow_range_is_widened():
    loaded = load_image(with_chunks(colourful(), cicp(1, 13, full=0)))
    assert off(loaded.image, np.clip((np.asarray(colourful(), float) - 16) / 219 * 255, 0, 255)) < 2


@EVERY_SPACE
def test_a_high_dynamic_range_is_brought_down_and_said(name):
    original = np.asarray(colourful())
    data = with_chunks(Image.fromarray(pq(SPACES[name], original)), cicp(PRIMARIES[name], 16))
    loaded = load_image(data)
    assert loaded.notes == (colour.HDR,)
    found, dark = np.asarray(loaded.image, float), original.max(axis=-1) < 170
    assert np.abs(found - original)[dark].mean() < 4
    greys = Image.fromarray(np.repeat(np.arange(256, dtype=np.uint8)[None], 16, axis=0))
    for transfer in (16, 18):
        row = np.asarray(load_image(with_chunks(greys, cicp(9, transfer))).image, int)[0, :, 0]
        assert (np.diff(row) >= 0).all() and (row[0], row[-1]) == (0, 255)
        white = {16: 0.5807, 18: 0.75}[transfer]  # BT.2408, table 1: signals of 203 cd/m2
        assert 200 < row[round(255 * white)] < 240


@pytest.mark.parametrize("points", [(99, 13), (1, 200), (0, 0), (10, 13)])
def test_unknown_code_points_are_said_and_a_profile_counts_in_their_place(points):
    loaded = load_image(with_chunks(colourful(), cicp(*points)))
    assert loaded.image.tobytes() == colourful().tobytes() and loaded.notes == (colour.UNKNOWN,)
    space = SPACES["ProPhoto"]
    loaded = load_image(with_chunks(colourful(), cicp(*points), icc_profile=rgb_profile(space)))
    assert off(loaded.image, out_of(space, np.asarray(colourful()))) <= 3 and loaded.notes == ()


def test_which_of_several_statements_counts():
    profile = rgb_profile(SPACES["ProPhoto"])
    png = with_chunks(colourful(), cicp(1), gama(1.0), icc_profile=profile)
    assert load_image(png).image.tobytes() == colourful().tobytes()
    png = with_chunks(colourful(), gama(1.0), icc_profile=profile)
    managed = load_image(encoded(colourful(), icc_profile=profile)).image
    assert load_image(png).image.tobytes() == managed.tobytes()
    png = with_chunks(colourful(), gama(1.0), (b"sRGB", b"\0"))
    assert load_image(png).image.tobytes() == colourful().tobytes()
    avif = with_nclx(encoded(colourful(), "AVIF", quality=100, icc_profile=profile), 12)
    bare = with_nclx(encoded(colourful(), "AVIF", quality=100), 12)
    assert off(load_image(avif).image, load_image(bare).image) > 10


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.6])
def test_a_gamma_of_png_means_its_colours(gamma):
    found = load_image(with_chunks(colourful(), gama(gamma)))
    assert found.notes == ()
    assert off(found.image, levels((np.asarray(colourful()) / 255) ** gamma)) <= 2


@EVERY_SPACE
def test_chromaticities_of_png_mean_their_colours(name):
    original = np.asarray(colourful())
    stored = Image.fromarray(in_srgb_curve(SPACES[name], original))
    found = load_image(with_chunks(stored, gama(2.2), chrm(SPACES[name])))
    assert np.abs(np.asarray(found.image, float) - original).mean() < 2 and found.notes == ()


def test_what_stands_for_srgb_changes_nothing():
    for chunks in ([gama(2.2)], [gama(2.25)], [gama(2.2), chrm(SPACES["linear sRGB"])]):
        data = with_chunks(colourful(), *chunks)
        assert load_image(data).image.tobytes() == colourful().tobytes()


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", bytes(4))],
        [(b"gAMA", b"\xff" * 4)],
        [gama(2.2), (b"cHRM", bytes(32))],
        [gama(2.2), (b"cHRM", b"\xff" * 32)],
        [gama(2.2), (b"cHRM", (31270).to_bytes(4, "big") * 8)],
        [gama(2.2), (b"cHRM", (31270).to_bytes(4, "big") * 4)],
    ],
)
def test_numbers_of_no_space_are_ignored_with_a_note(chunks):
    loaded = load_image(with_chunks(colourful(), *chunks))
    assert loaded.image.tobytes() == colourful().tobytes() and loaded.notes == (colour.UNKNOWN,)


def test_code_points_lie_under_transparency():
    clear = picture().convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    found = load_image(with_chunks(clear, cicp(1, 8))).image
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert off(found.crop((1, 0, 40, 24)), levels(np.asarray(picture())[:, 1:] / 255)) <= 2


def test_only_srgb_is_srgb():
    assert CodePoints(1, 13).is_srgb and CodePoints(2, 1).is_srgb
    assert not any(
        points.is_srgb
        for points in (CodePoints(12, 13), CodePoints(1, 8), CodePoints(1, 13, full_range=False))
    )
