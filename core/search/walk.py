"""A graph over the rows of a gallery that is walked to find the nearest ones (HNSW, by FAISS).

Malkov and Yashunin, Efficient and robust approximate nearest neighbor search using hierarchical
navigable small world graphs, 2018. The graph holds the rows as bfloat16, padded with zeros to whole
registers; what it finds are candidates, whose cosines are computed from the rows themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float, Integer

from core.heads.rows import unit_rows
from core.images.files import new_file
from core.values import GalleryError, Progress, no_progress

_faiss: Any = faiss  # what its annotations lack
_KIND: Any = faiss.ScalarQuantizer.QT_bf16
_LINKS = 16  # links per node and level, twice as many at the bottom
_BUILD_BEAM = 80  # candidates kept while a node is inserted
_LANES = 16  # numbers in a register
_BLOCK = 4_096  # rows inserted, or asked for, between two reports
_SEEN = 64  # rows of a stored graph that are compared with the embeddings
_ROUNDING = 2**-7  # of bfloat16, relative


class Walk:
    """An HNSW graph over unit rows; never changed once it is built."""

    def __init__(self, engine: faiss.Index, dim: int) -> None:
        """Take an engine over padded rows, named by their numbers; see :meth:`build`."""
        self._engine, self.dim = engine, dim

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
        dim = vectors.shape[1]
        rows = np.arange(len(vectors)) if rows is None else rows
        engine = faiss.IndexHNSWSQ(_padded(dim), _KIND, _LINKS, faiss.METRIC_INNER_PRODUCT)
        engine.hnsw.efConstruction = _BUILD_BEAM
        engine.is_trained = True  # nothing is learned to round numbers
        named = faiss.IndexIDMap(engine)
        for start in range(0, len(rows), _BLOCK):
            progress(start, len(rows), "linking images to their neighbours")
            some = rows[start : start + _BLOCK]
            named.add_with_ids(_rows(vectors[some]), some)
        return cls(named, dim)

    @classmethod
    def load(cls, path: Path, vectors: Float[np.ndarray, "n d"]) -> Walk:
        """Open a graph that :meth:`save` wrote for these rows.

        Raises:
            GalleryError: if the file cannot be read or is a graph of other rows.
        """
        try:
            engine = faiss.read_index(str(path))
        except RuntimeError as error:
            raise GalleryError(f"{path.name} is not a readable search index") from error
        if not _is_graph_of(engine, vectors):
            raise GalleryError(f"{path.name} is a search index of other embeddings")
        return cls(engine, vectors.shape[1])

    def save(self, path: Path) -> None:
        """Write the graph, whole or not at all."""
        with new_file(path) as partial:
            faiss.write_index(self._engine, str(partial))

    def __len__(self) -> int:
        return self._engine.ntotal

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
        return self._engine.search(_rows(queries), k, params=_faiss.SearchParametersHNSW(**how))[1]


def _is_graph_of(engine: faiss.Index, vectors: np.ndarray) -> bool:
    """Whether a graph that was read is one of these rows, by their numbers and some values."""
    if not isinstance(engine, faiss.IndexIDMap) or engine.d != _padded(vectors.shape[1]):
        return False
    graph = faiss.downcast_index(engine.index)
    rows = faiss.vector_to_array(engine.id_map)
    named = bool(((rows >= 0) & (rows < len(vectors))).all()) and len(rows) == graph.ntotal
    if not named or not isinstance(graph, faiss.IndexHNSWSQ):
        return False
    seen = np.unique(np.linspace(0, len(rows) - 1, _SEEN).astype(np.int64)) if len(rows) else rows
    stored = [graph.reconstruct(int(place)) for place in seen]
    wanted = _rows(vectors[rows[seen]])
    return all(
        np.allclose(one, two, rtol=_ROUNDING, atol=1e-6)
        for one, two in zip(stored, wanted, strict=True)
    )


def _padded(dim: int) -> int:
    """The next whole number of registers."""
    return -(-dim // _LANES) * _LANES


def _rows(vectors: np.ndarray) -> np.ndarray:
    """Unit rows with zeros behind them, float32."""
    rows = np.zeros((len(vectors), _padded(vectors.shape[1])), np.float32)
    rows[:, : vectors.shape[1]] = unit_rows(vectors, dtype=np.float32)
    return rows
