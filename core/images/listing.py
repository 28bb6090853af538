"""Image files below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from core.images.decode import logger, quoted
from core.values import ImageError

EXTENSIONS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp"}
    | {".tif", ".tiff", ".avif"}
)
"""Extensions, in lower case, by which image files are found in folders and archives."""


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """Files below a folder with one of ``EXTENSIONS``, sorted by their path with forward slashes.

    Hidden files and folders are skipped; symbolic links to folders are not followed.

    Raises:
        ImageError: when the folder is not one, or cannot be listed.
    """
    root = Path(folder)
    found: list[Path] = []
    for parent, folders, files in os.walk(root, onerror=_unlisted(root)):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if is_image_name(name)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def is_image_name(name: str) -> bool:
    """Whether a file name is visible and has one of ``EXTENSIONS``."""
    return not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS


def _unlisted(root: Path) -> Callable[[OSError], None]:
    """The callback by which ``os.walk`` reports a folder that it cannot list."""

    def report(error: OSError) -> None:
        where = Path(error.filename)
        if where == root:
            raise ImageError(f"{quoted(root.name)} is not a readable folder") from error
        logger.warning("the folder %s cannot be listed: %s", quoted(where.name), error.strerror)

    return report
