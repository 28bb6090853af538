"""Which engine serves the views of a gallery: the table of LanceDB that its header names, or none.

The gallery's folder stays what everything follows from. The table is brought up to date when a
state of the gallery is first asked, and the version that holds it is kept with its artefacts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from filelock import Timeout
from jaxtyping import Integer

from core.gallery.artefacts import Key, arrays
from core.gallery.gallery import Gallery
from core.search.lance import LanceEngine, bring_up, column_of
from core.search.views import View
from core.values import GalleryError, Progress, no_progress

_PATIENCE = 600  # seconds that another writer may take


@dataclass(frozen=True)
class _Written:
    version: Integer[np.ndarray, " 1"]


def _is_version(found: Mapping[str, np.ndarray]) -> bool:
    version = found["version"]
    return version.shape == (1,) and version.dtype == np.int64 and bool(version[0] > 0)


_WRITTEN = arrays(_Written, whole=_is_version)


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

    def write() -> _Written:
        with _one_writer(gallery):
            version = bring_up(address, gallery.records, column, view.vectors, progress=progress)
        return _Written(np.array([version], np.int64))

    def opened(kept: _Written) -> LanceEngine:
        return LanceEngine.open(address, column, ids=ids, version=int(kept.version[0]))

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
        lock.acquire(timeout=_PATIENCE)
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
