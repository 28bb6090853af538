"""Which engine serves the views of a gallery: the table of LanceDB that its header names, or none.

The gallery's folder stays what everything follows from. The table is brought up to date when a
state of the gallery is first asked, and what was written is kept with its artefacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import Timeout

from core.gallery.artefacts import Codec, Key, load_array
from core.gallery.gallery import Gallery
from core.images.arrays import save_array
from core.images.files import read_json, remove_folder, write_json
from core.search.lance import Contents, LanceEngine, bring_up, column_of
from core.search.lance_table import open_table, refusals, versions_of
from core.search.views import View
from core.values import GalleryError, Progress, no_progress

_WIDEST = 1_000_000  # numbers of a vector
PATIENCE = 600  # seconds that another writer may take


@dataclass(frozen=True)
class Written:
    """What the table of a gallery was left with for one of its views."""

    table: str
    """The table, as the gallery's header names it."""
    contents: Contents

    def save(self, folder: Path) -> None:
        """Write it to a folder."""
        found = self.contents
        about = {"table": self.table, "column": found.column, "texts": list(found.texts)}
        write_json(folder / "written.json", about)
        numbers = np.array([found.version, found.dim], np.int64)
        arrays = {"numbers": numbers, "ids": found.ids, "digests": found.digests}
        for name, array in arrays.items():
            save_array(folder / f"{name}.npy", array)

    @classmethod
    def load(cls, folder: Path) -> Written:
        """Read what :meth:`save` wrote.

        Raises:
            GalleryError: when it is missing or damaged.
        """
        try:
            about = read_json(folder / "written.json")
            table, column, texts = (about[name] for name in ("table", "column", "texts"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GalleryError("its values are damaged") from error
        words = (table, column, *(texts if isinstance(texts, list) else [None]))
        names = ("numbers", "ids", "digests")
        numbers, ids, digests = (load_array(folder / f"{name}.npy") for name in names)
        kinds = [array.dtype.str for array in (numbers, ids, digests)]
        shapes = numbers.shape == (2,) and digests.shape == (*ids.shape, 2) == (len(ids), 2)
        if {*map(type, words)} != {str} or kinds != ["<i8", "<i8", "<u8"] or not shapes:
            raise GalleryError("its values are damaged")
        version, dim = numbers.tolist()
        if min(version, dim) < 1 or dim > _WIDEST:
            raise GalleryError("its values are damaged")
        return cls(table, Contents(version, column, dim, tuple(texts), ids, digests))


_WRITTEN = Codec(save=Written.save, load=Written.load)


def written(gallery: Gallery, *, now: bool) -> list[Contents]:
    """What the table of a gallery was left with, a view each, in this state or in others."""
    return list(_kept(gallery, now=now).values())


def _kept(gallery: Gallery, *, now: bool) -> dict[Path, Contents]:
    found = gallery.artefacts.all_of("lance", codec=_WRITTEN, now=now)
    own = gallery.header.lance
    return {path: each.contents for path, each in found.items() if each.table == own}


def _forget(gallery: Gallery, address: str) -> None:
    """Remove what is kept of versions that went, as old ones do when a new one is written."""
    there = versions_of(open_table(address))
    for path, contents in (_kept(gallery, now=True) | _kept(gallery, now=False)).items():
        if contents.version not in there:
            remove_folder(path)


def served(gallery: Gallery, view: View, *, progress: Progress = no_progress) -> View:
    """A view that is searched by the gallery's table; as it was where the gallery has none.

    Args:
        gallery: the gallery; one that is only read is searched without its table.
        view: one of its views.
        progress: told of rows written; may raise ``Cancelled``.

    Raises:
        GalleryError: when the table is away, damaged, of another version, being written by somebody
            else, or cannot be written.
    """
    address = gallery.store.table(gallery.header)
    if not address or gallery.read_only:
        return view
    how = (view.encoder.identity, view.head.config, view.vectors.shape[1])
    column = column_of(f"{view.name}_{view.encoder.name}", how)
    given = {"images": gallery.identity, "features": gallery.digest(view.encoder)}
    given["table"] = gallery.header.lance
    key = Key.of("lance", bring_up, **given, head=view.head.identity, column=column)
    ids = np.array([record.id for record in gallery.records], np.int64)

    def write() -> Written:
        with _one_writer(gallery):
            found = bring_up(address, gallery.records, column, view.vectors, progress=progress)
            with refusals(address, "read"):
                _forget(gallery, address)
        return Written(gallery.header.lance, found)

    def opened(kept: Written) -> LanceEngine:
        return LanceEngine.open(address, column, ids=ids, version=kept.contents.version)

    kept = gallery.artefacts.get(key, write, codec=_WRITTEN)
    try:
        return replace(view, engine=opened(kept))
    except GalleryError:  # versions that are not the last one go after a while
        kept = write()
        gallery.artefacts.keep(key, kept, codec=_WRITTEN)
        return replace(view, engine=opened(kept))


@contextmanager
def _one_writer(gallery: Gallery) -> Iterator[None]:
    """Wait until nobody else writes to the table.

    Raises:
        GalleryError: when that takes too long, or the gallery's folder cannot be written.
    """
    lock = gallery.store.writing_table()
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise GalleryError(
            f"the search table of {gallery.name} is being written by another process; try again "
            "when that is done"
        ) from error
    except OSError as error:
        raise GalleryError(
            f"{gallery.name} cannot be written: {error.strerror}; --search exact answers without "
            "its search table"
        ) from error
    try:
        yield
    finally:
        lock.release()
