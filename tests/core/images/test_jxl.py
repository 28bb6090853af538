"""JPEG XL: the header says size, channels and animation before the plugin decodes anything."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from core.config import ImageLimits
from core.images.decode import load_image
from core.images.jxl import codestream, stated_size
from core.values import ImageError
from tests.core.images.made import encoded, picture


def bits(*fields: tuple[int, int]) -> bytes:
    """The start of a codestream: numbers and how many bits each takes, lowest first."""
    value = place = 0
    for number, count in fields:
        value |= number << place
        place += count
    return b"\xff\x0a" + value.to_bytes(-(-place // 8), "little")


def size_fields(width: int, height: int) -> list[tuple[int, int]]:
    """Neither small nor a ratio, of 18 bits each; height first."""
    return [(0, 1), (2, 2), (height - 1, 18), (0, 3), (2, 2), (width - 1, 18)]


def turned(data: bytes, orientation: int) -> bytes:
    """A codestream whose metadata are all as usual, with an orientation."""
    width, height = stated_size(data)
    usual = bits(*size_fields(width, height), (1, 1), (1, 1))
    told = [(0, 1), (1, 1), (orientation - 1, 3), (0, 3), (0, 1), (0, 2), (1, 1), (0, 2)]
    told += [(1, 1), (1, 1), (1, 1), (0, 2), (1, 1)]  # colours, their range, extensions, transform
    plain = bits(*own_size(data), (1, 1), (1, 1))
    assert data.startswith(plain) and len(usual) > 2
    return bits(*own_size(data), *told) + data[len(plain) :]


def own_size(data: bytes) -> list[tuple[int, int]]:
    """The fields of the size as they are in a small file of ratio 0 or 1."""
    value = int.from_bytes(data[2:8], "little")
    assert value & 1 and (value >> 6) & 7 == 0
    return [(value & 0x3FFF, 14)]


@pytest.mark.parametrize("size", [(40, 24), (64, 64), (300, 200), (96, 80), (1001, 77), (160, 90)])
@pytest.mark.parametrize("lossless", [False, True])
def test_the_size_is_known(size, lossless):
    data = encoded(picture(*size), "JXL", lossless=lossless)
    assert stated_size(codestream(data)) == size
    loaded = load_image(data)
    assert loaded.image.size == size and loaded.notes == ()
    assert np.abs(np.asarray(loaded.image, float) - np.asarray(picture(*size))).mean() < 6


def test_too_large_files_are_refused_before_they_are_decoded():
    data = encoded(picture(300, 200), "JXL")
    with pytest.raises(ImageError, match="300 x 200 pixels; at most 50,000"):
        load_image(data, limits=ImageLimits(max_pixels=50_000))
    with pytest.raises(ImageError, match="100000 x 90000 pixels; sides of"):
        load_image(bits(*size_fields(100_000, 90_000), (1, 1)) + bytes(50))


@pytest.mark.parametrize(
    "more",
    [
        [(0, 1), (1, 1), (0, 3), (0, 1), (0, 1), (1, 1)],  # an animation
        [(0, 1), (1, 1), (0, 3), (0, 1), (1, 1)],  # a preview
        [(0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (3, 2), (4000, 12)],  # channels
        [(0, 1), (0, 1), (1, 1), (0, 2), (7, 4), (1, 1), (2, 2), (3, 4)],
    ],
)
def test_what_would_take_long_is_refused(more):
    stream = bits(*size_fields(640, 480), *more)
    with pytest.raises(ValueError, match=r"animation|channels"):
        stated_size(stream)
    with pytest.raises(ImageError, match="of an unusual kind"):
        load_image(stream + bytes(50))


def test_containers_give_their_codestream():
    exif = Image.Exif()
    exif[0x0112] = 6
    boxed = encoded(picture(), "JXL", use_container=True, exif=exif.tobytes())
    assert boxed.startswith(b"\0\0\0\x0cJXL ")
    assert codestream(boxed).startswith(b"\xff\x0a")
    bare = codestream(boxed)
    whole = boxed[:12] + (len(bare) + 16).to_bytes(4, "big").join((b"\0\0\0\1jxlc\0\0\0\0", bare))
    assert codestream(whole) == bare
    assert codestream(boxed[:12] + b"\0\0\0\0jxlc" + bare) == bare
    for lacking in (boxed[:12], boxed[:12] + bytes(10_000_000)):
        with pytest.raises(ValueError, match="no codestream"):
            codestream(lacking)


def test_the_orientation_is_that_of_the_codestream():
    """ISO/IEC 18181-2: that of EXIF does not count, as writers keep it after turning."""
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_image(encoded(picture(), "JXL", exif=exif.tobytes())).image.size == (40, 24)
    upright = encoded(picture(), "JXL")
    loaded = load_image(turned(upright, 6))
    assert loaded.image.size == (loaded.width, loaded.height) == (24, 40)
    expected = np.asarray(load_image(upright).image.transpose(Image.Transpose.ROTATE_270), float)
    assert np.abs(np.asarray(loaded.image, float) - expected).max() <= 1
