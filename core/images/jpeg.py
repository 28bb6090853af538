"""JPEG files that lack only their end marker, told from those that lack picture data."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator

from PIL import Image

_START, _SCAN, _END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")  # but for restarts, which are in a scan
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # those that start one, ITU-T T.81 table B.1
_ALL = frozenset(range(64))  # coefficients of a block
_ROWS = 64


def _other_data(flip: int) -> bytes:
    """Arbitrary picture data, with all restart markers in between; other bits by ``flip``."""
    chunk = bytes((1 + (i * 197 + 82) % 254) ^ flip for i in range(256))
    return b"".join(chunk + bytes((0xFF, 0xD0 + i % 8)) for i in range(16)) + chunk


_OTHER_DATA = (_other_data(0), _other_data(255))


def is_open_ended(data: bytes) -> bool:
    """Whether it is a JPEG file without an end marker; a file with one is soon told."""
    if not data.startswith(_START) or data.endswith(_END) or data.rfind(_END) > data.rfind(_SCAN):
        return False
    return all(marker != _END for marker, _ in _segments(data))


def with_end(data: bytes) -> bytes:
    """The bytes of a JPEG file with an end marker, if that is all that they lack.

    Pillow takes some such files and refuses others, and takes zeros at the end of a cut file for
    its picture. A decoder takes what is missing before the end marker for zeros. So the picture
    is whole if it stays the same, pixel by pixel, when other data is put there; two kinds of it,
    that differ in every bit, and with the marks at which a decoder takes up again. A file that
    ends between two scans is found by its coefficients, which must all be there to the last bit.

    Args:
        data: a file that :func:`is_open_ended`, of a size that may be decoded.

    Raises:
        OSError: when picture data is missing, and what Pillow raises.
    """
    body = _unpadded(data)
    if _is_complete(body):
        seen = (_digest(body + other + _END) for other in _OTHER_DATA)
        digest = _digest(body + _END)
        if all(other == digest for other in seen):
            return body + _END
    raise OSError("picture data is missing")


def _unpadded(data: bytes) -> bytes:
    """The bytes without zeros at their end, and without half a marker.

    A zero after 0xFF belongs to it, and a single one may be picture data.
    """
    body = data.rstrip(b"\0")
    zeros = len(data) - len(body)
    if zeros == 1 or (zeros and body.endswith(b"\xff")):
        return body + b"\0"
    return body.rstrip(b"\xff")


def _digest(data: bytes) -> bytes:
    """Hash of the pixels at full scale, taken in strips so that they are not copied whole."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        image.load()
        found = hashlib.sha256()
        for top in range(0, image.height, _ROWS):
            strip = image.crop((0, top, image.width, min(top + _ROWS, image.height)))
            found.update(strip.tobytes())
        return found.digest()


def _is_complete(data: bytes) -> bool:
    """Whether the scans bring all coefficients of all components to the last bit."""
    left: dict[int, set[int]] = {}
    for marker, segment in _segments(data):
        if marker[1] in _FRAMES:
            left = {segment[6 + 3 * i]: {*_ALL} for i in range(segment[5])}
        elif marker == _SCAN:
            count = segment[0]
            start, end, bits = segment[1 + 2 * count : 4 + 2 * count]
            if bits & 15 == 0:
                for component in segment[1 : 1 + 2 * count : 2]:
                    left[component] -= {*range(start, end + 1)}
    return bool(left) and not any(left.values())


def _segments(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Markers and their segments, up to the end marker if there is one."""
    place = len(_START)
    while found := _MARKER.search(data, place):
        marker = b"\xff" + found[1]
        size = int.from_bytes(data[found.end() : found.end() + 2], "big")
        yield marker, data[found.end() + 2 : found.end() + size]
        if marker == _END:
            return
        place = found.end() + max(size, 2)
