"""Is everything of a gallery there, whole, and of one piece?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.config import ImageLimits
from core.gallery import Gallery
from core.images import open_image
from core.values import GalleryError, ImageError, Progress, no_progress


@dataclass(frozen=True)
class Damage:
    """A file of a gallery that is not as it should be."""

    file: str
    """Path inside the gallery."""
    what: str


def verify(folder: Path, *, progress: Progress = no_progress) -> list[Damage]:
    """Every damaged or missing file of a gallery; an empty list when all is well.

    Raises:
        GalleryError: when there is no gallery, or none that this version reads.
    """
    try:
        gallery = Gallery.open(folder)
    except GalleryError as error:
        if not (folder / "gallery.json").is_file() or "format" in str(error):
            raise
        return [Damage("manifest.parquet", str(error))]
    return [*_changed_files(gallery), *_bad_features(gallery), *_bad_thumbnails(gallery, progress)]


def _changed_files(gallery: Gallery) -> Iterator[Damage]:
    if gallery.header.generation == 0:
        return
    listing = gallery.folder / "files.json"
    try:
        digests = json.loads(listing.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield Damage(_inside(gallery, listing), "missing or damaged")
        return
    for name, digest in digests.items():
        path = gallery.folder / name
        if not path.is_file():
            yield Damage(_inside(gallery, path), "missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            yield Damage(_inside(gallery, path), "changed since it was written")


def _bad_features(gallery: Gallery) -> Iterator[Damage]:
    for key in gallery.encoder_keys:
        path = gallery.folder / key / "features.npy"
        try:
            features = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            continue  # named by its digest already
        if len(features) != len(gallery):
            yield Damage(_inside(gallery, path), f"{len(features)} rows for {len(gallery)} images")
        elif not np.isfinite(features).all():
            yield Damage(_inside(gallery, path), "values that are not finite")


def _bad_thumbnails(gallery: Gallery, progress: Progress) -> Iterator[Damage]:
    for done, record in enumerate(gallery.records, 1):
        path = gallery.store.thumbnail(record.sha256)
        try:
            open_image(path, limits=ImageLimits(min_side=1, max_aspect=float("inf")))
        except ImageError as error:
            yield Damage(_inside(gallery, path), str(error))
        progress(done, len(gallery), "checking thumbnails")


def _inside(gallery: Gallery, path: Path) -> str:
    return path.relative_to(gallery.store.folder).as_posix()
