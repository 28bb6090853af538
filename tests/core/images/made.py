"""Pictures that the tests of images share."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(width: int = 40, height: int = 24) -> Image.Image:
    """A smooth picture without symmetry: red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x * y / 255], axis=-1).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
