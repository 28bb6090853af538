"""Nearest neighbours by cosine, with or without local scaling; the only module that knows FAISS.

Local scaling is CSLS (Conneau et al., Word translation without parallel data, ICLR 2018) with the
gallery's side alone: score = 2 cos(q, g) - r(g), where r(g), the *CSLS mean*, is the mean cosine of
the gallery image to the nearest other groups of near-duplicates. The query's own term is left out
because it moves all scores of a query alike. One more column makes the score an inner product, so
that a search by inner product ranks exactly by it: [q, 1] . [g, -r(g)/2] = score / 2.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import faiss
import numpy as np
from jaxtyping import Bool, Float, Integer

from core.values import GalleryError

Kind = Literal["exact", "hnsw"]

_METRIC = faiss.METRIC_INNER_PRODUCT
_LINKS = 32  # links per node of the HNSW graph
_BUILD_BEAM = 128  # candidates kept while a node is inserted
_SEARCH_BEAM = 512  # candidates kept while a query is searched
_BLOCK = 4096  # queries compared at once by `neighbours`


@dataclass(frozen=True)
class Neighbours:
    """The nearest other rows of every row, best first; the table is min(k, n - 1) wide."""

    rows: Integer[np.ndarray, "n k"]
    cosines: Float[np.ndarray, "n k"]


@dataclass(frozen=True)
class Hits:
    """What a search found, best first; padded by row -1 and minus infinity where fewer than k."""

    rows: Integer[np.ndarray, "q k"]
    scores: Float[np.ndarray, "q k"]
    """Values that rank: 2 cos - r with local scaling, the cosine without."""
    cosines: Float[np.ndarray, "q k"]


def neighbours(embeddings: Float[np.ndarray, "n d"], *, k: int = 10) -> Neighbours:
    """Exact nearest other rows of every row.

    A row is left out of its own list by its number, not by being the best hit, so exact duplicates
    of it stay in.

    Raises:
        ValueError: if ``k`` is not positive or a value is not finite.
    """
    _check_k(k)
    unit = _augmented(embeddings, 0.0, dim=embeddings.shape[1])
    width = max(min(k, len(unit) - 1), 0)
    if width == 0:
        return Neighbours(np.empty((len(unit), 0), np.int64), np.empty((len(unit), 0), np.float32))
    flat = faiss.IndexFlatIP(unit.shape[1])
    flat.add(unit)
    parts = [_without_self(*flat.search(unit[b], width + 1), b) for b in _blocks(len(unit))]
    return Neighbours(
        np.concatenate([p.rows for p in parts]), np.concatenate([p.cosines for p in parts])
    )


def csls_means(
    embeddings: Float[np.ndarray, "n d"],
    groups: Integer[np.ndarray, " n"] | None = None,
    *,
    k: int = 10,
) -> Float[np.ndarray, " n"]:
    """Mean cosine of every row to the k nearest other groups; 0 where there is no other group.

    A group counts once and by one of its rows, its first, so that copies of an image make neither
    it nor its neighbours look common.

    Args:
        embeddings: one row per image, of any length; (n, d).
        groups: near-duplicate group of every row; without it every row is one.
        k: groups that are looked at.

    Raises:
        ValueError: if ``k`` is not positive or a value is not finite.
    """
    _check_k(k)
    unit = _augmented(embeddings, 0.0, dim=embeddings.shape[1])
    owners = np.arange(len(unit)) if groups is None else groups
    labels, first = np.unique(owners, return_index=True)
    width = min(k, len(labels) - 1)
    if width < 1:
        return np.zeros(len(unit), np.float32)
    flat = faiss.IndexFlatIP(unit.shape[1])
    flat.add(unit[first])
    parts: list[np.ndarray] = []
    for block in _blocks(len(unit)):
        cosines, found = flat.search(unit[block], width + 1)
        own = labels[found] == owners[block, None]
        own[:, -1] |= ~own.any(axis=1)
        parts.append(cosines[~own].reshape(-1, width).mean(axis=1))
    return np.concatenate(parts)


def csls_means_of_others(
    vectors: Float[np.ndarray, "m d"], embeddings: Float[np.ndarray, "n d"], *, k: int
) -> Float[np.ndarray, " m"]:
    """Mean cosine of unit rows to the k nearest of a gallery that they are not in; 0 in no gallery.

    Args:
        vectors: the unit rows.
        embeddings: unit rows of the gallery.
        k: rows that are looked at.
    """
    if not len(embeddings):
        return np.zeros(len(vectors), np.float32)
    return np.sort(vectors @ embeddings.T, axis=1)[:, -k:].mean(axis=1)


class Index:
    """The rows of a gallery, searched by cosine or by its locally scaled score; never changed."""

    def __init__(self, engine: faiss.Index, csls_means: Float[np.ndarray, " n"] | None) -> None:
        """Take an engine over rows with one more column; see :meth:`build`."""
        self._engine = engine
        self._means = csls_means

    @classmethod
    def build(
        cls,
        vectors: Float[np.ndarray, "n d"],
        *,
        csls_means: Float[np.ndarray, " n"] | None = None,
        kind: Kind = "exact",
    ) -> Index:
        """Index rows, not necessarily of unit length.

        Args:
            vectors: one row per image; (n, d).
            csls_means: r of every row, see :func:`csls_means`; ``None`` scores by the bare cosine.
            kind: ``exact`` compares with every row, ``hnsw`` walks a graph and may miss some.

        Raises:
            ValueError: if the arrays disagree or a value is not finite.
        """
        means = _checked_means(csls_means, len(vectors))
        engine = _empty_engine(kind, vectors.shape[1] + 1)
        engine.add(_augmented(vectors, _column(means), dim=vectors.shape[1]))
        return cls(engine, means)

    @classmethod
    def load(
        cls, path: Path, *, shape: tuple[int, int], csls_means: Float[np.ndarray, " n"] | None
    ) -> Index:
        """Open an HNSW index that :meth:`save` wrote for vectors of this shape and these means.

        Raises:
            GalleryError: if the file cannot be read or was written for others.
        """
        try:
            engine = faiss.read_index(str(path))
        except RuntimeError as error:
            raise GalleryError(f"{path.name} is not a readable search index") from error
        means = _checked_means(csls_means, shape[0])
        if not _is_graph_of(engine, shape, np.broadcast_to(_column(means), shape[:1])):
            raise GalleryError(f"{path.name} is a search index of other embeddings")
        return cls(engine, means)

    def save(self, path: Path) -> None:
        """Write the graph of an HNSW index, whole or not at all; exact ones are rebuilt in no time.

        Raises:
            ValueError: if the index is exact.
        """
        if isinstance(self._engine, faiss.IndexFlat):
            raise ValueError("an exact index has no file of its own; build it from its embeddings")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".index-") as folder:
            written = Path(folder) / path.name
            faiss.write_index(self._engine, str(written))
            written.replace(path)

    def __len__(self) -> int:
        return self._engine.ntotal

    @property
    def dim(self) -> int:
        """Number of embedding dimensions d."""
        return self._engine.d - 1

    def search(self, queries: Float[np.ndarray, "q d"], *, k: int) -> Hits:
        """The k best rows of every query.

        Raises:
            ValueError: if ``k`` is not positive, the width is not d, or a value is not finite.
        """
        _check_k(k)
        products, rows = self._engine.search(_augmented(queries, 1.0, dim=self.dim), k)
        products = np.where(rows >= 0, products, -np.inf)
        if self._means is None or not len(self._means):
            return Hits(rows, products, products)
        return Hits(rows, 2 * products, products + self._means[rows] / 2)


def _column(means: Float[np.ndarray, " n"] | None) -> np.ndarray | float:
    """What stands beside the vectors, so that an inner product ranks by the score."""
    return 0.0 if means is None else -means / 2


def _is_graph_of(engine: faiss.Index, shape: tuple[int, int], column: np.ndarray) -> bool:
    """Whether a graph that was read has this shape and was built with this column."""
    if not isinstance(engine, faiss.IndexHNSWFlat):
        return False
    storage = faiss.downcast_index(engine.storage)
    width = shape[1] + 1
    if (engine.ntotal, engine.d, engine.metric_type) != (shape[0], width, _METRIC):
        return False
    if not isinstance(storage, faiss.IndexFlat):
        return False
    stored = faiss.rev_swig_ptr(storage.get_xb(), engine.ntotal * width)
    return np.array_equal(stored.reshape(-1, width)[:, -1], column)


def measured_recall(
    index: Index, exact: Index, *, queries: Float[np.ndarray, "q d"], k: int
) -> float:
    """Mean share of the k best rows of an exact index that another index finds too."""
    truth = exact.search(queries, k=k).rows
    found = index.search(queries, k=k).rows
    hits = [np.isin(t[t >= 0], f).sum() for t, f in zip(truth, found, strict=True)]
    return float(np.sum(hits) / max((truth >= 0).sum(), 1))


def _empty_engine(kind: Kind, width: int) -> faiss.Index:
    if kind == "exact":
        return faiss.IndexFlatIP(width)
    if kind == "hnsw":
        engine = faiss.IndexHNSWFlat(width, _LINKS, _METRIC)
        engine.hnsw.efConstruction = _BUILD_BEAM
        engine.hnsw.efSearch = _SEARCH_BEAM
        return engine
    raise ValueError(f"kind must be exact or hnsw, got {kind!r}")


def _without_self(cosines: np.ndarray, rows: np.ndarray, block: slice) -> Neighbours:
    """Drop every row's own entry or, where enough duplicates crowd it out, its last one."""
    own: Bool[np.ndarray, "n k"] = rows == np.arange(block.start, block.stop)[:, None]
    own[:, -1] |= ~own.any(axis=1)
    shape = (len(rows), rows.shape[1] - 1)
    return Neighbours(rows[~own].reshape(shape), cosines[~own].reshape(shape))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))


def _augmented(array: np.ndarray, column: np.ndarray | float, *, dim: int) -> np.ndarray:
    """Rows of unit length, rows of zeros kept, and one more column; float32, (n, d + 1)."""
    if array.shape[1] != dim:
        raise ValueError(f"embeddings must have {dim} dimensions, got {array.shape[1]}")
    rows = np.empty((len(array), dim + 1), np.float32)
    rows[:, :dim], rows[:, dim] = array, 0
    norms = np.sqrt(np.einsum("nd,nd->n", rows, rows))
    if not np.isfinite(norms).all():
        raise ValueError(f"embedding {np.flatnonzero(~np.isfinite(norms))[0]} is not finite")
    rows /= np.where(norms > 0, norms, 1)[:, None]
    rows[:, dim] = column
    return rows


def _checked_means(means: np.ndarray | None, n: int) -> np.ndarray | None:
    if means is None:
        return None
    values = np.asarray(means, dtype=np.float32)
    if values.shape != (n,):
        raise ValueError(f"{n} embeddings need as many CSLS means, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(
            f"the CSLS mean of row {np.flatnonzero(~np.isfinite(values))[0]} is not finite"
        )
    return values


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
