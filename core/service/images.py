"""Pixels of gallery images, from their originals or from what the gallery keeps of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PIL import Image

from core.config import BuildConfig, ImageLimits
from core.gallery.gallery import Gallery
from core.images.decode import load_image, open_image
from core.values import GalleryError, ImageError, ImageRecord

FIT = BuildConfig().thumbnail
"""Shorter side at which images are read for encoders, pixels."""


def original_of(gallery: Gallery, image_id: int) -> Path:
    """The file of a gallery image; it may be gone.

    Raises:
        GalleryError: when there is no such image.
    """
    return gallery.root / _record_of(gallery, image_id).path


def source_image(gallery: Gallery, image_id: int, *, fit: int | None = FIT) -> Image.Image:
    """Pixels of a gallery image; its thumbnail where the original is gone or has changed.

    Args:
        gallery: the gallery.
        image_id: the image.
        fit: as in :func:`core.images.decode.load_image`.

    Raises:
        GalleryError: when there is no such image, or nothing of it can be read.
    """
    record = _record_of(gallery, image_id)
    with contextlib.suppress(ImageError):
        loaded = load_image(gallery.root / record.path, limits=ImageLimits(), fit=fit)
        if loaded.sha256 == record.sha256:
            return loaded.image
    try:
        return open_image(gallery.store.thumbnail(record.sha256), limits=ImageLimits(), fit=FIT)
    except ImageError as error:
        raise GalleryError(
            f"neither {record.path} nor its thumbnail can be read",
            command=("verify", "--gallery", str(gallery.store.folder)),
        ) from error


def at_most(image: Image.Image, side: int) -> Image.Image:
    """The same image, or a smaller one whose longer side is at most so long."""
    if max(image.size) <= side:
        return image
    small = image.copy()
    small.thumbnail((side, side))
    return small


def _record_of(gallery: Gallery, image_id: int) -> ImageRecord:
    if image_id not in gallery.row_of:
        raise GalleryError(f"no image of the gallery has the id {image_id}")
    return gallery.records[gallery.row_of[image_id]]
