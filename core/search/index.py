"""Nearest neighbours by cosine, with or without local scaling; the only module that knows FAISS.

Local scaling is CSLS (Conneau et al., Word translation without parallel data, ICLR 2018) with the
gallery's side alone: score = 2 cos(q, g) - r(g), where r(g), the *hubness*, is the mean cosine of
the gallery image to the nearest other groups of near-duplicates. The query's own term is left out
because it moves all scores of a query alike. One more column makes the score an inner product, so
that a search by inner product ranks exactly by it: [q, 1] . [g, -r(g)/2] = score / 2.
"""

from __future__ import annotations

import tempfile
import threading
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
    """What a search found, best first; padded by id -1 and minus infinity where fewer than k."""

    ids: Integer[np.ndarray, "q k"]
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


def hubness(
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


def hubness_of_others(
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
    """Embeddings under stable ids, searched by cosine or by its locally scaled score.

    Holds the vectors once. A change is made on a copy that then takes the old one's place, so that
    a search in another thread sees the index before or after it, never between. Changing a gallery
    also changes the hubness of images that stay; where that matters, build anew.
    """

    def __init__(self, state: _State, *, kind: Kind, scaled: bool) -> None:
        self.kind: Kind = kind
        self.scaled = scaled
        self._state = state
        self._change = threading.Lock()

    @classmethod
    def build(
        cls,
        embeddings: Float[np.ndarray, "n d"],
        ids: Integer[np.ndarray, " n"],
        *,
        hubness: Float[np.ndarray, " n"] | None = None,
        kind: Kind = "exact",
    ) -> Index:
        """Index rows, not necessarily of unit length, under their ids.

        Args:
            embeddings: one row per image; (n, d).
            ids: one non-negative id per row, each once; (n,).
            hubness: r of every row, see :func:`hubness`; ``None`` scores by the bare cosine.
            kind: ``exact`` compares with every row, ``hnsw`` walks a graph and may miss some.

        Raises:
            ValueError: if the arrays disagree, an id comes twice, or a value is not finite.
        """
        empty = _State(
            _empty_engine(kind, embeddings.shape[1] + 1),
            np.empty(0, np.int64),
            np.empty(0, np.float32),
        )
        state = empty.extended(embeddings, ids, hubness=hubness)
        return cls(state, kind=kind, scaled=hubness is not None)

    @classmethod
    def load(
        cls,
        path: Path,
        ids: Integer[np.ndarray, " n"],
        *,
        dim: int,
        hubness: Float[np.ndarray, " n"] | None = None,
    ) -> Index:
        """Open an HNSW index that :meth:`save` wrote for these ids and this hubness.

        Raises:
            GalleryError: if the file cannot be read or was written for other embeddings.
        """
        try:
            engine = faiss.read_index(str(path))
        except RuntimeError as error:
            raise GalleryError(f"{path.name} is not a readable search index") from error
        state = _State(engine, _checked_ids(ids, len(ids)), _checked_hubness(hubness, len(ids)))
        if not state.agrees(dim + 1):
            raise GalleryError(f"{path.name} is a search index of other embeddings; build it again")
        return cls(state, kind="hnsw", scaled=hubness is not None)

    def save(self, path: Path) -> None:
        """Write the graph of an HNSW index, whole or not at all; exact ones are rebuilt in no time.

        Raises:
            ValueError: if the index is exact.
        """
        if self.kind == "exact":
            raise ValueError("an exact index has no file of its own; build it from its embeddings")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".index-") as folder:
            written = Path(folder) / path.name
            faiss.write_index(self._state.engine, str(written))
            written.replace(path)

    def __len__(self) -> int:
        return len(self._state.ids)

    @property
    def dim(self) -> int:
        """Number of embedding dimensions d."""
        return self._state.engine.d - 1

    @property
    def ids(self) -> Integer[np.ndarray, " n"]:
        """Ids in the order of the rows."""
        return self._state.ids.copy()

    def search(self, queries: Float[np.ndarray, "q d"], *, k: int) -> Hits:
        """The k best rows of every query.

        Raises:
            ValueError: if ``k`` is not positive, the width is not d, or a value is not finite.
        """
        _check_k(k)
        asked = _augmented(queries, 1.0, dim=self.dim)
        state = self._state
        products, rows = state.engine.search(asked, k)
        found = rows >= 0
        products = np.where(found, products, -np.inf)
        cosines = products + _take(state.hubness, rows) / 2
        scores = 2 * products if self.scaled else products
        return Hits(np.where(found, _take(state.ids, rows), -1), scores, cosines)

    def add(
        self,
        embeddings: Float[np.ndarray, "n d"],
        ids: Integer[np.ndarray, " n"],
        *,
        hubness: Float[np.ndarray, " n"] | None = None,
    ) -> None:
        """Add rows; ``hubness`` is required with local scaling and refused without.

        Raises:
            ValueError: as :meth:`build`, or if an id is in the index already.
        """
        if (hubness is not None) != self.scaled:
            raise ValueError("hubness goes with an index that was built with it, and only with one")
        with self._change:
            self._state = self._state.extended(embeddings, ids, hubness=hubness)

    def remove(self, ids: Integer[np.ndarray, " n"]) -> None:
        """Remove rows by id; the others keep theirs.

        Raises:
            ValueError: if an id is not in the index or comes twice, or the index is an HNSW graph,
                which cannot forget.
        """
        if self.kind == "hnsw":
            raise ValueError("an HNSW index cannot forget images; build it anew without them")
        with self._change:
            self._state = self._state.without(_checked_ids(ids, len(ids)))


@dataclass(frozen=True)
class _State:
    """One version of an index: its vectors, and the id and hubness of each row."""

    engine: faiss.Index
    ids: Integer[np.ndarray, " n"]
    hubness: Float[np.ndarray, " n"]

    def agrees(self, width: int) -> bool:
        """Whether a graph that was read holds these rows, so far as their last column tells."""
        engine = self.engine
        if not isinstance(engine, faiss.IndexHNSWFlat):
            return False
        kept = (engine.d, engine.ntotal, engine.metric_type)
        storage = faiss.downcast_index(engine.storage)
        if kept != (width, len(self.ids), _METRIC) or not isinstance(storage, faiss.IndexFlat):
            return False
        vectors = faiss.rev_swig_ptr(storage.get_xb(), engine.ntotal * width)
        return np.array_equal(vectors.reshape(-1, width)[:, -1], -self.hubness / 2)

    def extended(
        self,
        embeddings: Float[np.ndarray, "m d"],
        ids: Integer[np.ndarray, " m"],
        *,
        hubness: Float[np.ndarray, " m"] | None,
    ) -> _State:
        """The same rows and then some more."""
        new_ids = _checked_ids(ids, len(embeddings))
        known = np.isin(new_ids, self.ids)
        if known.any():
            raise ValueError(f"id {new_ids[known][0]} is in the index already")
        r = _checked_hubness(hubness, len(embeddings))
        rows = _augmented(embeddings, -r / 2, dim=self.engine.d - 1)
        engine = faiss.clone_index(self.engine)
        engine.add(rows)
        return _State(engine, np.append(self.ids, new_ids), np.append(self.hubness, r))

    def without(self, ids: Integer[np.ndarray, " m"]) -> _State:
        """The same rows in the same order without some."""
        missing = ids[~np.isin(ids, self.ids)]
        if len(missing):
            raise ValueError(f"id {missing[0]} is not in the index")
        gone = np.isin(self.ids, ids)
        engine = faiss.clone_index(self.engine)
        engine.remove_ids(faiss.IDSelectorBatch(np.flatnonzero(gone)))
        return _State(engine, self.ids[~gone], self.hubness[~gone])


def measured_recall(
    index: Index, exact: Index, *, queries: Float[np.ndarray, "q d"], k: int
) -> float:
    """Mean share of the k best rows of an exact index that another index finds too."""
    truth = exact.search(queries, k=k).ids
    found = index.search(queries, k=k).ids
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


def _take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Values of rows; anything where a row is -1, which stands for none."""
    return values[rows] if len(values) else np.zeros(rows.shape, values.dtype)


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


def _checked_ids(ids: np.ndarray, n: int) -> np.ndarray:
    values = np.asarray(ids, dtype=np.int64)
    if values.shape != (n,):
        raise ValueError(f"{n} embeddings need as many ids, got shape {values.shape}")
    unique, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"id {unique[counts > 1][0]} comes more than once")
    if n and unique[0] < 0:
        raise ValueError(f"ids must not be negative, got {unique[0]}")
    return values


def _checked_hubness(hubness: np.ndarray | None, n: int) -> np.ndarray:
    values = np.zeros(n, np.float32) if hubness is None else np.asarray(hubness, dtype=np.float32)
    if values.shape != (n,):
        raise ValueError(f"{n} embeddings need as many values of hubness, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"hubness of row {np.flatnonzero(~np.isfinite(values))[0]} is not finite")
    return values


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
