"""Small pictures and perceptual hashes of images."""

from __future__ import annotations

import io

import imagehash
from PIL import Image


def thumbnail(image: Image.Image, *, side: int) -> bytes:
    """WebP bytes of an RGB image fitted into ``side`` x ``side`` pixels; never enlarged.

    Raises:
        ValueError: when ``side`` is below 1.
    """
    if side < 1:
        raise ValueError(f"side must be at least 1, got {side}")
    scale = min(1.0, side / max(image.size))
    width, height = (max(1, round(length * scale)) for length in image.size)
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80, exif=b"", icc_profile=b"", xmp=b"")
    return buffer.getvalue()


def perceptual_hash(image: Image.Image) -> str:
    """64-bit DCT hash of an RGB image (``imagehash.phash``), 16 hexadecimal digits."""
    return str(imagehash.phash(image))


def hamming(a: str, b: str) -> int:
    """Number of bits in which two hexadecimal hashes of one length differ.

    Raises:
        ValueError: when the hashes are not hexadecimal or differ in length.
    """
    if len(a) != len(b):
        raise ValueError(f"hashes must have one length, got {a!r} and {b!r}")
    return (int(a, 16) ^ int(b, 16)).bit_count()
