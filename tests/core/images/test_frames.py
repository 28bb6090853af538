"""Of animations the frame that tells most is looked at, of documents the first page."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image

from core.images import frames
from core.images.decode import load_image
from core.images.frames import MAX_FRAMES, pages
from tests.core.images.made import encoded, picture

LOSSLESS = {"WEBP": {"lossless": True}, "AVIF": {"quality": 95}}
KINDS = pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])


def animated(kind: str, pictures: list[Image.Image]) -> bytes:
    options = LOSSLESS.get(kind, {})
    return encoded(
        pictures[0], kind, save_all=True, append_images=pictures[1:], duration=40, **options
    )


def shades(count: int) -> list[Image.Image]:
    """Frames of one grey each, all different, as writers drop repeated ones."""
    return [Image.new("RGB", (48, 32), (i, i, i)) for i in range(count)]


def near(image: Image.Image, other: Image.Image) -> bool:
    return np.abs(np.asarray(image, float) - np.asarray(other, float)).mean() < 12


@KINDS
def test_a_black_beginning_is_passed_over(kind):
    scene = picture(48, 32)
    loaded = load_image(animated(kind, [*shades(6), scene, *shades(9)[6:]]))
    assert near(loaded.image, scene)
    assert loaded.notes == ("frame 7 of 10 is looked at",)
    assert (loaded.width, loaded.height) == (48, 32)


@KINDS
def test_the_first_frame_stays_unless_another_is_clearly_better(kind):
    scene = picture(48, 32)
    loaded = load_image(animated(kind, [scene, scene.rotate(180), *shades(2)]))
    assert near(loaded.image, scene)
    assert loaded.notes == ("frame 1 of 4 is looked at",)


@KINDS
def test_the_same_frame_is_found_again(kind):
    data = animated(kind, [*shades(3), picture(48, 32), picture(48, 32).rotate(180)])
    assert load_image(data).image.tobytes() == load_image(data).image.tobytes()


@KINDS
def test_static_images_have_no_note(kind):
    assert load_image(encoded(picture(), kind)).notes == ()


@KINDS
def test_no_more_frames_than_said_are_decoded(kind, monkeypatch):
    data = animated(kind, [*shades(MAX_FRAMES + 5), picture(48, 32)])
    looked_at = []
    entropy = frames.entropy
    monkeypatch.setattr(frames, "entropy", lambda image: looked_at.append(1) or entropy(image))
    assert load_image(data).notes == (f"frame 1 of the first {MAX_FRAMES} is looked at",)
    assert len(looked_at) == MAX_FRAMES
    looked_at.clear()
    monkeypatch.setattr(frames, "MAX_PIXELS", 48 * 32 * 3)
    assert load_image(data).notes == ("frame 1 of the first 3 is looked at",)
    assert len(looked_at) == 3
    monkeypatch.setattr(frames, "MAX_PIXELS", 48 * 32)
    assert load_image(data).notes == ("the first frame is looked at",)


def test_exactly_as_many_frames_as_are_looked_at():
    data = animated("GIF", [*shades(MAX_FRAMES - 1), picture(48, 32)])
    assert load_image(data).notes == (f"frame {MAX_FRAMES} of {MAX_FRAMES} is looked at",)


def test_transparent_frames_lie_on_white_before_they_are_compared():
    clear = picture(48, 32).convert("RGBA")
    clear.putalpha(0)
    loaded = load_image(animated("PNG", [clear, picture(48, 32).convert("RGBA")]))
    assert loaded.notes == ("frame 2 of 2 is looked at",)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_damage_behind_the_first_frame_does_not_fail_it(kind):
    scene = picture(48, 32)
    data = animated(kind, [scene, scene.rotate(180), scene])
    alone = len(encoded(scene, kind, **LOSSLESS.get(kind, {})))
    for end in range(alone + 60, len(data), 97):
        if kind == "GIF":
            assert near(load_image(data[:end]).image, scene), end
    bad = bytearray(data)
    bad[-200:-20] = bytes(180)
    assert near(load_image(bytes(bad)).image, scene)


@pytest.mark.parametrize("big", [False, True])
def test_documents_show_their_first_page(big):
    sheets = [Image.new("RGB", (40, 24), colour) for colour in ("red", "lime", "blue")]
    data = encoded(sheets[0], "TIFF", save_all=True, append_images=sheets[1:], big_tiff=big)
    loaded = load_image(data)
    assert loaded.image.getpixel((5, 5)) == (255, 0, 0)
    assert loaded.notes == ("page 1 of 3 is looked at",)
    many = encoded(sheets[0], "TIFF", save_all=True, append_images=sheets[1:] * 20, big_tiff=big)
    assert load_image(many).notes == ("page 1 of more than 24 is looked at",)


def test_endless_chains_of_pages_end():
    data = bytearray(encoded(picture(), "TIFF"))
    (first,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, first)
    link = first + 2 + 12 * entries
    for there in (first, len(data) - 1, 2**32 - 1, len(data)):
        struct.pack_into("<I", data, link, there)
        assert pages(bytes(data)) == 1
    end = len(data)
    struct.pack_into("<I", data, link, end)
    chain = b"".join(struct.pack("<HI", 0, end + 6 * i) for i in range(1, 500_000))
    began = time.monotonic()
    assert load_image(bytes(data) + chain).notes == ("page 1 of more than 24 is looked at",)
    assert time.monotonic() - began < 5
    assert pages(b"") == pages(b"II") == pages(b"MM\0+") == 0


def test_further_pictures_of_a_jpeg_need_no_note():
    data = encoded(picture(), "MPO", save_all=True, append_images=[picture().rotate(180)])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    loaded = load_image(data)
    assert near(loaded.image, picture()) and loaded.notes == ()
