"""Of several pictures in a file, the one that is looked at."""

from __future__ import annotations

import io
import struct

from PIL import Image

from core.images.colour import on_white

MAX_FRAMES = 24
"""Frames of an animation, and pages of a document, that are looked for."""

MAX_PIXELS = 64_000_000  # of all frames that are decoded; Pillow decodes each on the way
_CLEARLY = 1.0  # bits of entropy by which a frame must tell more than the first
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_PAGED = ("TIFF",)


def chosen_frame(image: Image.Image, data: bytes) -> tuple[Image.Image, str | None]:
    """The picture of an opened file that is looked at, and a note where there are several.

    Of an animation it is the frame whose greys have the largest entropy, if that is clearly more
    than the first one's: many begin black. A bounded number of frames is decoded; what is wrong
    with later ones does not matter. Of a document it is the first page.

    Args:
        image: as Pillow opened it.
        data: its encoded bytes.
    """
    if image.format in _PAGED:
        count = pages(data)
        shown = count if count <= MAX_FRAMES else f"more than {MAX_FRAMES}"
        return image, f"page 1 of {shown} is looked at" if count > 1 else None
    if image.format not in _ANIMATED:
        return image, None
    try:
        if not getattr(image, "is_animated", False):
            return image, None
    except Exception:  # a second frame that is damaged may raise anything, and the first is sound
        return Image.open(io.BytesIO(data), formats=[image.format]), None
    return _most_telling(image)


def pages(data: bytes) -> int:
    """Pages of the bytes of a TIFF file, by its chain of directories; stops above the most."""
    order = "<" if data[:2] == b"II" else ">"
    places: set[int] = set()
    try:
        big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
        count, entry, link, start = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
        (place,) = struct.unpack_from(order + link, data, start)
        while place and place not in places and len(places) <= MAX_FRAMES:
            (entries,) = struct.unpack_from(order + count, data, place)
            after = place + struct.calcsize(order + count) + entries * entry
            places.add(place)
            (place,) = struct.unpack_from(order + link, data, after)
    except (struct.error, OverflowError):  # the chain leads out of the file
        pass
    return len(places)


def _most_telling(image: Image.Image) -> tuple[Image.Image, str]:
    """The frame of an animation that is looked at, and which one that is."""
    most = min(MAX_FRAMES, MAX_PIXELS // (image.width * image.height))
    if most < 2:
        return image, "the first frame is looked at"
    chosen, frame, best, seen, over = 0, image, 0.0, 0, False
    for place in range(most + 1):
        if not _at(image, place):
            break
        over = place == most
        if over:
            break
        told = entropy(image)
        if place == 0 or told > best:
            chosen, frame = place, image.copy()
            best = max(told, best) + (_CLEARLY if place == 0 else 0)
        seen = place + 1
    return frame, f"frame {chosen + 1} of {'the first ' if over else ''}{seen} is looked at"


def _at(image: Image.Image, place: int) -> bool:
    """Whether a frame is there and sound; it is decoded. The first must be."""
    try:
        image.seek(place)
        image.load()
    except Exception:
        if place == 0:
            raise
        return False
    return True


def entropy(image: Image.Image) -> float:
    """Entropy of the greys, bits for each pixel."""
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = on_white(rgba.convert("RGB"), rgba.getchannel("A"))
    return image.convert("L").entropy()
