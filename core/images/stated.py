"""Where a file states its colours by code points: the chunk cICP of PNG, the box nclx of HEIF."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from PIL import Image

from core.images.kinds import FIRST_BYTES, kind_of
from core.images.spaces import CodePoints
from core.values import Progress

READING = 1
"""Version of how colours that numbers state are read. A gallery keeps the one that its images of
this kind were described by; all others are read as before, so that no encoder changes."""
_MOST = 10_000  # chunks, boxes and items of a file that are looked at
_HEAD = 65_536  # bytes in which what states colours begins
_PNG_START = 8
_Place = tuple[bytes, int, int]


def note_code_points(image: Image.Image, data: bytes, *, kind: str | None) -> None:
    """Put the code points that a file states into the ``info`` of its image, where they count.

    In PNG they count for more than a profile, if they are known (PNG, third edition, 4.3); in HEIF
    and AVIF a profile counts for more (ISO/IEC 23008-12, 6.5.5).

    Args:
        image: of the file, as Pillow opened it, or one of its frames.
        data: the file's bytes; whatever is damaged states nothing.
        kind: the file's format, as Pillow names it.
    """
    try:
        points = _of_png(data) if kind == "PNG" else None
        if kind in ("AVIF", "HEIF") and "icc_profile" not in image.info:
            points = _of_heif(data)
    except (struct.error, IndexError, ValueError):
        return
    if points is None or ("icc_profile" in image.info and not points.known):
        return
    image.info.pop("icc_profile", None)
    image.info["code_points"] = points


def states_numbers(path: Path) -> bool:
    """Whether a file may state other colours than those of sRGB by numbers and not by a profile.

    These are the files that :data:`READING` changed; that there may be more does not matter.
    """
    try:
        with path.open("rb") as file:
            kind = kind_of(start := file.read(FIRST_BYTES))
            if kind not in ("PNG", "AVIF", "HEIC"):
                return False
            data = start + file.read(_HEAD)
        if kind == "PNG":
            kinds = {kind for kind, _, _ in _chunks(data)}
            return b"cICP" in kinds or (b"gAMA" in kinds and not kinds & {b"iCCP", b"sRGB"})
        points = _of_heif(data)
    except (OSError, struct.error, IndexError, ValueError):
        return False
    return points is not None and not points.is_srgb


def stating_numbers(files: Collection[tuple[str, Path]], *, progress: Progress) -> set[str]:
    """Contents, given with their files, of which :func:`states_numbers` says so."""
    found: set[str] = set()
    for done, (content, path) in enumerate(files):
        progress(done, len(files), "looking at how files state their colours")
        if states_numbers(path):
            found.add(content)
    return found


def _of_png(data: bytes) -> CodePoints | None:
    for kind, start, end in _chunks(data):
        if kind == b"cICP":
            primaries, transfer, matrix, full = data[start:end]
            return CodePoints(primaries, transfer, full_range=bool(full)) if matrix == 0 else None
    return None


def _chunks(data: bytes) -> Iterator[_Place]:
    """Kind, and where the content starts and ends, of the chunks before the pixels."""
    place = _PNG_START
    for _ in range(_MOST):
        if place + 8 > len(data):
            return
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind in (b"IDAT", b"IEND"):
            return
        yield kind, place + 8, place + 8 + size
        place += size + 12


def _of_heif(data: bytes) -> CodePoints | None:
    """The code points of the primary item, else the first that any item has."""
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            inner = {kind: (start, end) for kind, start, end in _boxes(data, start + 4, end)}
            return _of_properties(data, inner) if b"iprp" in inner else None
    return None


def _of_properties(data: bytes, meta: dict[bytes, tuple[int, int]]) -> CodePoints | None:
    parts = {kind: (start, end) for kind, start, end in _boxes(data, *meta[b"iprp"])}
    if b"ipco" not in parts:
        return None
    stated = {
        number: CodePoints(*struct.unpack_from(">HH", data, start + 4))  # matrix, range: decoded
        for number, (kind, start, _) in enumerate(_boxes(data, *parts[b"ipco"]), 1)
        if kind == b"colr" and data[start : start + 4] == b"nclx"
    }
    own: list[int] = []
    if len(stated) > 1 and b"pitm" in meta and b"ipma" in parts:
        own = _properties_of(_primary(data, meta[b"pitm"][0]), data, parts[b"ipma"][0])
    return next((stated[number] for number in (*own, *stated) if number in stated), None)


def _primary(data: bytes, start: int) -> int:
    (item,) = struct.unpack_from(">I" if data[start] else ">H", data, start + 4)
    return item


def _properties_of(item: int, data: bytes, start: int) -> list[int]:
    """Numbers of the properties of an item, from 1, by the box ``ipma``."""
    version, flags = data[start], data[start + 3]
    (count,) = struct.unpack_from(">I", data, start + 4)
    place = start + 8
    number, each = (">IB" if version else ">HB"), (">H" if flags & 1 else ">B")
    mask, size = (0x7FFF, 2) if flags & 1 else (0x7F, 1)
    for _ in range(min(count, _MOST)):
        found, several = struct.unpack_from(number, data, place)
        place += struct.calcsize(number)
        if found == item:
            at = range(place, place + size * several, size)
            return [struct.unpack_from(each, data, one)[0] & mask for one in at]
        place += size * several
    return []


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Place]:
    """Kind, and where the content starts and ends, of the boxes between two places."""
    return islice(_all_boxes(data, start, end), _MOST)


def _all_boxes(data: bytes, start: int, end: int) -> Iterator[_Place]:
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = start + size if size else end
        if stop < start + head or stop > end:
            return
        yield kind, start + head, stop
        start = stop
