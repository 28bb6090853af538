"""What an encoder's identity names by a number stays what it was under that number.

A gallery keeps features by the identity of their encoder. Where a test fails here, what is computed
has changed: raise the number that is named, then write down what is computed now.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from core.encoders.baselines import BASELINES
from core.encoders.load import load_encoder
from core.encoders.network import POOLING
from core.images.decode import DECODING, load_image

SIDE = 48


def _pixels(channels: int, depth: int = 255) -> np.ndarray:
    """Waves of different lengths, without a random number generator's version in them."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
    waves = [np.sin(x / (3 + i)) * np.cos(y / (5 + 2 * i)) for i in range(channels)]
    return np.stack([(wave + 1) / 2 * depth for wave in waves], -1).round()


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _rgb() -> Image.Image:
    return Image.fromarray(_pixels(3).astype(np.uint8))


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_rgb(), "JPEG", quality=90, subsampling=0, exif=exif)


FILES = {
    "RGB": lambda: _saved(_rgb(), "PNG"),
    "RGBA": lambda: _saved(Image.fromarray(_pixels(4).astype(np.uint8)), "PNG"),
    "palette": lambda: _saved(_rgb().quantize(16), "PNG"),
    "16 bits": lambda: _saved(Image.fromarray(_pixels(1, 65_535)[..., 0].astype(np.uint16)), "PNG"),
    "grey and alpha": lambda: _saved(_rgb().convert("LA"), "PNG"),
    "animation": lambda: _saved(
        Image.new("RGB", (SIDE, SIDE)), "GIF", save_all=True, append_images=[_rgb().quantize(16)]
    ),
    "lossless WebP": lambda: _saved(_rgb(), "WEBP", lossless=True),
    "CMYK": lambda: _saved(_rgb().convert("CMYK"), "TIFF"),
    "turned JPEG": _turned,
}
DECODED = {
    "RGB": "f4139e976b064098",
    "RGBA": "32bf9eff3e28d55e",
    "palette": "cc4d75b82fa03506",
    "16 bits": "7d2aec73e14c3d40",
    "grey and alpha": "6ed04a75c80b58ab",
    "animation": "cc4d75b82fa03506",
    "lossless WebP": "f4139e976b064098",
    "CMYK": "f4139e976b064098",
    "turned JPEG": "5063b43b8def7f6b",
}
"""Of version 2 of decoding."""
DESCRIBED = {
    "thumbnail": (1, 0.5698),
    "histogram": (1, 0.4443),
    "phash": (1, -0.3304),
    "edges": (1, 2.1763),
    "palette": (1, -0.5887),
}
"""Version of every baseline, and what it computes."""
POOLED = ("mean+deviation/1", 164.98867810037328)


@pytest.mark.parametrize("name", FILES)
def test_decoded_pixels_are_those_of_this_version_of_decoding(name: str):
    assert DECODING == 2
    pixels = np.asarray(load_image(FILES[name]()).image)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == DECODED[name]


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_computes_what_its_version_did_those_of_its_version(name: str):
    version, pinned = DESCRIBED[name]
    encoder = BASELINES[name]()
    assert version == encoder.version
    assert _told(encoder.encode([_rgb()]).features[0]) == pytest.approx(pinned, abs=1e-3)


def test_a_network_computes_what_its_pooling_did():
    version, pinned = POOLED
    assert version == POOLING
    found = _told(load_encoder("random").encode([_rgb()]).features[0])
    assert found == pytest.approx(pinned, rel=1e-3)


def _told(features: np.ndarray) -> float:
    """One number that every feature has a part in."""
    weights = np.cos(np.arange(features.size) + 1)
    return float(features.astype(np.float64) @ weights)
