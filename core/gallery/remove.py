"""Images taken out of a gallery, for now or for good; features kept in less space."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePosixPath

from core.gallery.blocklist import BlockedImage, Blocklist
from core.gallery.commit import Change, commit, disk_errors, still_opted_out, tidy
from core.gallery.gallery import Gallery
from core.gallery.store import Store
from core.gallery.writing import Difference
from core.images.decode import open_image
from core.values import GalleryError, Progress, no_progress


def remove(
    folder: Path,
    ids: Iterable[int],
    *,
    block: bool = False,
    progress: Progress = no_progress,
) -> Change:
    """Take images out of a gallery.

    Args:
        folder: the gallery.
        ids: ids of the images.
        block: also take out their resaves, by perceptual hash, and keep all of them out of every
            later update of this folder. Nothing but the hashes is kept.
        progress: told of what is read and written; may raise ``Cancelled`` until they are out, and
            nothing has changed then.

    Raises:
        GalleryError: when an id is not there, or the gallery is in use or cannot be written.
        ImageError: when an image to block can no longer be read.
    """
    store = Store(folder)
    store.header()
    with disk_errors(), store.writing() as unfinished:
        gallery = Gallery.open(folder, whole=True)
        gone = set(ids)
        gallery.require(gone)
        progress(0, len(gone), "removing images")
        with _blocked(gallery, sorted(gone) if block else None, progress=progress) as matched:
            difference = Difference(gone=gone | matched)
            commit(gallery, difference, progress=progress)
        tidy(gallery, difference, everything=unfinished, progress=progress)
        out = len(still_opted_out(gallery, difference))
    removed = len(difference.gone)
    return Change(len(gallery) - removed, added=0, removed=removed, opted_out=out)


def ids_of(gallery: Gallery, names: Iterable[str]) -> set[int]:
    """The images that are named by their ids, by their paths in the gallery, or by their files.

    A name of digits alone is an id, unless an image has just that path.

    Raises:
        GalleryError: when there is no image of some of the names; says of which.
    """
    gallery.require_images()
    by_path = dict(zip(gallery.records.texts("path"), gallery.records.ids, strict=True))
    found = {name: _id_of(gallery, by_path, name) for name in names}
    unknown = [name for name, number in found.items() if number is None]
    if not unknown:
        return {number for number in found.values() if number is not None}
    words = (f"the id {name}" if _is_id(name) else f"the path {name!r}" for name in unknown)
    raise GalleryError(f"no image of the gallery has {', or '.join(words)}; nothing was changed")


def _id_of(gallery: Gallery, by_path: Mapping[str, int], name: str) -> int | None:
    """Id of the image of a name, if there is one; its file need not be there any more."""
    for path in (name, PurePosixPath(name.replace("\\", "/")).as_posix()):
        if path in by_path:
            return by_path[path]
    if _is_id(name):
        return int(name) if int(name) in gallery.row_of else None
    root, path = gallery.root.resolve(), Path(name)
    files = (path.parent.resolve() / path.name, path.resolve())  # itself, and what it links to
    inside = (file.relative_to(root).as_posix() for file in files if file.is_relative_to(root))
    return next((by_path[found] for found in inside if found in by_path), None)


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdecimal()


@contextlib.contextmanager
def _blocked(
    gallery: Gallery, ids: Collection[int] | None, *, progress: Progress
) -> Iterator[AbstractSet[int]]:
    """Block images while they are taken out; ids of all that match the blocklist then.

    Where they are not taken out they are not blocked either; without ids nothing is.
    """
    if ids is None:
        yield frozenset()
        return

    def read() -> Iterator[BlockedImage]:
        for done, number in enumerate(ids):
            progress(done, len(ids), "reading the images to block")
            record = gallery.records[gallery.row_of[number]]
            shown = open_image(gallery.store.shown(record.sha256))
            yield BlockedImage.of(shown, phash=record.phash)

    blocklist, store = Blocklist(gallery.store.folder), gallery.store
    before = gallery.header.generation
    with blocklist.adding(read(), done=lambda: store.header().generation != before):
        matched = blocklist.matches(gallery.records.texts("phash"))
        yield frozenset(gallery.records.numbers("id")[matched].tolist())


def narrow(folder: Path, *, progress: Progress = no_progress) -> None:
    """Keep a gallery's features in half the space, 8 bits each; later additions are kept in full.

    Args:
        folder: the gallery.
        progress: told of what is read and written; may raise ``Cancelled`` until that is done.

    Raises:
        GalleryError: when the gallery is damaged, in use, empty, or cannot be written.
    """
    store = Store(folder)
    store.header()
    with disk_errors(), store.writing() as unfinished:
        gallery = Gallery.open(folder, whole=True)
        if not len(gallery):
            raise GalleryError(f"{gallery.name} holds no image whose features could be narrowed")
        commit(gallery, Difference(), narrowed=True, progress=progress)
        tidy(gallery, Difference(), everything=unfinished, progress=progress)
