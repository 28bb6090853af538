"""Colours under a profile come out as sRGB, against colour science written down in the tests."""

from __future__ import annotations

import io
import time
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from core.encoders.load import load_encoder
from core.encoders.network import NetworkEncoder
from core.encoders.pooling import pool
from core.images import colour
from core.images.decode import load_image, open_image
from core.images.thumbnails import thumbnail
from core.values import ImageError
from tests.core.images.made import encoded, picture
from tests.core.images.profiles import (
    SPACES,
    SRGB,
    Space,
    cmyk_profile,
    from_lab,
    grey_profile,
    ink_lab,
    into,
    levels,
    out_of,
    rgb_profile,
    srgb_profile,
)

VERSIONS = pytest.mark.parametrize("version", [2, 4])
EVERY_SPACE = pytest.mark.parametrize("name", SPACES)


def colourful(width: int = 96, height: int = 72) -> Image.Image:
    """All hues, dull to vivid, none very dark."""
    pixels = np.asarray(picture(width, height), float)
    return Image.fromarray(np.rint(40 + pixels * 200 / 255).astype(np.uint8))


def scene() -> Image.Image:
    """Patches of many colours, each with a texture, as no smooth picture has."""
    random = np.random.default_rng(0)
    patches = random.integers(50, 225, (9, 12, 3)).repeat(24, axis=0).repeat(24, axis=1)
    texture = random.normal(0, 14, (*patches.shape[:2], 1))
    return Image.fromarray(np.clip(patches + texture, 30, 240).astype(np.uint8))


def copy_in(space: Space, image: Image.Image) -> Image.Image:
    return Image.fromarray(into(space, np.asarray(image)))


def off(image: Image.Image, expected: np.ndarray | Image.Image) -> float:
    return float(np.abs(np.asarray(image, float) - np.asarray(expected, float)).max())


@VERSIONS
@EVERY_SPACE
def test_a_profile_means_its_colours(name, version):
    space = SPACES[name]
    for stored in (colourful(), picture(96, 72)):  # some of these are beyond sRGB, and clipped
        data = encoded(stored, icc_profile=rgb_profile(space, version=version))
        loaded = load_image(data)
        assert loaded.notes == ()
        assert off(loaded.image, out_of(space, np.asarray(stored))) <= 3
        assert off(loaded.image, stored) > 10


@EVERY_SPACE
def test_a_copy_in_another_space_is_the_same_picture(name):
    """A few levels, for 8 bits do not hold all colours."""
    original, profile = colourful(), rgb_profile(SPACES[name])
    copy = copy_in(SPACES[name], original)
    assert off(open_image(encoded(copy, icc_profile=profile)), original) <= 8
    for kind, options in (("WEBP", {"lossless": True}), ("TIFF", {}), ("JPEG", {"quality": 98})):
        found = open_image(encoded(copy, kind, icc_profile=profile, **options))
        assert np.abs(np.asarray(found, float) - np.asarray(original)).mean() < 3, kind


@EVERY_SPACE
@pytest.mark.slow
def test_what_encoders_see_is_the_same(name):
    original = scene()
    copy = copy_in(SPACES[name], original)
    managed = open_image(encoded(copy, icc_profile=rgb_profile(SPACES[name])))
    for encoder in map(load_encoder, ("lite0", "histogram")):
        here, there, bare = encoder.encode([original, managed, copy]).features
        cosines = [
            float(here @ other / np.linalg.norm(here) / np.linalg.norm(other))
            for other in (there, bare)
        ]
        assert cosines[0] >= 0.99 and cosines[1] < cosines[0], (encoder.name, cosines)
        if name == "ProPhoto" and encoder.name == "histogram":
            assert cosines[1] < 0.9


@pytest.mark.slow
def test_on_a_smooth_picture_a_profile_changes_less_than_a_jpeg_file_does():
    """Eight bits step there where the other space's do not, and the network sees little else."""
    y, x = np.mgrid[0:192, 0:256] / np.array([192, 256])[:, None, None]
    levels = 255 * np.stack([0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.7 - 0.4 * x * y], axis=-1)
    original = Image.fromarray(np.rint(levels).astype(np.uint8))
    jpeg = open_image(encoded(original, "JPEG", quality=100, subsampling=0))
    copies = [
        open_image(encoded(copy_in(space, original), icc_profile=rgb_profile(space)))
        for space in SPACES.values()
    ]
    features = load_encoder("lite0").encode([original, jpeg, *copies]).features
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = features @ features[0]
    assert cosines[2:].min() > max(0.95, cosines[1]), cosines


def test_on_a_smooth_picture_no_conversion_could_do_better():
    """What is lost is lost in the copy's own eight bits: its exact colours, not rounded again, stay
    below .99 too."""
    y, x = np.mgrid[0:192, 0:256] / np.array([192, 256])[:, None, None]
    pixels = 255 * np.stack([0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.7 - 0.4 * x * y], axis=-1)
    original, network = np.rint(pixels).astype(np.uint8), load_encoder("lite0")
    assert isinstance(network, NetworkEncoder)

    def features(levels: np.ndarray) -> np.ndarray:
        channels = torch.from_numpy(levels / 255).permute(2, 0, 1)[None].float()
        side = network.backbone.config.input_size
        with torch.inference_mode():
            square = functional.interpolate(channels, (side, side), mode="bicubic", antialias=True)
            stages = network.backbone(square)
        found = pool(stages.maps, stages.token)[0].numpy()
        return found / np.linalg.norm(found)

    here = features(original.astype(float))
    exact = {
        name: float(here @ features(out_of(space, into(space, original))))
        for name, space in SPACES.items()
    }
    assert here @ features(pixels) > 0.99 and min(exact.values()) < 0.985, exact


@VERSIONS
@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_grey_profiles(gamma, version):
    grey = colourful().convert("L")
    found = open_image(encoded(grey, icc_profile=grey_profile(gamma, version=version)))
    expected = levels((np.asarray(grey) / 255) ** gamma)
    assert off(found, np.repeat(expected[..., None], 3, axis=2)) <= 2
    clear = Image.merge("LA", [grey, Image.new("L", grey.size, 255)])
    assert off(open_image(encoded(clear, icc_profile=grey_profile(gamma))), found) <= 1


def test_greys_under_a_profile_of_three_colours():
    grey, space = colourful().convert("L"), SPACES["ProPhoto"]
    loaded = load_image(encoded(grey, icc_profile=rgb_profile(space)))
    assert loaded.notes == ()
    assert off(loaded.image, out_of(space, np.asarray(grey.convert("RGB")))) <= 2


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_inks_by_their_table(kind):
    inks = np.random.default_rng(0).integers(0, 3, (4, 6, 4)) * 85
    wide = inks.repeat(16, axis=0).repeat(16, axis=1).astype(np.uint8)
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    data = encoded(Image.frombytes("CMYK", (96, 64), wide.tobytes()), kind, **options)
    bare = open_image(data)
    data = encoded(Image.open(io.BytesIO(data)), kind, icc_profile=cmyk_profile(), **options)
    loaded = load_image(data)
    assert loaded.notes == ()
    expected = from_lab(ink_lab(inks / 255))
    assert off(loaded.image.resize((6, 4), Image.Resampling.NEAREST), expected) <= 6
    assert off(bare, loaded.image) > 30


@pytest.mark.parametrize("profiled", [False, True])
def test_lab_is_read(profiled):
    lab = np.zeros((16, 24, 3))
    lab[..., 0] = np.linspace(45, 75, 24)
    lab[..., 1] = np.linspace(-20, 20, 16)[:, None]
    lab[..., 2] = 15
    stored = (np.rint(lab * [2.55, 1, 1]).astype(int) & 255).astype(np.uint8)  # as TIFF has it
    options = {"icc_profile": rgb_profile(SRGB)} if profiled else {}
    loaded = load_image(
        encoded(Image.frombytes("LAB", (24, 16), stored.tobytes()), "TIFF", **options)
    )
    assert off(loaded.image, from_lab(lab)) <= 4
    assert loaded.notes == ((colour.UNFIT,) if profiled else ())


def test_transparency_is_laid_on_white_after_the_conversion():
    space = SPACES["ProPhoto"]
    opaque = copy_in(space, colourful())
    alpha = np.full((72, 96), 255, np.uint8)
    alpha[:, :30], alpha[:, 30:60] = 0, 128
    clear = opaque.copy()
    clear.putalpha(Image.fromarray(alpha))
    share = alpha[..., None] / 255
    expected = out_of(space, np.asarray(opaque)) * share + 255 * (1 - share)
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        data = encoded(clear, kind, icc_profile=rgb_profile(space), **options)
        assert off(open_image(data), expected) <= 3, kind


def test_palettes_have_profiles_too():
    space = SPACES["ProPhoto"]
    palette = copy_in(space, colourful()).quantize(32)
    expected = out_of(space, np.asarray(palette.convert("RGB")))
    data = encoded(palette, icc_profile=rgb_profile(space))
    assert off(open_image(data), expected) <= 2
    data = encoded(palette, icc_profile=rgb_profile(space), transparency=palette.getpixel((0, 0)))
    found = open_image(data)
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert off(found.crop((48, 36, 96, 72)), expected[36:, 48:]) <= 2


def test_colours_are_converted_at_the_reduced_scale(monkeypatch):
    sizes = []
    apply = colour.ImageCms.applyTransform

    def counted(image, transform):
        sizes.append(image.size)
        return apply(image, transform)

    data = encoded(colourful(384, 288), icc_profile=rgb_profile(SPACES["Display P3"]))
    load_image(data)
    monkeypatch.setattr(colour.ImageCms, "applyTransform", counted)
    found = open_image(data, fit=72)
    assert sizes == [(96, 72)] and found.size == (96, 72)


def test_a_given_image_keeps_its_profile_and_its_pixels():
    given = copy_in(SPACES["ProPhoto"], colourful())
    before = given.tobytes()
    given.info["icc_profile"] = rgb_profile(SPACES["ProPhoto"])
    assert off(open_image(given), colourful()) <= 8
    assert given.tobytes() == before and "icc_profile" in given.info


def test_thumbnails_show_the_colours():
    data = encoded(
        copy_in(SPACES["ProPhoto"], colourful()), icc_profile=rgb_profile(SPACES["ProPhoto"])
    )
    small = Image.open(io.BytesIO(thumbnail(open_image(data), side=48)))
    assert "icc_profile" not in small.info
    expected = np.asarray(colourful().resize((48, 36), Image.Resampling.LANCZOS), float)
    assert np.abs(np.asarray(small.convert("RGB"), float) - expected).mean() < 4


def test_a_profile_that_is_srgb_in_effect_is_no_transform(monkeypatch):
    data = encoded(picture(), icc_profile=srgb_profile())
    assert open_image(data).tobytes() == picture().tobytes()
    monkeypatch.setattr(colour.ImageCms, "applyTransform", None)
    monkeypatch.setattr(colour.ImageCms, "buildTransform", None)
    assert open_image(data).tobytes() == picture().tobytes()


def test_transforms_are_made_once_and_not_too_many_are_kept(monkeypatch):
    built = []
    build = colour.ImageCms.buildTransform
    monkeypatch.setattr(
        colour.ImageCms, "buildTransform", lambda *given: built.append(1) or build(*given)
    )
    for gamma in np.linspace(1.2, 3, 40).tolist():
        data = encoded(picture(), icc_profile=rgb_profile(Space(SRGB.primaries, gamma=gamma)))
        for _ in range(3):
            load_image(data)
    assert len(built) == 40
    assert colour.way_of.cache_info().currsize <= 16


SOUND = rgb_profile(SPACES["ProPhoto"])
BROKEN = {
    "empty": (b"", colour.DAMAGED),
    "text": (b"no profile at all" * 20, colour.DAMAGED),
    "cut": (SOUND[:200], colour.DAMAGED),
    "no tags": (SOUND[:128] + bytes(4), colour.DAMAGED),
    "many tags": (SOUND[:128] + b"\xff" * 4 + SOUND[132:], colour.DAMAGED),
    "grey for colours": (grey_profile(1.8), colour.UNFIT),
    "inks for colours": (cmyk_profile(), colour.UNFIT),
    "unknown space": (SOUND[:16] + b"WXYZ" + SOUND[20:], colour.UNFIT),
    "enormous": (SOUND + bytes(colour.MAX_PROFILE), colour.TOO_LARGE),
    "processing elements": (SOUND + b"mpet" + bytes(100), colour.DAMAGED),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_profile_that_is_of_no_use_is_ignored_with_a_note(case):
    profile, note = BROKEN[case]
    given = picture()
    given.info["icc_profile"] = profile
    found, said = colour.flat_srgb(given)
    assert found.tobytes() == picture().tobytes() and said == note
    if profile and len(profile) < 1_000_000:
        for kind in ("PNG", "JPEG", "TIFF"):
            assert load_image(encoded(picture(), kind, icc_profile=profile)).notes == (note,)


def test_a_png_whose_profile_does_not_unpack_is_read_with_a_note():
    whole = encoded(picture(), icc_profile=SOUND)
    start = whole.index(b"iCCP")
    size = int.from_bytes(whole[start - 4 : start], "big")
    chunk = b"iCCP" + b"ICC Profile\0\0" + bytes(size - 13)
    check = zlib.crc32(chunk).to_bytes(4, "big")
    broken = whole[:start] + chunk + check + whole[start + 8 + size :]
    loaded = load_image(broken)
    assert loaded.image.tobytes() == picture().tobytes()
    assert loaded.notes == (colour.DAMAGED,)


@pytest.mark.slow
def test_damaged_profiles_never_fail_and_never_take_long():
    random = np.random.default_rng(0)
    began = time.monotonic()
    for profile in (SOUND, cmyk_profile(), grey_profile(2.0), srgb_profile()):
        for _ in range(40):
            bad = np.frombuffer(profile, np.uint8).copy()
            places = random.integers(0, min(len(bad), 600), random.integers(1, 12))
            bad[places] = random.integers(0, 256, len(places))
            for mode in ("RGB", "RGBA", "L", "CMYK"):
                given = picture().convert(mode)
                given.info["icc_profile"] = bad.tobytes()
                assert open_image(given).mode == "RGB"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_deep_greys_are_scaled_and_their_profile_is_not_applied(mode):
    tops = {"I;16": (65535, "<u2"), "F": (1, "<f4")}
    top, kind = tops[mode]
    values = np.tile(np.linspace(0, top, 64), (16, 1)).astype(kind)
    given = Image.fromarray(values)
    given.info["icc_profile"] = grey_profile(1.0)
    expected = np.rint(np.linspace(0, 255, 64))
    assert np.abs(np.asarray(open_image(given), float)[0, :, 0] - expected).max() <= 1


def test_a_profile_does_not_save_a_damaged_image():
    data = encoded(colourful(), "JPEG", icc_profile=SOUND)
    with pytest.raises(ImageError, match="damaged, cut short"):
        load_image(data[:-400])
