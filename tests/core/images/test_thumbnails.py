"""Thumbnails and perceptual hashes."""

from __future__ import annotations

import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from core.images.decode import (
    open_image,
)
from core.images.thumbnails import hash_bits, perceptual_hash, thumbnail
from tests.core.images.made import encoded, picture


def test_thumbnails_fit_and_are_not_enlarged():
    image = picture(400, 100)
    image.info["exif"] = b"Exif\0\0secret"
    image.info["icc_profile"] = b"secret"
    small = Image.open(io.BytesIO(thumbnail(image, side=64)))
    assert (small.format, small.size) == ("WEBP", (64, 16))
    assert b"secret" not in thumbnail(image, side=64)
    assert Image.open(io.BytesIO(thumbnail(image, side=1000))).size == (400, 100)
    assert Image.open(io.BytesIO(thumbnail(picture(200, 10), side=8))).size == (8, 1)
    expected = np.asarray(image.resize((64, 16), Image.Resampling.BOX), float)
    assert np.abs(np.asarray(small, float) - expected).mean() < 6
    with pytest.raises(ValueError, match="side must be at least 1, got 0"):
        thumbnail(image, side=0)


@pytest.mark.parametrize("kind", ["smooth", "noise", "flat", "stripes", "tiny"])
def test_perceptual_hashes_are_those_of_imagehash(kind):
    """Bit for bit, also where most frequencies are zero: galleries keep them."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        noise = rng.integers(0, 256, (9, 12, 3), np.uint8)
        image = {
            "smooth": Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC),
            "noise": Image.fromarray(rng.integers(0, 256, (64, 50, 3), np.uint8)),
            "flat": Image.new("RGB", (40, 30), tuple(noise[0, 0].tolist())),
            "stripes": Image.fromarray(np.repeat(noise[:, :1], 40, axis=1)),
            "tiny": Image.fromarray(noise[:2, :1]),
        }[kind]
        assert perceptual_hash(image) == str(imagehash.phash(image))


def test_perceptual_hashes_are_near_for_near_copies_and_far_for_others():
    rng = np.random.default_rng(0)
    one, other = (
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((96, 96))
        for _ in range(2)
    )
    copy = open_image(encoded(one.resize((80, 80)), "JPEG", quality=60))
    assert len(perceptual_hash(one)) == 16
    assert np.sum(hash_bits(one) != hash_bits(copy)) <= 6
    assert np.sum(hash_bits(one) != hash_bits(other)) > 16
