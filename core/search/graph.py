"""The neighbour graph of a view: the nearest other images of every image, found once.

CSLS means, near-duplicates and crops take their neighbours from it, whichever images are left out.
In a small gallery it is exact, comparing all with all; in a large one, an HNSW graph is walked for
every image, what it finds is compared exactly, and recall is measured on a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int32, Integer, UInt64

from core.gallery.artefacts import Codec, arrays
from core.search.index import csls_means, nearest
from core.search.updating import compared
from core.search.walk import Walk
from core.search.walked import cosines_of, joined, walked
from core.values import Progress, no_progress

WIDTH = 32
"""Neighbours that are kept of every image."""

_GATHERED = 512  # rows that are compared at once
_BLOCK = 65_536  # rows whose neighbours are looked through at once
_SAMPLE, _LOOKED_AT = 500, 10  # rows, and neighbours of each, on which recall is measured
_LEAST_BEAM = 128  # candidates kept at least where copies fill the table
_DEEPER = 4  # times the groups wanted, looked for where copies fill the table
_ALIKE, _SAME = 32, 0.98  # copies that stand for all, and the least cosine of copies
_COPIES = 64  # rows of a group up to which every row is walked from
_WIDEST = 4_096  # candidates kept at most where copies fill the table
_ROUNDED = 1.01  # a cosine at most, of rows of which some are rounded


@dataclass(frozen=True)
class Graph:
    """The nearest other rows of every row, best first."""

    rows: Int32[np.ndarray, "n k"]
    """-1 where there are no more."""
    cosines: Float[np.ndarray, "n k"]
    """-1 where there are no more; float16 where a walk found them."""
    recall: Float[np.ndarray, " 1"]
    """Share of the ten nearest that are there, on a sample; 1 where all were compared."""


def are_neighbours(found: Mapping[str, np.ndarray]) -> bool:
    """Whether arrays that were kept can be the ``rows`` and ``cosines`` of a :class:`Graph`."""
    rows, cosines = found["rows"], found["cosines"]
    kinds = rows.dtype == np.int32 and cosines.dtype in (np.float32, np.float16)
    if not (kinds and rows.ndim == 2 and rows.shape == cosines.shape):
        return False
    inside = ((rows >= -1) & (rows < len(rows))).all()
    return bool(inside and (np.abs(cosines) <= _ROUNDED).all())


def graph_codec(n: int, *, walked: bool) -> Codec[Graph]:
    """How the graph of n images is kept, which a walk found or not; any other is refused."""
    width = WIDTH if walked else min(WIDTH, n - 1)

    def whole(found: Mapping[str, np.ndarray]) -> bool:
        return found["rows"].shape == (n, width) and are_neighbours(found)

    return arrays(Graph, whole=whole)


def neighbour_graph(
    vectors: Float[np.ndarray, "n d"], *, walk: Walk | None, progress: Progress = no_progress
) -> Graph:
    """The graph of unit rows.

    Args:
        vectors: one row per image, memory-mapped or not.
        walk: an HNSW graph over them; all are compared with all without.
        progress: told of rows done; may raise ``Cancelled``.

    Raises:
        ValueError: if a value is not finite.
    """
    if walk is None:
        if not np.isfinite(vectors).all():
            raise ValueError("a vector is not finite")
        every = np.arange(len(vectors))
        return Graph(*compared(vectors, every, width=WIDTH, progress=progress), np.ones(1))
    every = np.arange(len(vectors))
    rows, cosines = walked(vectors, every, width=WIDTH, walk=walk, progress=progress)
    joined(rows, cosines)
    return measured(vectors, rows, cosines)


def measured(
    vectors: Float[np.ndarray, "n d"],
    rows: Int32[np.ndarray, "n k"],
    cosines: Float32[np.ndarray, "n k"],
) -> Graph:
    """The graph of neighbours that a walk found, in fewer bytes, with its recall on a sample."""
    return Graph(rows, cosines.astype(np.float16), np.array([_recall(rows, vectors)]))


def worth_linking(
    vectors: Float[np.ndarray, "n d"], hashes: UInt64[np.ndarray, " n"]
) -> Integer[np.ndarray, " m"]:
    """The rows that a walk needs: all but further copies of what has many.

    Copies by the hundred are each other's nearest neighbours, and no link would lead out of them
    or in. Of those with one perceptual hash and nearly one vector, the first few stand for all.
    """
    order = np.argsort(hashes, kind="stable")
    begins = np.append(0, np.flatnonzero(np.diff(hashes[order])) + 1)[: len(order)]
    sizes = np.diff(np.append(begins, len(order)))
    later = np.arange(len(order)) - np.repeat(begins, sizes) >= _ALIKE
    rows, firsts = order[later], np.repeat(order[begins], sizes)[later]
    copies = [np.empty(0, np.int64)]
    for start in range(0, len(rows), _GATHERED):
        some = rows[start : start + _GATHERED]
        near = cosines_of(vectors, some, firsts[start : start + _GATHERED, None])[:, 0]
        copies.append(some[near >= _SAME])
    return np.setdiff1d(np.arange(len(hashes)), np.concatenate(copies))


def csls_means_of(
    graph: Graph,
    vectors: Float[np.ndarray, "n d"],
    groups: Integer[np.ndarray, " n"],
    *,
    k: int,
    walk: Walk | None = None,
    left_out: Bool[np.ndarray, " n"] | None = None,
) -> Float32[np.ndarray, " n"]:
    """CSLS means as :func:`core.search.index.csls_means` defines them, from the neighbour graph.

    Where copies fill the table of a row, more neighbours are looked for: among all rows, or by a
    walk to the first rows of other groups from one row of each such group.

    Args:
        graph: the neighbours of every row.
        vectors: unit rows.
        groups: near-duplicate group of every row.
        k: groups that are looked at.
        walk: that of the graph, where it has one.
        left_out: rows that count as if they were not there; their own means are of no use.
    """
    n = len(groups)
    there = np.arange(n) if left_out is None else np.flatnonzero(~left_out)
    labels, first = np.unique(groups[there], return_index=True)
    stays = np.zeros(n, bool)
    stays[there[first]] = True
    width = min(k, len(labels) - 1)
    means = np.zeros(n, np.float32)
    if width < 1:
        return means
    short: list[np.ndarray] = []
    for block in _blocks(n):
        near = graph.rows[block]
        fits = (near >= 0) & stays[near] & (groups[near] != groups[block, None])
        place = fits.cumsum(axis=1)
        enough = place[:, -1] >= width
        taken = fits & (place <= width) & enough[:, None]
        chosen = graph.cosines[block][taken].reshape(-1, width)
        means[block][enough] = chosen.mean(axis=1, dtype=np.float32)
        short.append(block.start + np.flatnonzero(~enough))
    rows = np.concatenate(short)
    if left_out is not None:
        rows = rows[~left_out[rows]]
    if not len(rows):
        return means
    if walk is None:
        place = np.searchsorted(there, rows)
        means[rows] = csls_means(vectors[there], np.asarray(groups)[there], k=k, rows=place)
    else:
        owners = there[first[np.searchsorted(labels, groups[rows])]]
        means[rows] = _walked_means(vectors, rows, owners, stays=stays, k=width, walk=walk)
    return means


def _walked_means(
    vectors: np.ndarray,
    rows: Integer[np.ndarray, " m"],
    owners: Integer[np.ndarray, " m"],
    *,
    stays: Bool[np.ndarray, " n"],
    k: int,
    walk: Walk,
) -> np.ndarray:
    """Means of rows over the first rows of other groups that walks find.

    A walk starts from every row, or from the first of its group where that is large: to find other
    groups it has to pass all copies, so that walks from each would take the square of the time.
    """
    _, place, sizes = np.unique(owners, return_inverse=True, return_counts=True)
    means = np.empty(len(rows), np.float32)
    order = np.argsort(np.where(sizes[place] > _COPIES, place, -1), kind="stable")
    ends = np.flatnonzero(np.diff(np.where(sizes[place] > _COPIES, place, -1)[order])) + 1
    for some in np.split(order, ends):
        size = sizes[place[some[0]]]
        asked = rows[some] if size <= _COPIES else owners[some[:1]]
        beam = int(min(max(2 * size, _LEAST_BEAM), _WIDEST))
        for start in range(0, len(some), _GATHERED):
            part = some[start : start + _GATHERED]
            from_rows = asked[start : start + _GATHERED] if len(asked) == len(some) else asked
            found = walk.search(vectors[from_rows], k=_DEEPER * k, beam=beam, among=stays)
            few = (found >= 0).sum(axis=1) <= k
            if few.any():
                asked_again = vectors[from_rows[few]]
                found[few] = walk.search(asked_again, k=_DEEPER * k, beam=_WIDEST, among=stays)
            found = np.broadcast_to(found, (len(part), found.shape[1]))
            found = np.where(found == owners[part, None], -1, found)
            cosines = -np.sort(-cosines_of(vectors, rows[part], found), axis=1)[:, :k]
            counted = (cosines > -1).sum(axis=1)
            means[part] = np.where(cosines > -1, cosines, 0).sum(axis=1) / np.maximum(counted, 1)
    return means


def rescored(graph: Graph, vectors: Float[np.ndarray, "n d"]) -> Graph:
    """The graph with the cosines of other vectors, best first: those of a head fitted again."""
    rows, cosines = np.empty_like(graph.rows), np.empty(graph.cosines.shape, np.float32)
    for start in range(0, len(rows), _GATHERED):
        block = np.arange(start, min(start + _GATHERED, len(rows)))
        near = cosines_of(vectors, block, np.asarray(graph.rows[block]))
        order = np.argsort(-near, axis=1, kind="stable")
        rows[block] = np.take_along_axis(graph.rows[block], order, axis=1)
        cosines[block] = np.take_along_axis(near, order, axis=1)
    return Graph(rows, cosines, graph.recall)


def _recall(rows: np.ndarray, vectors: np.ndarray) -> float:
    """Share of the nearest of a sample of rows that are in the table, as near or nearer."""
    n = len(rows)
    asked = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64))
    truth = nearest(vectors[asked], vectors, k=_LOOKED_AT + 1)
    wanted = [t[t != row][:_LOOKED_AT] for t, row in zip(truth, asked, strict=True)]
    hits = [np.isin(t, rows[row]).mean() for t, row in zip(wanted, asked, strict=True)]
    return float(np.mean(hits))


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK))
