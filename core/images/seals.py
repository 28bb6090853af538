"""Thumbnails with a digest inside: bits that flipped, and another image's picture, are seen."""

from __future__ import annotations

import hashlib

_TAG = b"SEAL" + (32).to_bytes(4, "little")
_SEAL = len(_TAG) + 32
_IMAGE = b"VP8 "


def sealed(content: bytes, *, of: str) -> bytes:
    """A WebP file with a digest of itself as its last chunk, which programs pass over.

    The extended format (RFC 9649, 2.7) says that chunks may follow which are not known.

    Args:
        content: a file of the simple lossy format (2.5), as PIL writes it.
        of: hash of the image that it shows, hexadecimal.

    Raises:
        ValueError: when it is no such file.
    """
    if content[12:16] != _IMAGE:
        raise ValueError("not a WebP file of the simple lossy format")
    width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    canvas = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + sides
    size = 4 + len(canvas) + len(content) - 12 + _SEAL
    body = b"RIFF" + size.to_bytes(4, "little") + b"WEBP" + canvas + content[12:]
    return body + _TAG + _digest(body, of)


def is_whole(content: bytes, *, of: str) -> bool | None:
    """Whether a thumbnail is as it was sealed for an image; ``None`` for one without a digest.

    Earlier versions wrote the simple format, without one.
    """
    if is_of_before(content):
        return None
    body, seal = content[:-_SEAL], content[-_SEAL:]
    return seal == _TAG + _digest(body, of)


def is_of_before(content: bytes) -> bool:
    """Whether a thumbnail is of the simple format without a digest."""
    return content[12:16] == _IMAGE and not content[-_SEAL:].startswith(_TAG)


def _digest(body: bytes, of: str) -> bytes:
    return hashlib.sha256(of.encode() + body).digest()
