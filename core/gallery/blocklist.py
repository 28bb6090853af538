"""Tombstones: images that were taken out for good, known by their perceptual hashes alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from PIL import Image, ImageOps

from core.config import ImageLimits
from core.gallery.paths import check_phash
from core.images.decode import LoadedImage, decode_ahead
from core.images.files import read_json, write_json
from core.images.thumbnails import perceptual_hash
from core.values import GalleryError

MAX_DISTANCE = 6
"""Largest Hamming distance of two 64-bit hashes of one image.

Of 400 photographs every resave down to half size and JPEG quality 20 lies within it, mirrored ones
too; so do three quarters of those that lost a border of 2.5 % on each side.
"""

TOMBSTONES = "tombstones.json"
"""Their file in the folder of a gallery."""

_FIT = 256


@dataclass(frozen=True)
class Tombstone:
    """What is kept of an image that must not come back."""

    phash: str
    """64-bit perceptual hash, 16 hexadecimal digits."""
    mirrored: str
    """The same of its mirror image."""

    def __post_init__(self) -> None:
        """Refuse what is no hash."""
        for value in (self.phash, self.mirrored):
            check_phash(value)

    @classmethod
    def of(cls, image: Image.Image, *, phash: str | None = None) -> Tombstone:
        """The tombstone of an RGB image; ``phash`` is its hash where that is known."""
        return cls(phash or perceptual_hash(image), perceptual_hash(ImageOps.mirror(image)))


class Graveyard:
    """The tombstones of one gallery's folder; they outlive its generations."""

    def __init__(self, folder: Path) -> None:
        """Read them.

        Raises:
            GalleryError: when their file is damaged.
        """
        self.path = folder / TOMBSTONES
        try:
            rows = read_json(self.path)["tombstones"]
            self.tombstones = tuple(Tombstone(**row) for row in rows)
        except FileNotFoundError:
            self.tombstones = ()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GalleryError(f"{TOMBSTONES} of {folder.name} is damaged") from error

    def add(self, stones: Iterable[Tombstone]) -> None:
        """Set tombstones; written whole or not at all."""
        self.tombstones = tuple(dict.fromkeys((*self.tombstones, *stones)))
        write_json(self.path, {"tombstones": [asdict(stone) for stone in self.tombstones]})

    def bars(self, hashes: Iterable[str]) -> Bool[np.ndarray, " b"]:
        """Which perceptual hashes are those of an image with a tombstone, or of its mirror image.

        Args:
            hashes: 64-bit perceptual hashes, 16 hexadecimal digits each.
        """
        known = [bits for stone in self.tombstones for bits in (stone.phash, stone.mirrored)]
        here, there = _bits(hashes), _bits(known)
        near = np.bitwise_count(here[:, None] ^ there[None]) <= MAX_DISTANCE
        return np.asarray(near.any(axis=1))

    def barred(self, files: Mapping[str, Path], *, workers: int) -> set[str]:
        """Names of the files that show an image with a tombstone; nothing is read without any."""
        if not self.tombstones:
            return set()
        loads = decode_ahead(files.values(), limits=ImageLimits(), workers=workers, fit=_FIT)
        hashes = {
            name: perceptual_hash(found.image)
            for name, (_, found) in zip(files, loads, strict=True)
            if isinstance(found, LoadedImage)
        }
        return {name for name, no in zip(hashes, self.bars(hashes.values()), strict=True) if no}


def _bits(hashes: Iterable[str]) -> np.ndarray:
    return np.array([int(value, 16) for value in hashes], np.uint64)
