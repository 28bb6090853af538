"""Uploaded images on their way into a gallery: counted, judged, and copied beside its own."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.config import ImageLimits, ServerConfig
from core.gallery.gallery import Gallery
from core.images.decode import load_image
from core.images.files import file_digest, folder_size, new_file
from core.values import GalleryError, ImageError, Progress


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


def refusals(files: Sequence[Path], *, progress: Progress) -> dict[Path, ImageError]:
    """Files that are no images that are accepted, and why; ``progress`` is told of each file."""
    found: dict[Path, ImageError] = {}
    for done, file in enumerate(files):
        progress(done, len(files), "looking at the files")
        try:
            load_image(file, limits=ImageLimits(), fit=16)
        except ImageError as error:
            found[file] = error
    return found


@contextlib.contextmanager
def copied_in(
    files: Sequence[Path], gallery: Gallery, *, progress: Progress
) -> Iterator[tuple[str, ...]]:
    """Names of uploads that are copied beside a gallery's images.

    When the block fails, copies that the gallery has not taken in go again.

    Args:
        files: the uploads.
        gallery: one that keeps its images itself.
        progress: told of each file; may raise ``Cancelled``.
    """
    names: list[str] = []
    made: list[Path] = []
    try:
        for done, file in enumerate(files):
            progress(done, len(files), "copying the files")
            target = _place_of(file, gallery.root)
            if not target.exists():
                with new_file(target) as partial:
                    shutil.copyfile(file, partial)
                made.append(target)
            names.append(target.name)
        yield tuple(names)
    except BaseException:
        there = {*Gallery.open(gallery.store.folder, whole=True).records.texts("path")}
        for target in made:
            if target.name not in there:
                target.unlink(missing_ok=True)
        raise


def _place_of(file: Path, root: Path) -> Path:
    """Where an upload lies beside a gallery's images; under another name where its is taken."""
    digest = file_digest(file)
    name = re.sub(r"[^\w.-]+", "-", file.name).lstrip(".-")[-120:] or f"{digest[:16]}{file.suffix}"
    target = root / name
    if target.exists() and file_digest(target) != digest:
        target = root / f"{target.stem}-{digest[:8]}{target.suffix}"
    return target
