"""A graph over the rows of a gallery that is walked to find the nearest ones (HNSW, by FAISS).

Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using hierarchical
navigable small world graphs, 2018. The graph holds the rows as integers of 8 bits, padded with
zeros to whole registers, and compares integers alone; what it finds are candidates, whose cosines
are computed from the rows themselves. Like rows lie beside each other, so that a walk, and the next
one from a row nearby, find what they compare in the processor's caches.

On disk lie its links alone, as plain arrays: a gallery may be a stranger's, and the library's own
format is parsed by code that trusts it. Links that lead nowhere are refused before they are walked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from jaxtyping import Bool, Float, Integer

from core.heads.rows import unit_rows
from core.images.arrays import read_arrays
from core.images.files import new_file
from core.search.links import Links
from core.values import GalleryError, Progress, no_progress

_faiss: Any = faiss  # what its annotations lack
_KIND: Any = faiss.ScalarQuantizer.QT_8bit_direct_signed
_LINKS = 16  # links per node and level, twice as many at the bottom
_BUILD_BEAM = 80  # candidates kept while a node is inserted
_NARROW, _NARROW_BEAM = 256, 48  # rows of so many numbers, as of edges, need fewer (decision 013)
_LANES = 32  # numbers that are compared at once; where more are left, far slower
_LARGEST = 127  # of 8 bits
_MOST = 1e6  # scale of rows: numbers of unit rows are larger than a ten thousandth, or many
_SCALED = 4_096  # rows of which the scale of all is found
_CLIPPED = 1e-4  # share of their numbers beyond the largest
_BLOCK = 4_096  # rows inserted, or asked for, between two reports
_ANYWHERE = 5  # one row in so many is inserted first, so that links lead everywhere
_PIVOTS = 512  # rows by which the others are put in order
_CODED = 512  # rows rounded at once where nothing is inserted
_NEARLY = 0.98  # cosine of a row with itself from which links still show the way
_SEEN = 64  # rows of a stored graph that are compared with the embeddings
_KEPT = ("rows", "levels", "links", "top", "seen", "scale")
_KINDS = [("<i8", 1), ("<i4", 1), ("<i4", 1), ("<i8", 1), ("<f4", 2), ("<f8", 1)]


class Walk:
    """An HNSW graph over unit rows; never changed once it is built."""

    def __init__(self, engine: faiss.IndexIDMap, scale: float) -> None:
        """Take an engine over scaled, padded rows, named by their numbers; see :meth:`build`."""
        self._engine, self._scale = engine, scale

    @classmethod
    def build(
        cls,
        vectors: Float[np.ndarray, "n d"],
        *,
        rows: Integer[np.ndarray, " m"] | None = None,
        progress: Progress = no_progress,
    ) -> Walk:
        """Insert rows, not necessarily of unit length, one block after another.

        Args:
            vectors: one row per image; (n, d).
            rows: the rows that can be found, ascending; all by default.
            progress: told of rows inserted; may raise ``Cancelled``.
        """
        rows = np.arange(len(vectors)) if rows is None else rows
        found = cls(faiss.IndexIDMap(_engine(vectors.shape[1])), _scale(vectors, rows))
        found._insert(vectors, _by_likeness(vectors, rows), progress)
        return found

    @classmethod
    def load(cls, path: Path, vectors: Float[np.ndarray, "n d"]) -> Walk:
        """Open a graph that :meth:`save` wrote for these rows.

        Raises:
            GalleryError: if the file cannot be read or is a graph of other rows.
        """
        found, engine = _Kept.read(path), _engine(vectors.shape[1])
        if not found.are_links_of(engine) or not found.are_of(vectors):
            raise GalleryError(f"{path.name} is a search index of other embeddings")
        return cls(_linked(engine, found.rows, found.links, vectors, found.scale), found.scale)

    @classmethod
    def changed(
        cls,
        path: Path,
        vectors: Float[np.ndarray, "n d"],
        *,
        now: Integer[np.ndarray, " o"],
        rows: Integer[np.ndarray, " m"],
        progress: Progress = no_progress,
    ) -> Walk:
        """The graph that :meth:`save` wrote in an earlier state, of the rows that are there now.

        Rows that went are bridged, rows that came are inserted. The vectors of those that stayed
        may differ a little from what they were: links show the way, whatever the numbers.

        Args:
            path: its file.
            vectors: one row per image; (n, d).
            now: row of every earlier image, -1 where it is gone.
            rows: the rows that must be found.
            progress: told of rows inserted; may raise ``Cancelled``.

        Raises:
            GalleryError: if the file cannot be read or is no graph of so many rows.
        """
        found, engine = _Kept.read(path), _engine(vectors.shape[1])
        if not found.are_links_of(engine) or not _are_rows(found.rows, len(now)):
            raise GalleryError(f"{path.name} is a search index of other embeddings")
        places = now[found.rows]
        stays = places >= 0

        def likeness(one: np.ndarray, two: np.ndarray) -> np.ndarray:
            pair = (unit_rows(vectors[places[nodes]], dtype=np.float32) for nodes in (one, two))
            return np.einsum("pd,pd->p", *pair)

        left = found.links.without(_widths(engine), stays, likeness)
        named = _linked(engine, places[stays], left, vectors, found.scale)
        walk = cls(named, found.scale)
        walk._insert(vectors, np.setdiff1d(rows, places[stays]), progress)
        return walk

    @staticmethod
    def still_shows_the_way(
        path: Path, vectors: Float[np.ndarray, "n d"], *, now: Integer[np.ndarray, " o"]
    ) -> bool:
        """Whether rows lie about where they lay when :meth:`save` wrote a graph of them.

        Args:
            path: its file.
            vectors: one row per image, as they are now; (n, d).
            now: row of every earlier image, -1 where it is gone.

        Raises:
            GalleryError: if the file cannot be read or is no graph of so many rows.
        """
        found = _Kept.read(path)
        if not found.has_seen(vectors.shape[1]) or not _are_rows(found.rows, len(now)):
            raise GalleryError(f"{path.name} is a search index of other embeddings")
        rows = now[found.rows[_looked_at(len(found.rows))]]
        there = rows >= 0
        seen, own = found.seen[there], vectors[rows[there]]
        seen = unit_rows(seen[:, : own.shape[1]], dtype=np.float32)
        cosines = np.einsum("sd,sd->s", seen, unit_rows(own, dtype=np.float32))
        return not len(cosines) or float(np.median(cosines)) >= _NEARLY

    def save(self, path: Path) -> None:
        """Write the links of the graph, whole or not at all; its rows follow from the vectors."""
        engine: Any = faiss.downcast_index(self._engine.index)
        seen = [engine.reconstruct(int(place)) for place in _looked_at(engine.ntotal)]
        arrays = {
            "rows": faiss.vector_to_array(self._engine.id_map),
            "levels": faiss.vector_to_array(engine.hnsw.levels),
            "links": faiss.vector_to_array(engine.hnsw.neighbors),
            "top": np.array([engine.hnsw.entry_point]),
            "seen": np.array(seen, np.float32).reshape(-1, engine.d),
            "scale": np.array([self._scale]),
        }
        with new_file(path) as partial, partial.open("wb") as file:
            np.savez(file, **arrays)

    def _insert(
        self, vectors: np.ndarray, rows: Integer[np.ndarray, " m"], progress: Progress
    ) -> None:
        """Insert rows, one block after another."""
        for start in range(0, len(rows), _BLOCK):
            progress(start, len(rows), "linking images to their neighbours")
            some = rows[start : start + _BLOCK]
            self._engine.add_with_ids(_rows(vectors[some], self._scale), some)

    def __len__(self) -> int:
        return self._engine.ntotal

    def linked(self, n: int) -> Bool[np.ndarray, " n"]:
        """Which of n rows can be found."""
        found = np.zeros(n, bool)
        found[faiss.vector_to_array(self._engine.id_map)] = True
        return found

    def in_order(self, rows: Integer[np.ndarray, " m"]) -> Integer[np.ndarray, " m"]:
        """Places of rows in the order in which the graph holds them: like ones together."""
        held = faiss.vector_to_array(self._engine.id_map)
        place = np.full(max(held.max(initial=0), rows.max(initial=0)) + 1, len(held))
        place[held] = np.arange(len(held))
        return np.argsort(place[rows], kind="stable")

    def search(
        self,
        queries: Float[np.ndarray, "q d"],
        *,
        k: int,
        beam: int,
        among: Bool[np.ndarray, " n"] | None = None,
    ) -> Integer[np.ndarray, "q k"]:
        """Rows near every query, about in order, padded by -1; most of the nearest are there.

        Args:
            queries: not necessarily of unit length.
            k: rows wanted.
            beam: candidates kept while the graph is walked; more find more and take longer.
            among: the rows that may be found; all by default.
        """
        how: dict[str, Any] = {"efSearch": max(k, beam)}
        if among is not None:
            bits = np.packbits(among, bitorder="little")  # looked at, not copied
            how["sel"] = _faiss.IDSelectorBitmap(bits)
        largest = np.abs(unit_rows(queries, dtype=np.float32)).max(axis=1, keepdims=True)
        asked = _rows(queries, _LARGEST / np.where(largest > 0, largest, 1))
        return self._engine.search(asked, k, params=_faiss.SearchParametersHNSW(**how))[1]


def _engine(dim: int) -> Any:
    """An empty graph over rows of a width."""
    engine = faiss.IndexHNSWSQ(_padded(dim), _KIND, _LINKS, faiss.METRIC_INNER_PRODUCT)
    engine.hnsw.efConstruction = _BUILD_BEAM if dim > _NARROW else _NARROW_BEAM
    engine.is_trained = True  # nothing is learned to round numbers
    return engine


@dataclass(frozen=True)
class _Kept:
    """What a file holds, which may be a stranger's."""

    rows: Integer[np.ndarray, " m"]
    links: Links
    seen: Float[np.ndarray, "s d"]
    """Some rows as they were rounded."""
    scale: float

    @classmethod
    def read(cls, path: Path) -> _Kept:
        """What :meth:`Walk.save` wrote.

        Raises:
            GalleryError: if the file cannot be read, or holds other arrays.
        """
        try:
            found = read_arrays(path, _KEPT)
            arrays = [found[name] for name in _KEPT]
            kinds = [(array.dtype.str, array.ndim) for array in arrays]
            if kinds != _KINDS or not len(found["top"]) == len(found["scale"]) == 1:
                raise ValueError(f"its arrays are {kinds}")
        except ValueError as error:
            raise GalleryError(f"{path.name} is not a readable search index") from error
        links = Links(found["levels"], found["links"], int(found["top"][0]))
        return cls(found["rows"], links, found["seen"], float(found["scale"][0]))

    def are_links_of(self, engine: Any) -> bool:
        """Whether its links, one list for each of its rows, lead somewhere."""
        fits = _LARGEST <= self.scale < _MOST and len(self.links) == len(self.rows)
        return fits and self.has_seen(engine.d) and self.links.lead_somewhere(_widths(engine))

    def has_seen(self, dim: int) -> bool:
        """Whether as many of its rows are there, of a width, as are looked at."""
        return self.seen.shape == (len(_looked_at(len(self.rows))), _padded(dim))

    def are_of(self, vectors: np.ndarray) -> bool:
        """Whether it is of these rows, by their numbers and some values."""
        if not _are_rows(self.rows, len(vectors)):
            return False
        wanted = _rows(vectors[self.rows[_looked_at(len(self.rows))]], self.scale)
        return self.seen.shape == wanted.shape and np.allclose(self.seen, wanted, rtol=0, atol=1)


def _are_rows(rows: np.ndarray, n: int) -> bool:
    """Whether these are rows among n, each once."""
    if not ((rows >= 0) & (rows < n)).all():
        return False
    there = np.zeros(n, bool)
    there[rows] = True
    return int(there.sum()) == len(rows)


def _widths(engine: Any) -> Integer[np.ndarray, " w"]:
    """Links of a node on all levels up to each, beginning with 0."""
    return faiss.vector_to_array(engine.hnsw.cum_nneighbor_per_level)


def _linked(
    engine: Any, rows: np.ndarray, links: Links, vectors: np.ndarray, scale: float
) -> faiss.IndexIDMap:
    """The engine with links between rows that are rounded anew."""
    named, graph = faiss.IndexIDMap(engine), engine.hnsw
    codes = np.full((len(rows), engine.d), _LARGEST + 1, np.uint8)
    # As the library codes numbers, in a seventh of its time; torch reads 16 bits faster than NumPy.
    ascending = np.argsort(rows)  # vectors lie in a file
    for start in range(0, len(rows), _CODED):
        some = ascending[start : start + _CODED]
        read = torch.from_numpy(vectors[rows[some]]).float()
        unit = torch.nn.functional.normalize(read).mul_(scale).round_()
        coded = unit.clamp_(-_LARGEST, _LARGEST).add_(_LARGEST + 1).to(torch.uint8)
        codes[some, : read.shape[1]] = coded.numpy()
    storage: Any = faiss.downcast_index(engine.storage)
    faiss.copy_array_to_vector(codes.ravel(), storage.codes)
    engine.ntotal = named.ntotal = storage.ntotal = len(rows)
    faiss.copy_array_to_vector(rows, named.id_map)
    faiss.copy_array_to_vector(links.levels, graph.levels)
    faiss.copy_array_to_vector(links.starts(_widths(engine)), graph.offsets)
    faiss.copy_array_to_vector(links.links, graph.neighbors)
    graph.entry_point, graph.max_level = links.top, int(links.levels.max(initial=0)) - 1
    return named


def _by_likeness(
    vectors: Float[np.ndarray, "n d"], rows: Integer[np.ndarray, " m"]
) -> Integer[np.ndarray, " m"]:
    """Some rows from everywhere, then all others by the pivot that each is nearest to."""
    if not len(rows):
        return rows
    pivots = np.asarray(vectors[rows[:: max(len(rows) // _PIVOTS, 1)]], np.float32)
    near = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), _BLOCK):
        some = np.asarray(vectors[rows[start : start + _BLOCK]], np.float32)
        found = faiss.knn(some, pivots, 1, metric=faiss.METRIC_INNER_PRODUCT)[1]
        near[start : start + _BLOCK] = found[:, 0]
    return rows[np.lexsort((near, np.arange(len(rows)) % _ANYWHERE > 0))]


def _looked_at(m: int) -> np.ndarray:
    """Places of some rows among m."""
    return np.unique(np.linspace(0, m - 1, min(m, _SEEN)).astype(np.int64))


def _padded(dim: int) -> int:
    """The next whole number of registers."""
    return -(-dim // _LANES) * _LANES


def _scale(vectors: np.ndarray, rows: np.ndarray) -> float:
    """What unit rows are multiplied by to be rounded: nearly all of their numbers fit 8 bits."""
    some = rows[:: max(len(rows) // _SCALED, 1)]
    values = np.abs(unit_rows(vectors[some], dtype=np.float32))
    largest = float(np.quantile(values, 1 - _CLIPPED)) if values.any() else 1.0
    return _LARGEST / (largest or float(values.max()))


def _rows(vectors: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Unit rows times a scale, rounded to 8 bits, with zeros behind them; whole float32 numbers."""
    rows = np.zeros((len(vectors), _padded(vectors.shape[1])), np.float32)
    unit = unit_rows(vectors, dtype=np.float32)
    rows[:, : vectors.shape[1]] = np.rint(unit * scale).clip(-_LARGEST, _LARGEST)
    return rows
