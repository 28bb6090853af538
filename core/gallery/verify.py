"""Is everything of a gallery there, whole, and of one piece?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.config import ImageLimits
from core.gallery.blocklist import BLOCKLIST, OLD_BLOCKLIST, Blocklist
from core.gallery.checksums import changed_files
from core.gallery.gallery import ARTEFACTS, Gallery, small_images
from core.gallery.narrow import load_array
from core.gallery.paths import is_folder
from core.gallery.store import Store
from core.images.decode import decode_ahead
from core.images.files import file_digest
from core.images.seals import is_of_before, is_whole
from core.images.stated import READING, states_numbers
from core.values import (
    GalleryError,
    ImageError,
    ImageRecord,
    Progress,
    no_progress,
)

_GONE = ("its file is no longer there", "`index --prune` with the same folder drops it")
_ALL_GONE = (_GONE[0], "`remove` with its path drops it")  # to prune all is refused
_NO_FOLDER = (
    "the folder of the images is no longer there",
    "`index` with the folder that they are in now goes on with it",
)
_CHANGED = (
    "its file has changed since it was indexed",
    "`index` with the same folder takes it in anew",
)
_OTHERWISE = (
    "its colours were read as they are stored, and are now read as the file states them",
    "`index` with the same folder describes it again",
)
_BLOCK = 4_096  # rows looked at together


@dataclass(frozen=True)
class Damage:
    """A file of a gallery that is not as it should be."""

    file: str
    """Path inside the gallery, or of an image in the folder that it was indexed from."""
    what: str
    mend: str = "build the gallery again from its images"
    """What to do about it."""


def verify(folder: Path, *, progress: Progress = no_progress) -> list[Damage]:
    """Every damaged or missing file of a gallery; an empty list when all is well.

    Raises:
        GalleryError: when there is no gallery, or none that this version reads.
    """
    store = Store(folder)
    generation = store.generation(store.header().generation)
    found = list[tuple[Path, str]]()
    if generation.name != "0":
        found += changed_files(generation, progress=progress)
    found += [*_bad_derived(generation, progress), *_bad_blocklist(store.folder)]
    try:
        gallery = Gallery.open(folder, whole=True)
    except GalleryError as error:
        found = found or [(generation / "manifest.parquet", str(error))]
    else:
        found += [*_bad_features(gallery, progress), *_bad_thumbnails(gallery, progress)]
    named: dict[Path, str] = {}
    for path, what in found:
        named.setdefault(path, what)
    return [Damage(path.relative_to(store.folder).as_posix(), what) for path, what in named.items()]


def changed_images(folder: Path, *, progress: Progress = no_progress) -> list[Damage]:
    """Images whose files have gone, or are no longer what was indexed.

    Files are compared by size and time, and read where these differ, or where they are their own
    thumbnails. Where the folder of the images is not here, that alone is said.

    Raises:
        GalleryError: when there is no gallery, or a damaged one.
    """
    gallery = Gallery.open(folder, whole=True)
    if gallery.records and not is_folder(gallery.root):
        return [Damage(str(gallery.root), *_NO_FOLDER)]
    gone: list[str] = []
    found: list[Damage] = []
    shown = {*small_images(gallery.store.folder, gallery.header.root, gallery.records).values()}
    for done, record in enumerate(gallery.records, 1):
        path = gallery.root / record.path
        if gallery.is_gone(record):
            gone.append(record.path)
        elif not _as_indexed(path, record, read=path in shown):
            found.append(Damage(record.path, *_CHANGED))
        elif gallery.header.reading < READING and states_numbers(path):
            found.append(Damage(record.path, *_OTHERWISE))
        progress(done, len(gallery), "comparing images with their files")
    what = _ALL_GONE if len(gone) == len(gallery) else _GONE
    return [*(Damage(path, *what) for path in gone), *found]


def _as_indexed(path: Path, record: ImageRecord, *, read: bool) -> bool:
    try:
        found = path.stat()
        same = (found.st_size, found.st_mtime_ns) == (record.size, record.modified)
        return (same and not read) or (
            record.size in (0, found.st_size) and file_digest(path) == record.sha256
        )
    except OSError:
        return False


def _bad_blocklist(folder: Path) -> Iterator[tuple[Path, str]]:
    try:
        Blocklist(folder)
    except GalleryError:
        old = folder / OLD_BLOCKLIST
        yield old if old.exists() else folder / BLOCKLIST, "damaged"


def _bad_derived(generation: Path, progress: Progress) -> Iterator[tuple[Path, str]]:
    """Files of what follows from the features."""
    for folder in sorted(generation.glob(f"{ARTEFACTS}*/[!.]*")):
        yield from changed_files(folder, progress=progress)


def _bad_features(gallery: Gallery, progress: Progress) -> Iterator[tuple[Path, str]]:
    def blocks(features: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, len(features), _BLOCK):
            progress(start, len(features), "looking at what describes the images")
            yield features[start : start + _BLOCK]

    contents = gallery.contents
    for part, table in zip(contents.parts, contents.tables, strict=True):
        rows = len(table) + len(part.gone)
        for key in gallery.encoder_keys:
            path = gallery.folder / part.name / key / "features.npy"
            try:
                features = load_array(path)
            except GalleryError as error:
                yield path, str(error)
                continue
            if features.shape[:1] != (rows,):
                yield path, f"an array {features.shape} for {rows} images"
            elif not all(np.isfinite(block).all() for block in blocks(features)):
                yield path, "values that are not finite"


def _bad_thumbnails(gallery: Gallery, progress: Progress) -> Iterator[tuple[Path, str]]:
    yield from gallery.store.packs.damaged()
    unsure: list[str] = []
    for done, sha in enumerate(gallery.records.texts("sha256"), 1):
        try:
            shown = gallery.store.shown(sha)
        except GalleryError as error:
            yield gallery.store.made_thumbnail(sha), str(error)
        else:
            if not is_whole(_content(shown), of=sha):
                unsure.append(sha)
        progress(done, len(gallery), "checking thumbnails")
    yield from _bad_pictures(gallery.store, unsure, progress)


def _bad_pictures(
    store: Store, shas: Sequence[str], progress: Progress
) -> Iterator[tuple[Path, str]]:
    """Pictures that cannot be decoded, or are not what was sealed.

    Args:
        store: the gallery's.
        shas: images whose thumbnails have no digest that is right, or that are their own.
        progress: told of pictures decoded; may raise ``Cancelled``.
    """
    limits = ImageLimits(min_side=1, max_aspect=float("inf"))
    decoded = decode_ahead(map(store.shown, shas), limits=limits, workers=os.cpu_count() or 1)
    for done, (sha, (shown, found)) in enumerate(zip(shas, decoded, strict=True), 1):
        made = store.made_thumbnail(sha)
        where = shown if isinstance(shown, Path) else made
        if isinstance(found, ImageError):
            yield where, str(found)
        elif where == made and is_whole(_content(shown), of=sha) is False:
            yield where, "changed since it was written"
        progress(done, len(shas), "decoding pictures without a digest")


def without_digest(folder: Path, *, progress: Progress = no_progress) -> int:
    """How many thumbnails of a gallery have no digest, as earlier versions wrote them.

    Of these, flipped bits that still decode are not seen.

    Raises:
        GalleryError: when there is no gallery, or a damaged one.
    """
    gallery, count = Gallery.open(folder, whole=True), 0
    for done, sha in enumerate(gallery.records.texts("sha256")):
        progress(done, len(gallery), "looking for thumbnails without a digest")
        count += is_of_before(_content(gallery.store.shown(sha)))
    return count


def _content(shown: Path | bytes) -> bytes:
    """What a thumbnail holds; nothing where it cannot be read."""
    try:
        return shown if isinstance(shown, bytes) else shown.read_bytes()
    except OSError:
        return b""
