"""Digests inside thumbnails."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from core.images.decode import open_image
from core.images.seals import is_whole, sealed
from core.images.thumbnails import thumbnail
from tests.core.images.made import picture

ONE, OTHER = "ab" * 32, "cd" * 32


@pytest.mark.parametrize("sides", [(300, 200), (101, 57), (33, 20), (1, 1)])
def test_a_sealed_thumbnail_shows_the_same_and_every_flipped_bit_is_seen(sides: tuple[int, int]):
    content = thumbnail(picture(*sides), side=64)
    whole = sealed(content, of=ONE)
    assert int.from_bytes(whole[4:8], "little") + 8 == len(whole) == len(content) + 58
    before, after = (np.asarray(Image.open(io.BytesIO(each))) for each in (content, whole))
    assert np.array_equal(before, after)
    assert (is_whole(whole, of=ONE), is_whole(whole, of=OTHER)) == (True, False)
    assert is_whole(content, of=ONE) is None
    for place in {*range(0, len(whole), 7), *range(12), *range(len(whole) - 40, len(whole))}:
        flipped = bytearray(whole)
        flipped[place] ^= 1
        assert is_whole(bytes(flipped), of=ONE) is False, place


def test_a_sealed_thumbnail_is_an_image_like_others():
    whole = sealed(thumbnail(picture(300, 200), side=64), of=ONE)
    assert open_image(whole).size == (64, 43)


def test_what_is_no_thumbnail_is_not_sealed():
    buffer = io.BytesIO()
    picture(30, 20).save(buffer, "WEBP", lossless=True)
    for content in (b"", b"RIFF", buffer.getvalue()):
        with pytest.raises(ValueError, match="simple lossy format"):
            sealed(content, of=ONE)
