"""Images opted out of every answer, and in again: what is stored of them stays as it is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from core.gallery.commit import disk_errors
from core.gallery.gallery import ARTEFACTS, Gallery, artefacts_name, latest_first
from core.gallery.store import Store
from core.images.files import remove_folder


@dataclass(frozen=True)
class Opted:
    """Which images of a gallery are part of no answer."""

    images: int
    """Images of the gallery, these included."""
    out: tuple[int, ...]
    """Ids of those that are opted out, in their order."""


def opt_out(folder: Path, ids: Collection[int]) -> Opted:
    """Take images out of every answer; :func:`opt_in` undoes it.

    Only the gallery's header is written, whole or not at all. Whoever opens the gallery finds it as
    if the images had never been indexed; what follows from it is computed anew, from the features
    that are stored, but for a large gallery's null: that stays while few images go
    (:data:`core.service.kept.MOST`), and names none of them.

    Args:
        folder: the gallery.
        ids: ids of images.

    Raises:
        GalleryError: when an id is not there, or the gallery is in use or cannot be written.
    """
    return _change(folder, ids, out=True)


def opt_in(folder: Path, ids: Collection[int]) -> Opted:
    """Let images that were opted out be part of answers again; as :func:`opt_out`."""
    return _change(folder, ids, out=False)


def _change(folder: Path, ids: Collection[int], *, out: bool) -> Opted:
    store = Store(folder)
    store.header()
    with disk_errors(), store.writing():
        gallery = Gallery.open(folder, whole=True)
        gallery.require(ids)
        before = set(gallery.header.opted_out)
        after = before.union(ids) if out else before.difference(ids)
        if after != before:
            store.opt_out(after)
            _drop_artefacts(gallery.folder, kept=artefacts_name(after))
    return Opted(len(gallery), tuple(sorted(after)))


def _drop_artefacts(generation: Path, *, kept: str) -> None:
    """Remove what followed from other choices; what follows from all images stays for the undo.

    So does what followed from the last choice, from which the next is brought up to date.
    """
    others = [path for path in latest_first(generation.glob(f"{ARTEFACTS}-*")) if path.name != kept]
    for path in others[kept != ARTEFACTS :]:
        remove_folder(path)
