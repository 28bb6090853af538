"""Images as they stand in what is shown: within the page itself, so that no file is asked for."""

from __future__ import annotations

import base64
import io

from PIL import Image


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
