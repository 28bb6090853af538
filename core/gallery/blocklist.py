"""The blocklist: images that were taken out for good, known by their perceptual hashes alone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from core.values import GalleryError, Progress, no_progress

MAX_DISTANCE = 6
"""Largest Hamming distance of two 64-bit hashes of one image.

Of 400 photographs every resave down to half size and JPEG quality 20 lies within it, mirrored ones
too; so do three quarters of those that lost a border of 2.5 % on each side.
"""

BLOCKLIST = "blocklist.json"
"""The file of a blocklist in the folder of a gallery."""

OLD_BLOCKLIST = "tombstones.json"
"""Its file in galleries of earlier versions, which is still read."""

_FIT = 256


@dataclass(frozen=True)
class BlockedImage:
    """All that is kept of an image that must not come back."""

    phash: str
    """64-bit perceptual hash, 16 hexadecimal digits."""
    mirrored: str
    """The perceptual hash of its mirror image."""

    def __post_init__(self) -> None:
        """Refuse texts that are not hashes."""
        for value in (self.phash, self.mirrored):
            check_phash(value)

    @classmethod
    def of(cls, image: Image.Image, *, phash: str | None = None) -> BlockedImage:
        """The hashes of an RGB image; ``phash`` is its own where that is known already."""
        return cls(phash or perceptual_hash(image), perceptual_hash(ImageOps.mirror(image)))


class Blocklist:
    """The blocked images of one gallery's folder; the list outlives the gallery's generations."""

    def __init__(self, folder: Path) -> None:
        """Read the list of a gallery's folder; it is empty where there is no file.

        Raises:
            GalleryError: when the file is damaged.
        """
        self.folder = folder
        old, new = _read(folder / OLD_BLOCKLIST), _read(folder / BLOCKLIST)
        self.images = tuple(dict.fromkeys((*old, *new)))

    def add(self, images: Iterable[BlockedImage]) -> None:
        """Block more images."""
        with self.adding(images, done=lambda: True):
            pass

    @contextlib.contextmanager
    def adding(self, images: Iterable[BlockedImage], *, done: Callable[[], bool]) -> Iterator[None]:
        """Block more images; where the block ends in an error, and nothing is done, no more are.

        Args:
            images: the images.
            done: whether what they are blocked for is done, although there was an error.
        """
        own, before = self.folder / BLOCKLIST, self.images
        kept = own.with_name(f".{BLOCKLIST}.before")  # put back without room on the disk
        self.images = tuple(dict.fromkeys((*before, *images)))
        if own.exists():
            shutil.copyfile(own, kept)
        try:
            write_json(own, {"blocked": [asdict(image) for image in self.images]})
            yield
            (self.folder / OLD_BLOCKLIST).unlink(missing_ok=True)
        except BaseException:
            if not done():
                self.images = before
                if kept.exists():
                    kept.replace(own)
                else:
                    own.unlink(missing_ok=True)
            raise
        finally:
            kept.unlink(missing_ok=True)

    def matches(self, hashes: Iterable[str]) -> Bool[np.ndarray, " b"]:
        """Which perceptual hashes are those of a blocked image or of its mirror image.

        Args:
            hashes: 64-bit perceptual hashes, 16 hexadecimal digits each.
        """
        blocked = [bits for image in self.images for bits in (image.phash, image.mirrored)]
        near = np.bitwise_count(_bits(hashes)[:, None] ^ _bits(blocked)[None]) <= MAX_DISTANCE
        return np.asarray(near.any(axis=1))

    def matching_files(
        self, files: Mapping[str, Path], *, workers: int, progress: Progress = no_progress
    ) -> set[str]:
        """Names of the files that show a blocked image. An empty list reads no file.

        Args:
            files: files by name.
            workers: number of threads that decode.
            progress: told of files compared; may raise ``Cancelled``.
        """
        if not self.images:
            return set()
        loads = decode_ahead(files.values(), limits=ImageLimits(), workers=workers, fit=_FIT)
        hashes: dict[str, str] = {}
        with contextlib.closing(loads):  # a stop leaves nothing that is still decoded
            for done, (name, (_, loaded)) in enumerate(zip(files, loads, strict=True)):
                progress(done, len(files), "comparing files with blocked images")
                if isinstance(loaded, LoadedImage):
                    hashes[name] = perceptual_hash(loaded.image)
        blocked = self.matches(hashes.values())
        return {name for name, matched in zip(hashes, blocked, strict=True) if matched}


def _read(path: Path) -> tuple[BlockedImage, ...]:
    """The images of a blocklist file; none where there is no file.

    Raises:
        GalleryError: when the file is damaged.
    """
    try:
        rows = read_json(path)["tombstones" if path.name == OLD_BLOCKLIST else "blocked"]
        return tuple(BlockedImage(**row) for row in rows)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GalleryError(f"{path.name} of {path.parent.name} is damaged") from error


def _bits(hashes: Iterable[str]) -> np.ndarray:
    return np.array([int(value, 16) for value in hashes], np.uint64)
