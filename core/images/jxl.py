"""The header of JPEG XL files, whose plugin for Pillow decodes the pixels when it opens them."""

from __future__ import annotations

_MOST_BOXES = 1_000
_MOST_CHANNELS = 4  # beside the colours: transparency, depth, black and the like
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIDES = ((9, 1), (13, 1), (18, 1), (30, 1))
_HEADER = 256  # bytes, more than all fields that are read


def codestream(data: bytes) -> bytes:
    """The codestream of a file, without its container.

    The orientation is in the codestream, and that of EXIF does not count (ISO/IEC 18181-2); a
    JPEG that could be put together again, and all compressed metadata, stay behind as well.

    Raises:
        ValueError: when there is none.
    """
    if data.startswith(b"\xff\x0a"):
        return data
    parts: list[bytes] = []
    place = 0
    for _ in range(_MOST_BOXES):
        size, kind, start = int.from_bytes(data[place : place + 4], "big"), data[place + 4 :][:4], 8
        if size == 1:
            size, start = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        end = place + size if size else len(data)
        if kind in (b"jxlc", b"jxlp"):
            parts.append(data[place + start + (4 if kind == b"jxlp" else 0) : end])
        place = max(end, place + start)
        if place >= len(data):
            break
    if not parts:
        raise ValueError("no codestream")
    return b"".join(parts)


def stated_size(stream: bytes) -> tuple[int, int]:
    """Width and height that a codestream states, pixels; not turned upright yet.

    Raises:
        ValueError: when it is an animation, or has a preview or many channels.
    """
    bits = _Bits(stream[2:_HEADER])
    size = _size(bits)
    if bits.flag():  # all metadata as usual
        return size
    if bits.flag():
        bits.number(3)  # orientation
        if bits.flag():
            _size(bits)
        if bits.flag() or bits.flag():
            raise ValueError("an animation or a preview")
    deep = bits.flag()
    bits.choice(((0, 32), (0, 16), (0, 24), (6, 1)) if deep else ((0, 8), (0, 10), (0, 12), (6, 1)))
    bits.number(4 if deep else 0)
    bits.flag()  # whether 16 bits suffice to decode
    if bits.choice(((0, 0), (0, 1), (4, 2), (12, 1))) > _MOST_CHANNELS:
        raise ValueError("too many channels")
    return size


class _Bits:
    """Reads fields of ISO/IEC 18181-1, 9.2; the lowest bit of a byte is the first."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def number(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def flag(self) -> bool:
        return bool(self.number(1))

    def choice(self, ways: tuple[tuple[int, int], ...]) -> int:
        """A number of one of four lengths, each with what is added to it."""
        count, added = ways[self.number(2)]
        return self.number(count) + added


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()
    height = _side(bits, small=small)
    ratio = bits.number(3)
    if ratio == 0:
        return _side(bits, small=small), height
    numerator, denominator = _RATIOS[ratio]
    return height * numerator // denominator, height


def _side(bits: _Bits, *, small: bool) -> int:
    return 8 * (bits.number(5) + 1) if small else bits.choice(_SIDES)
