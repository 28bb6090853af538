"""Uploaded images on their way into a gallery: counted, judged, and copied beside its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.config import ImageLimits, ServerConfig
from core.gallery.gallery import Gallery
from core.images.decode import load_image
from core.images.files import file_digest, folder_size, new_file
from core.values import GalleryError, ImageError


def require_room(gallery: Gallery, files: Sequence[Path], *, server: ServerConfig) -> None:
    """Refuse files with which a gallery of a hosted server would exceed what one may hold.

    Raises:
        GalleryError: when it would, or there is no file.
    """
    if not files:
        raise GalleryError("no image was given; choose at least one")
    if not server.hosted:
        return
    most = server.max_images
    if len(gallery.stored) + len(files) > most:
        raise GalleryError(f"with these the gallery would exceed {most:,} images; add fewer")
    size = folder_size(gallery.store.folder) + sum(file.stat().st_size for file in files)
    if size > server.max_unpacked_bytes:
        raise GalleryError(
            f"with these the gallery would exceed {server.max_unpacked_bytes:,} bytes; add fewer"
        )


def refusal(file: Path) -> ImageError | None:
    """Why a file is no image that is accepted."""
    try:
        load_image(file, limits=ImageLimits(), fit=16)
    except ImageError as error:
        return error
    return None


def copy_in(file: Path, root: Path) -> str:
    """Copy an upload beside a gallery's images; its name there, changed where it is taken."""
    digest = file_digest(file)
    name = re.sub(r"[^\w.-]+", "-", file.name).lstrip(".-")[-120:] or f"{digest[:16]}{file.suffix}"
    target = root / name
    if target.exists() and file_digest(target) != digest:
        target = root / f"{target.stem}-{digest[:8]}{target.suffix}"
    if not target.exists():
        with new_file(target) as partial:
            shutil.copyfile(file, partial)
    return target.name
