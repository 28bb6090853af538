"""What a large gallery is walked by, and what was found by it, from an earlier state's.

Links and neighbours are kept for the state that they are of. Beside them lie the names of its
images and the keys of both, so that the next state finds them and changes them where its images
differ. After many changes all is made anew, so that what is missed does not add up.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Integer, UInt64

from core.gallery.artefacts import Codec, Key, load_array
from core.gallery.gallery import Gallery
from core.images.arrays import save_array
from core.images.files import read_json, write_json
from core.search.graph import Graph, graph_codec, measured, neighbour_graph
from core.search.survivors import rows_now
from core.search.views import View
from core.search.walk import Walk
from core.search.walked import walked_again
from core.values import GalleryError, Progress

T = TypeVar("T")

_KEY = re.compile(r"[a-z]{1,32}-[0-9a-f]{8}-[0-9a-f]{16}")  # of values, which are folders
_MANY = 2**40  # images

MOST = 0.25
"""Images that come and go before all is made anew, to those that were there when it last was."""


@dataclass(frozen=True)
class _State:
    """Where the walk of a state of a gallery is kept, and of what it is."""

    names: UInt64[np.ndarray, "n 2"]
    """Of its images."""
    walk: Key
    neighbours: Key
    head: str
    """Identity of the head of the vectors."""
    built: int
    """Images when all was last made anew."""
    changed: int
    """Images that came or went since then."""

    def save(self, folder: Path) -> None:
        """Write it to a folder."""
        about = asdict(self)
        save_array(folder / "names.npy", about.pop("names"))
        write_json(folder / "state.json", about)

    @classmethod
    def load(cls, folder: Path) -> _State:
        """Read what :meth:`save` wrote.

        Raises:
            GalleryError: when it is missing or damaged.
        """
        names = load_array(folder / "names.npy")
        try:
            about = read_json(folder / "state.json")
            walk, neighbours = (Key(**about[name]) for name in ("walk", "neighbours"))
            head, built, changed = (about[name] for name in ("head", "built", "changed"))
            texts = (head, *asdict(walk).values(), *asdict(neighbours).values())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GalleryError("its values are damaged") from error
        kinds = {*map(type, texts)} == {str} and {type(built), type(changed)} == {int}
        keys = all(_KEY.fullmatch(str(key)) for key in (walk, neighbours))
        if not kinds or not keys or not (0 < built < _MANY and 0 <= changed < _MANY):
            raise GalleryError("its values are damaged")
        if names.dtype != np.uint64 or names.shape[1:] != (2,):
            raise GalleryError("its values are damaged")
        return cls(names, walk, neighbours, head, built, changed)


_STATE = Codec(save=_State.save, load=_State.load)


class Carried:
    """The walk of a view and the neighbours that it finds, from those of an earlier state."""

    def __init__(self, gallery: Gallery, view: View, *, walk: Key, neighbours: Key) -> None:
        """Take a view, and the keys under which both are kept for the gallery as it is."""
        self.gallery, self.view, self.keys = gallery, view, (walk, neighbours)
        hashes = gallery.records.hashes.astype(np.uint64)
        self.names = np.stack([hashes, np.zeros_like(hashes)], axis=1)
        about = {"view": view.name, "encoder": view.encoder.identity, "head": view.head.config}
        about["reading"] = gallery.header.reading
        self.key = Key.of("walked", walked_again, **about)

    @functools.cached_property
    def before(self) -> tuple[_State, Integer[np.ndarray, " m"]] | None:
        """The earlier state and the row of each of its images now, -1 where it is gone.

        ``None`` where there is no such state, or too much has changed: images, or where they lie.
        """
        found = self.gallery.artefacts.latest(self.key, codec=_STATE)
        if found is None:
            return None
        vectors, now = self.view.vectors, rows_now(found.names, self.names)

        def fits(folder: Path) -> bool:
            return Walk.still_shows_the_way(folder / "walk.npz", vectors, now=now)

        if not self._kept(found.walk, fits):
            return None
        more = len(found.names) + len(self.names) - 2 * int((now >= 0).sum())
        state = replace(found, changed=found.changed + more)
        return (state, now) if state.changed <= MOST * state.built else None

    def walk(self, rows: Integer[np.ndarray, " m"], *, progress: Progress) -> Walk:
        """A walk by which some rows are found."""
        vectors = self.view.vectors
        if self.before is not None:
            state, now = self.before

            def changed(folder: Path) -> Walk:
                path = folder / "walk.npz"
                return Walk.changed(path, vectors, now=now, rows=rows, progress=progress)

            found = self._kept(state.walk, changed)
            if found is not None:
                return found
        return Walk.build(vectors, rows=rows, progress=progress)

    def graph(self, walk: Walk, *, progress: Progress) -> Graph:
        """The neighbours that a walk finds; with them is kept what the next state needs."""
        vectors, head, found = self.view.vectors, self.view.head.identity, None
        state = _State(self.names, *self.keys, head=head, built=len(vectors), changed=0)
        if self.before is not None:
            earlier, now = self.before
            state = replace(state, built=earlier.built, changed=earlier.changed)
            codec = graph_codec(len(now), walked=True)
            before = self.gallery.artefacts.latest(earlier.neighbours, codec=codec)
            if before is not None:
                table, moved = (before.rows, before.cosines), earlier.head != head
                tables = walked_again(
                    vectors, table, now, walk=walk, moved=moved, progress=progress
                )
                found = measured(vectors, *tables)
        graph = found or neighbour_graph(vectors, walk=walk, progress=progress)
        self.gallery.artefacts.keep(self.key, state, codec=_STATE)
        return graph

    def _kept(self, key: Key, load: Callable[[Path], T]) -> T | None:
        """What is read of the folder of a key, in whatever state it lies."""
        return self.gallery.artefacts.latest(key, codec=Codec(save=_never, load=load))


def _never(*_: object) -> None:
    raise AssertionError("what an earlier state had is only read")
