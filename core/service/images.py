"""Pixels of gallery images, from their originals or from what the gallery keeps of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from core.config import BuildConfig
from core.encoders.read_image import ReadImage, read_image
from core.gallery.gallery import Gallery
from core.values import GalleryError, ImageError, ImageRecord

FIT = BuildConfig().thumbnail
"""Shorter side at which images are read for encoders, pixels."""

SHOWN_SIDE = 1280
"""Most pixels of the longer side of an image as it is shown to people."""


def original_of(gallery: Gallery, image_id: int) -> Path:
    """The file of a gallery image; it may be gone.

    Raises:
        GalleryError: when there is no such image.
    """
    return gallery.root / _record_of(gallery, image_id).path


def source_image(gallery: Gallery, image_id: int) -> ReadImage:
    """Pixels of a gallery image; its thumbnail where the original is gone or has changed.

    Args:
        gallery: the gallery.
        image_id: the image.

    Raises:
        GalleryError: when there is no such image, or nothing of it can be read.
    """
    record = _record_of(gallery, image_id)
    with contextlib.suppress(ImageError):
        found = read_image(gallery.root / record.path, fit=FIT, larger=SHOWN_SIDE)
        if found.sha256 == record.sha256:
            return found
    try:
        return read_image(gallery.store.shown(record.sha256), fit=FIT)
    except ImageError as error:
        raise GalleryError(
            f"neither {record.path} nor its thumbnail can be read",
            command=("verify", "--gallery", str(gallery.store.folder)),
        ) from error


def _record_of(gallery: Gallery, image_id: int) -> ImageRecord:
    if image_id not in gallery.row_of:
        raise GalleryError(f"no image of the gallery has the id {image_id}")
    return gallery.records[gallery.row_of[image_id]]
