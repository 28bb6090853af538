"""Nearest rows by cosine, with or without local scaling: exact, or among what an engine finds.

Local scaling is CSLS (Conneau et al., Word translation without parallel data, ICLR 2018) with the
gallery's side alone: score = 2 cos(q, g) - r(g), where r(g), the *CSLS mean*, is the mean cosine of
the gallery image to the nearest other groups of near-duplicates. The query's own term is left out
because it moves all scores of a query alike. One more column makes the score an inner product, so
that a search by inner product ranks exactly by it: [q, 1] . [g, -r(g)/2] = score / 2.

With an :class:`core.search.engine.Engine`, twice as many rows as are wanted are found by it, by
cosine, and scored from the vectors themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from jaxtyping import Bool, Float, Integer

from core.heads.rows import unit_rows
from core.search.engine import Among, Engine

_faiss: Any = faiss  # what its annotations lack
_OVERSAMPLED = 2  # rows that an engine is asked for, for every one that is wanted
_BLOCK = 4096  # rows compared at once
WIDENED = 65_536  # rows of half width that are widened at once


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
    rows: Integer[np.ndarray, " m"] | None = None,
) -> Float[np.ndarray, " m"]:
    """Mean cosine of every row to the k nearest other groups; 0 where there is no other group.

    A group counts once and by one of its rows, its first, so that copies of an image make neither
    it nor its neighbours look common.

    Args:
        embeddings: one row per image, of any length; (n, d).
        groups: near-duplicate group of every row; without it every row is one.
        k: groups that are looked at.
        rows: the rows whose means are wanted; all by default.

    Raises:
        ValueError: if ``k`` is not positive or a value is not finite.
    """
    _check_k(k)
    unit = _augmented(embeddings, 0.0, dim=embeddings.shape[1])
    wanted = np.arange(len(unit)) if rows is None else rows
    owners = np.arange(len(unit)) if groups is None else groups
    labels, first = np.unique(owners, return_index=True)
    width = min(k, len(labels) - 1)
    if width < 1 or not len(wanted):
        return np.zeros(len(wanted), np.float32)
    flat = faiss.IndexFlatIP(unit.shape[1])
    flat.add(unit[first])
    parts: list[np.ndarray] = []
    for block in _blocks(len(wanted)):
        cosines, found = flat.search(unit[wanted[block]], width + 1)
        own = labels[found] == owners[wanted[block], None]
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

    def __init__(
        self,
        vectors: Float[np.ndarray, "n d"],
        *,
        csls_means: Float[np.ndarray, " n"] | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Index rows, not necessarily of unit length.

        Args:
            vectors: one row per image; (n, d).
            csls_means: r of every row, see :func:`csls_means`; ``None`` scores by the bare cosine.
            engine: finds rows near a query; without it all rows are compared.

        Raises:
            ValueError: if the arrays disagree or a value is not finite.
        """
        self._means = _checked_means(csls_means, len(vectors))
        self._vectors, self._engine = vectors, engine
        self._flat: faiss.IndexFlatIP | None = None
        if engine is None:
            column = 0.0 if self._means is None else -self._means / 2
            self._flat = faiss.IndexFlatIP(self.dim + 1)
            self._flat.add(_augmented(vectors, column, dim=self.dim))

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dim(self) -> int:
        """Number of embedding dimensions d."""
        return self._vectors.shape[1]

    def search(
        self,
        queries: Float[np.ndarray, "q d"],
        *,
        k: int,
        among: Among | None = None,
    ) -> Hits:
        """The k best rows of every query.

        Args:
            queries: not necessarily of unit length.
            k: rows wanted.
            among: the rows that may be found; all by default.

        Raises:
            ValueError: if ``k`` is not positive, the width is not d, or a value is not finite.
        """
        _check_k(k)
        asked = _augmented(queries, 1.0, dim=self.dim)
        if self._flat is None:
            assert self._engine is not None
            wanted = k if self._means is None else _OVERSAMPLED * k
            rows = self._engine.nearest(asked[:, : self.dim], k=wanted, among=among)
            return self._scored(asked[:, : self.dim], rows, k)
        how: dict[str, Any] = {}
        if among is not None:
            bits = np.packbits(among.rows, bitorder="little")  # looked at, not copied
            how["params"] = _faiss.SearchParameters(sel=_faiss.IDSelectorBitmap(bits))
        products, rows = self._flat.search(asked, k, **how)
        products = np.where(rows >= 0, products, -np.inf)
        if self._means is None or not len(self._means):
            return Hits(rows, products, products)
        return Hits(rows, 2 * products, products + self._means[rows] / 2)

    def _scored(self, queries: np.ndarray, rows: np.ndarray, k: int) -> Hits:
        """The best of the rows that were found for every query, scored from the vectors."""
        cosines = np.empty(rows.shape, np.float32)
        for row, (query, found) in enumerate(zip(queries, rows, strict=True)):
            cosines[row] = _cosines(self._vectors, found, query)
        scores = cosines if self._means is None else 2 * cosines - self._means[rows]
        scores = np.where(rows >= 0, scores, -np.inf)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        found = Hits(*(np.take_along_axis(a, order, axis=1) for a in (rows, scores, cosines)))
        missing = ((0, 0), (0, k - order.shape[1]))
        rows, scores, cosines = (
            np.pad(a, missing, constant_values=empty)
            for a, empty in ((found.rows, -1), (found.scores, -np.inf), (found.cosines, -np.inf))
        )
        return Hits(rows, scores, np.where(rows >= 0, cosines, -np.inf))


def _cosines(vectors: np.ndarray, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Cosines of some rows with a unit query, a block at a time."""
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, start + _BLOCK)
        found[some] = unit_rows(vectors[rows[some]], dtype=np.float32) @ query
    return found


def nearest(
    queries: Float[np.ndarray, "q d"], vectors: Float[np.ndarray, "n d"], *, k: int
) -> Integer[np.ndarray, "q k"]:
    """The k rows of largest inner product with every query, exact, without a copy of all rows."""
    asked, how = np.ascontiguousarray(queries, np.float32), {"metric": faiss.METRIC_INNER_PRODUCT}
    if vectors.dtype == np.float32:
        return faiss.knn(asked, np.ascontiguousarray(vectors), k, **how)[1]
    best = _faiss.ResultHeap(len(asked), k, keep_max=True)
    for start in range(0, len(vectors), WIDENED):
        rows = np.asarray(vectors[start : start + WIDENED], np.float32)
        products, found = faiss.knn(asked, rows, min(k, len(rows)), **how)
        best.add_result(products, found + start)
    best.finalize()
    return best.I


def measured_recall(
    index: Index, exact: Index, *, queries: Float[np.ndarray, "q d"], k: int
) -> float:
    """Mean share of the k best rows of an exact index that another index finds too."""
    truth = exact.search(queries, k=k).rows
    found = index.search(queries, k=k).rows
    hits = [np.isin(t[t >= 0], f).sum() for t, f in zip(truth, found, strict=True)]
    return float(np.sum(hits) / max((truth >= 0).sum(), 1))


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
