"""Files that state their colours by numbers, written from the standards."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image

from tests.core.images.made import encoded
from tests.core.images.profiles import SRGB, Space, levels, linear

Chunk = tuple[bytes, bytes]


def with_chunks(image: Image.Image, *chunks: Chunk, **options: object) -> bytes:
    """A PNG file with chunks right after its header."""
    data = encoded(image, "PNG", **options)
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + b"".join(packed) + data[33:]


def cicp(primaries: int, transfer: int = 13, *, full: int = 1) -> Chunk:
    return b"cICP", bytes([primaries, transfer, 0, full])


def gama(exponent: float) -> Chunk:
    return b"gAMA", round(100_000 / exponent).to_bytes(4, "big")


def chrm(space: Space) -> Chunk:
    pairs = (space.white, *space.primaries)
    numbers = [round(value * 100_000) for pair in pairs for value in pair]
    return b"cHRM", struct.pack(">8I", *numbers)


def with_nclx(data: bytes, primaries: int, transfer: int = 13) -> bytes:
    """An AVIF file whose only box ``nclx`` states other code points."""
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def _light(space: Space, pixels: np.ndarray) -> np.ndarray:
    return np.clip(linear(pixels) @ (np.linalg.inv(space.to_d50) @ SRGB.to_d50).T, 0, 1)


def in_srgb_curve(space: Space, pixels: np.ndarray) -> np.ndarray:
    """8-bit sRGB pixels under the primaries of a space and the curve of sRGB."""
    return np.rint(levels(_light(space, pixels))).astype(np.uint8)


def pq(space: Space, pixels: np.ndarray) -> np.ndarray:
    """8-bit sRGB pixels under the primaries of a space and PQ, white at 203 cd/m2."""
    light = (_light(space, pixels) * 203 / 10_000) ** 0.1593017578125
    coded = ((0.8359375 + 18.8515625 * light) / (1 + 18.6875 * light)) ** 78.84375
    return np.rint(255 * coded).astype(np.uint8)
