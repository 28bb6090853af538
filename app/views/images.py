"""Images as they stand in what is shown: within the page itself, so that no file is asked for."""

from __future__ import annotations

import base64
import io

from PIL import Image

SMALL = 96
"""Most pixels of the longer side of a picture in a table."""


def data_uri(image: Image.Image, *, side: int | None = None, quality: int = 88) -> str:
    """An image as an address that holds it.

    Args:
        image: the image.
        side: most pixels of its longer side; as it is by default.
        quality: of the compression, to 100.
    """
    shown = image.convert("RGB")
    if side is not None:
        shown.thumbnail((side, side))
    file = io.BytesIO()
    shown.save(file, "WEBP", quality=quality, method=2)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def small_picture(image: Image.Image | None) -> str:
    """An image as a table shows it, within the page; empty where there is none."""
    return "" if image is None else data_uri(image, side=SMALL, quality=80)
