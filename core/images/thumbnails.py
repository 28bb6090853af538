"""Small pictures and perceptual hashes of images."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import Bool
from PIL import Image
from scipy.fft import dctn


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
    """64-bit DCT hash of an RGB image, 16 hexadecimal digits: see :func:`hash_bits`."""
    return np.packbits(hash_bits(image)).tobytes().hex()


def hash_bits(image: Image.Image) -> Bool[np.ndarray, "8 8"]:
    """Which of the 64 lowest frequencies of the grey image are above their median.

    The bits of the package ImageHash's ``phash`` (Krawetz 2011, "Looks Like It").
    """
    grey = np.asarray(image.convert("L").resize((32, 32), Image.Resampling.LANCZOS), np.float64)
    low: np.ndarray = np.asarray(dctn(grey))[:8, :8]
    return low > np.median(low)
