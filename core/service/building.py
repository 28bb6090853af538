"""The one door through which galleries are built: sources, encoders, and what follows."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.config import BuildConfig
from core.encoders.network import NetworkEncoder
from core.gallery.artefacts import digest_of
from core.gallery.build import update
from core.gallery.commit import Change
from core.gallery.datasets import materialise
from core.gallery.gallery import Gallery, is_shipped
from core.gallery.source import Source
from core.gallery.store import Store
from core.images.files import remove_folder
from core.search.extra_views import EXTRA_VIEWS, with_extra_views
from core.search.lance_table import create, drop, new_table
from core.service.heads import choose_head
from core.service.workspace import Workspace
from core.values import Encoder, GalleryError, Progress, no_progress

logger = logging.getLogger(__name__)


def build(
    source: str | Path,
    folder: Path,
    encoders: Sequence[Encoder],
    *,
    prune: bool = False,
    config: BuildConfig | None = None,
    progress: Progress = no_progress,
) -> Change:
    """Build a gallery, or bring it up to date; a stopped build goes on.

    Edges and palettes are described beside networks. What answers need is computed at the end and
    kept.

    Args:
        source: a folder, a zip or a dataset, as :func:`core.gallery.datasets.materialise` takes it.
        folder: the gallery; the images of a zip or a dataset are kept inside.
        encoders: encoders to apply, all that the gallery already holds among them.
        prune: whether images go whose files are no longer there.
        config: sizes of batches and shards, what is taken of the source, who encodes.
        progress: called with images done; may raise ``Cancelled``.

    Raises:
        GalleryError: when the source is refused, or the gallery cannot be written.
        Cancelled: when ``progress`` asked for it; the same call goes on with what was done.
    """
    config = config or BuildConfig()
    images = materialise(source, into=folder, limits=config.limits, progress=progress)
    found = Source(images, prune=prune)
    return bring_up(folder, found, with_extra_views(encoders), config=config, progress=progress)


def bring_up(
    folder: Path,
    source: Source,
    encoders: Sequence[Encoder],
    *,
    config: BuildConfig | None = None,
    progress: Progress = no_progress,
) -> Change:
    """Bring a gallery up to date with its folder of images, under just these encoders.

    As :func:`core.gallery.build.update`; what answers need is computed at the end and kept.
    """
    change = update(folder, source, encoders, config=config, progress=progress)
    return replace(change, recall=finish(folder, encoders, progress=progress))


def search_with_lance(
    folder: Path, encoders: Sequence[Encoder], *, database: str = "", progress: Progress
) -> None:
    """Write a gallery's vectors and columns to a new table of LanceDB, which is searched from now.

    The table that was searched before is deleted; whatever goes wrong, it stays as it is.

    Args:
        folder: the gallery.
        encoders: encoders that it has; all others are written when they are first asked.
        database: a folder, or a URI that LanceDB knows; by default inside the gallery.
        progress: told of rows written; may raise ``Cancelled``.

    Raises:
        GalleryError: when LanceDB is not installed, or the table cannot be written.
    """
    store = Store(folder)
    before = store.header().lance
    table = new_table(_database(store, database))
    create(table, owner=_owner(store))
    try:
        with store.writing():
            store.search_in(table)
        for encoder in encoders:
            if isinstance(encoder, NetworkEncoder):
                gallery = Gallery.open(folder)
                head = choose_head(gallery, encoder, "default", progress=progress)
                Workspace(gallery, encoder, head, progress=progress)
    except BaseException:
        with store.writing():
            store.search_in(store.table(replace(store.header(), lance=before)))
        drop(table, owner=_owner(store))
        raise
    _drop(store, store.table(replace(store.header(), lance=before)))


def _owner(store: Store) -> str:
    """What a gallery's tables know it by: a copy of its folder is another, wherever it lies."""
    return digest_of([platform.node(), str(store.folder.absolute())])


def _drop(store: Store, table: str) -> None:
    """Delete a table where that is possible; one of the gallery's own folder however damaged."""
    drop(table, owner=_owner(store))
    if table and Path(table).parent == store.folder / "lance":
        remove_folder(Path(table))


def search_with_faiss(folder: Path) -> None:
    """Search a gallery by FAISS again; its table of LanceDB is deleted.

    Raises:
        GalleryError: when there is no gallery, or somebody else writes to it.
    """
    store = Store(folder)
    with store.writing():
        table = store.table(store.header())
        store.search_in("")
    _drop(store, table)


def _database(store: Store, named: str) -> str:
    """Where tables lie: a URI as it is named, or the full path of a folder."""
    if "://" in named:
        return named
    return str(Path(named).absolute() if named else store.folder / "lance")


def finish(
    folder: Path, encoders: Sequence[Encoder], *, progress: Progress = no_progress
) -> dict[str, float]:
    """Compute and keep what answers need of a gallery, so that the first reader waits for nothing.

    That is, for every encoder under its default head: the head, vectors, groups and the null. Edges
    and palettes are views of the networks that are there, and are finished with these. A gallery
    that is too small for any of these is left without.

    Returns:
        The measured recall of the search by encoder, where a graph is walked.

    Raises:
        Cancelled: when ``progress`` asked for it; what was finished is kept.
    """
    if is_shipped(folder):  # its maker decides what is shipped with it
        return {}
    gallery, recall = Gallery.open(folder), dict[str, float]()
    networks = any(isinstance(encoder, NetworkEncoder) for encoder in encoders)
    for encoder in encoders:
        if networks and encoder.name in EXTRA_VIEWS:
            continue
        try:
            head = choose_head(gallery, encoder, "default", progress=progress)
            views = Workspace(gallery, encoder, head, progress=progress).collection.views
        except GalleryError as error:
            logger.info("nothing was computed ahead for %s: %s", encoder.name, error)
            continue
        for view in views:
            graph = view.graph and view.graph()  # what needs it may be there, and it not
            if graph and view.walk is not None:
                recall[view.encoder.name] = float(graph.recall[0])
    return recall
