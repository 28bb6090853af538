"""Neighbours and crops of a gallery, without finding again what an earlier state of it had.

They are kept with the names of their images, which are hashes of all that was compared, and found
again under them in the gallery before a change, with other images opted out, or under another head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int32, Integer, UInt64
from PIL import Image

from core.config import RegistrationConfig
from core.gallery.artefacts import Key, arrays
from core.gallery.gallery import Gallery
from core.search.crops import crop_links
from core.search.graph import WIDTH, Graph, are_neighbours
from core.search.survivors import Compared, names_of, rows_now
from core.search.updating import updated
from core.search.views import View
from core.values import Progress


@dataclass(frozen=True)
class _Crops:
    """Pairs that were looked at for crops, by the names of their images."""

    names: UInt64[np.ndarray, "n 2"]
    pairs: Integer[np.ndarray, "m 2"]
    linked: Bool[np.ndarray, " m"]

    @property
    def compared(self) -> Compared:
        """The pairs by the rows that they had."""
        return Compared(np.asarray(self.pairs, np.int64), np.asarray(self.linked))


def _are_crops(found: Mapping[str, np.ndarray]) -> bool:
    names, pairs, linked = found["names"], found["pairs"], found["linked"]
    kinds = (names.dtype, pairs.dtype, linked.dtype) == (np.uint64, np.int32, np.bool_)
    fits = kinds and names.shape[1:] == (2,) and (pairs.shape, linked.ndim) == ((len(linked), 2), 1)
    return fits and bool(((pairs >= 0) & (pairs < len(names))).all())


_CROPS = arrays(_Crops, whole=_are_crops)


@dataclass(frozen=True)
class _Near:
    """Neighbours of images, by the names of these."""

    names: UInt64[np.ndarray, "n 2"]
    rows: Int32[np.ndarray, "n k"]
    cosines: Float32[np.ndarray, "n k"]


def _are_near(found: Mapping[str, np.ndarray]) -> bool:
    names = found["names"]
    fits = names.dtype == np.uint64 and names.shape == (len(found["rows"]), 2)
    return fits and are_neighbours(found)


_NEAR = arrays(_Near, whole=_are_near)


def graph_of(
    gallery: Gallery, view: View, compute: Callable[[], Graph], *, progress: Progress
) -> Graph:
    """The exact neighbour graph of a view; where few images have changed, only they are compared.

    Args:
        gallery: the gallery.
        view: the view. Where its head was fitted on all of the gallery, every vector changes with
            every image, and nothing stays.
        compute: finds the graph from nothing.
        progress: told of rows compared where only some are; may raise ``Cancelled``.
    """
    if view.fitted is not None and view.fitted.all():
        return compute()
    vectors = view.vectors
    names = names_of([""] * len(vectors), vectors)
    given = {"encoder": view.encoder.identity, "head": view.head.identity}
    key = Key.of("near", updated, **given)
    before, found = gallery.artefacts.latest(key, codec=_NEAR), None
    if before is not None:
        table = (np.asarray(before.rows), np.asarray(before.cosines))
        now = rows_now(before.names, names)
        found = updated(vectors, table, now, width=WIDTH, progress=progress)
    graph = compute() if found is None else Graph(*found, np.ones(1))
    gallery.artefacts.keep(key, _Near(names, graph.rows, graph.cosines), codec=_NEAR)
    return graph


def crop_links_of(
    gallery: Gallery,
    view: View,
    neighbours: Integer[np.ndarray, "n k"],
    *,
    config: RegistrationConfig,
    progress: Progress,
) -> Integer[np.ndarray, "m 2"]:
    """Crops among neighbours; of pairs that an earlier state had, as they were found then.

    Args:
        gallery: the gallery.
        view: one whose encoder has local descriptors there.
        neighbours: rows of the nearest other images of every row, -1 for none.
        config: when one image counts as a crop of another.
        progress: told of rows done; may raise ``Cancelled``.
    """
    local, records, encoder = gallery.patches(view.encoder), gallery.records, view.encoder
    patch_head = gallery.patch_head(encoder)
    assert local is not None
    names = names_of([record.sha256 for record in records], local)
    given = {"encoder": encoder.identity, "patches": patch_head and patch_head.identity}
    reading = gallery.header.reading
    key = Key.of("crops", crop_links, **given, reading=reading, config=config)
    before, known = gallery.artefacts.latest(key, codec=_CROPS), None
    if before is not None:
        known = before.compared.moved(rows_now(before.names, names))
    gone: list[int] = []

    def load(row: int) -> Image.Image:
        shown = gallery.store.shown(records[row].sha256)
        if isinstance(shown, Path) and not shown.is_file():
            gone.append(row)
        return gallery.thumbnail(row)

    found = crop_links(neighbours, local, load=load, config=config, known=known, progress=progress)
    every = found if known is None else found.with_all(known)
    seen = ~np.isin(every.pairs, gone).any(axis=1)  # what could not be seen is looked at again
    pairs, linked = every.pairs[seen].astype(np.int32), every.linked[seen]
    gallery.artefacts.keep(key, _Crops(names, pairs, linked), codec=_CROPS)
    return found.links
