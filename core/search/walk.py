"""A graph over the rows of a gallery that is walked to find the nearest ones (HNSW, by FAISS).

Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using hierarchical
navigable small world graphs, 2018. The graph holds the rows as integers of 8 bits, padded with
zeros to whole registers, and compares integers alone; what it finds are candidates, whose cosines
are computed from the rows themselves.

On disk lie its links alone, as plain arrays: a gallery may be a stranger's, and the library's own
format is parsed by code that trusts it. Links that lead nowhere are refused before they are walked.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float, Integer

from core.heads.rows import unit_rows
from core.images.arrays import read_arrays
from core.images.files import new_file
from core.values import GalleryError, Progress, no_progress

_faiss: Any = faiss  # what its annotations lack
_KIND: Any = faiss.ScalarQuantizer.QT_8bit_direct_signed
_LINKS = 16  # links per node and level, twice as many at the bottom
_BUILD_BEAM = 80  # candidates kept while a node is inserted
_LANES = 32  # numbers that are compared at once; where more are left, far slower
_LARGEST = 127  # of 8 bits
_SCALED = 4_096  # rows of which the scale of all is found
_CLIPPED = 1e-4  # share of their numbers beyond the largest
_BLOCK = 4_096  # rows inserted, or asked for, between two reports
_CODED = 512  # rows rounded at once where nothing is inserted
_SEEN = 64  # rows of a stored graph that are compared with the embeddings
_KEPT = ("rows", "levels", "links", "top", "seen", "scale")


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
        named, scale = faiss.IndexIDMap(_engine(vectors.shape[1])), _scale(vectors, rows)
        for start in range(0, len(rows), _BLOCK):
            progress(start, len(rows), "linking images to their neighbours")
            some = rows[start : start + _BLOCK]
            named.add_with_ids(_rows(vectors[some], scale), some)
        return cls(named, scale)

    @classmethod
    def load(cls, path: Path, vectors: Float[np.ndarray, "n d"]) -> Walk:
        """Open a graph that :meth:`save` wrote for these rows.

        Raises:
            GalleryError: if the file cannot be read or is a graph of other rows.
        """
        try:
            found = read_arrays(path, _KEPT)
        except ValueError as error:
            raise GalleryError(f"{path.name} is not a readable search index") from error
        engine = _engine(vectors.shape[1])
        widths = faiss.vector_to_array(engine.hnsw.cum_nneighbor_per_level)
        if not _are_links(found, widths) or not _are_of(found, vectors):
            raise GalleryError(f"{path.name} is a search index of other embeddings")
        return cls(_linked(engine, found, widths, vectors), float(found["scale"][0]))

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

    def __len__(self) -> int:
        return self._engine.ntotal

    def linked(self, n: int) -> Bool[np.ndarray, " n"]:
        """Which of n rows can be found."""
        found = np.zeros(n, bool)
        found[faiss.vector_to_array(self._engine.id_map)] = True
        return found

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
    engine.hnsw.efConstruction = _BUILD_BEAM
    engine.is_trained = True  # nothing is learned to round numbers
    return engine


def _linked(
    engine: Any, found: Mapping[str, np.ndarray], widths: np.ndarray, vectors: np.ndarray
) -> faiss.IndexIDMap:
    """The engine with stored links over rows that are rounded anew."""
    named, graph = faiss.IndexIDMap(engine), engine.hnsw
    rows, levels = found["rows"], found["levels"]
    scale, codes = float(found["scale"][0]), np.empty((len(rows), engine.d), np.uint8)
    # As the library codes numbers, in a third of its time.
    for start in range(0, len(rows), _CODED):
        some = slice(start, start + _CODED)
        codes[some] = _rows(vectors[rows[some]], scale) + (_LARGEST + 1)
    storage: Any = faiss.downcast_index(engine.storage)
    faiss.copy_array_to_vector(codes.ravel(), storage.codes)
    engine.ntotal = named.ntotal = storage.ntotal = len(rows)
    faiss.copy_array_to_vector(rows, named.id_map)
    faiss.copy_array_to_vector(levels, graph.levels)
    faiss.copy_array_to_vector(_offsets(levels, widths), graph.offsets)
    faiss.copy_array_to_vector(found["links"], graph.neighbors)
    graph.entry_point, graph.max_level = int(found["top"][0]), int(levels.max(initial=0)) - 1
    return named


def _offsets(levels: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Where the links of every node begin: nodes on more levels have more of them."""
    return np.concatenate([[0], np.cumsum(widths[levels])]).astype(np.uint64)


def _are_links(found: Mapping[str, np.ndarray], widths: np.ndarray) -> bool:
    """Whether arrays are the links of a graph, each to a node of its level.

    Args:
        found: what was read, by name.
        widths: links of a node of all levels up to each, (levels + 1,).
    """
    levels, links, top = found["levels"], found["links"], found["top"]
    m, kinds = len(found["rows"]), (levels.dtype, links.dtype, top.dtype, found["rows"].dtype)
    if kinds != (np.int32, np.int32, np.int64, np.int64) or top.shape != (1,):
        return False
    if levels.shape != (m,) or not ((levels > 0) & (levels < len(widths))).all():
        return False
    offsets = _offsets(levels, widths).astype(np.int64)
    if links.shape != (offsets[-1],) or not ((links >= -1) & (links < m)).all():
        return False
    for level, (start, end) in enumerate(pairwise(widths)):
        there = offsets[:-1][levels > level]
        near = links[there[:, None] + np.arange(start, end)]
        if not (levels[near[near >= 0]] > level).all():
            return False
    return bool(top[0] == -1 if m == 0 else 0 <= top[0] < m and levels[top[0]] == levels.max())


def _are_of(found: Mapping[str, np.ndarray], vectors: np.ndarray) -> bool:
    """Whether a graph is one of these rows, by their numbers and some values."""
    rows, seen = found["rows"], found["seen"]
    if rows.ndim != 1 or not ((rows >= 0) & (rows < len(vectors))).all():
        return False
    scale = found["scale"]
    if scale.shape != (1,) or scale.dtype != np.float64 or not 0 < scale[0] < np.inf:
        return False
    wanted = _rows(vectors[rows[_looked_at(len(rows))]], float(scale[0]))
    return seen.shape == wanted.shape and np.allclose(seen, wanted, rtol=0, atol=1)


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
