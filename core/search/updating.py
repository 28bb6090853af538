"""A neighbour graph after images came or went: only what these change is compared.

Rows that are new, or lost a neighbour, are compared with all; all others with the new rows alone.
Cosines are summed number by number, alike in whatever company, so that the graph is the one that
is found from nothing, but for which of many equal copies stand at the end of a table.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int32, Integer

from core.search.index import nearest
from core.values import Progress, no_progress

SPARE = 8
"""Neighbours that are found beyond those that are kept: a product of matrices rounds otherwise."""

_BLOCK = 1_024  # rows whose cosines are summed at once
_ROUNDING = 1e-4  # by which a product of matrices may miss a cosine, and more


def summed_cosines(
    vectors: Float[np.ndarray, "n d"],
    rows: Integer[np.ndarray, " m"],
    others: Integer[np.ndarray, "m k"],
) -> Float32[np.ndarray, "m k"]:
    """Cosines of unit rows with others, -1 where the other is -1, each by itself."""
    found = np.empty(others.shape, np.float32)
    for start in range(0, len(rows), _BLOCK):
        some = slice(start, start + _BLOCK)
        near = np.asarray(vectors[others[some]], np.float32)
        found[some] = np.einsum("mkd,md->mk", near, np.asarray(vectors[rows[some]], np.float32))
    return np.where(others >= 0, found, np.float32(-1))


def compared(
    vectors: Float[np.ndarray, "n d"],
    rows: Integer[np.ndarray, " m"],
    *,
    width: int,
    progress: Progress = no_progress,
) -> tuple[Int32[np.ndarray, "m k"], Float32[np.ndarray, "m k"]]:
    """The nearest other rows of some rows among all, best first, and their cosines.

    Args:
        vectors: unit rows.
        rows: the rows.
        width: neighbours of each, fewer where there are no more.
        progress: told of rows done; may raise ``Cancelled``.
    """
    n, best = len(vectors), list[tuple[Int32[np.ndarray, "m k"], Float32[np.ndarray, "m k"]]]()
    for start in range(0, max(len(rows), 1), _BLOCK):
        progress(start, len(rows), "comparing all images with all")
        some = rows[start : start + _BLOCK]
        found = nearest(np.asarray(vectors[some]), vectors, k=min(width + SPARE + 1, n))
        found = np.where(found == some[:, None], -1, found)
        cosines = summed_cosines(vectors, some, found)
        best.append(best_of(found, cosines, width=min(width, n - 1)))
    near, cosines = (np.concatenate(part) for part in zip(*best, strict=True))
    return near, cosines


def best_of(
    rows: Integer[np.ndarray, "m k"], cosines: Float32[np.ndarray, "m k"], *, width: int
) -> tuple[Int32[np.ndarray, "m w"], Float32[np.ndarray, "m w"]]:
    """The best of every list, equal ones in the order of their rows, -1 behind them."""
    last = np.where(rows >= 0, rows, np.iinfo(np.int64).max)
    order = np.lexsort((last, np.where(rows >= 0, -cosines, 2)), axis=1)[:, :width]
    best = np.take_along_axis(rows, order, axis=1).astype(np.int32)
    return best, np.take_along_axis(cosines, order, axis=1).astype(np.float32)


def updated(
    vectors: Float[np.ndarray, "n d"],
    before: tuple[Int32[np.ndarray, "m k"], Float32[np.ndarray, "m k"]],
    now: Integer[np.ndarray, " m"],
    *,
    width: int,
    progress: Progress = no_progress,
) -> tuple[Int32[np.ndarray, "n k"], Float32[np.ndarray, "n k"]] | None:
    """Neighbours and cosines of all rows from those of an earlier state.

    Args:
        vectors: unit rows; those of images that stayed are what they were, to the last bit.
        before: what :func:`compared` gave of all rows of the earlier state.
        now: row of every earlier image, -1 where it is gone.
        width: neighbours of each, fewer where there are no more.
        progress: told of rows compared; may raise ``Cancelled``.

    Returns:
        What :func:`compared` gives of all rows; ``None`` where that is no less work, or images
        have changed their order.
    """
    (old_rows, old_cosines), n = before, len(vectors)
    width, stayed = min(width, n - 1), np.flatnonzero(now >= 0)
    here = now[stayed]
    if old_rows.shape[1] != width or (np.diff(here) <= 0).any():
        return None
    found = np.where(old_rows[stayed] >= 0, now[old_rows[stayed]], -1)
    whole = (found >= 0).all(axis=1)
    fresh = np.setdiff1d(np.arange(n), here[whole])
    if 2 * len(fresh) > n:  # all of them at once take less time
        return None
    rows, cosines = np.full((n, width), -1, np.int32), np.full((n, width), -1, np.float32)
    rows[fresh], cosines[fresh] = compared(vectors, fresh, width=width, progress=progress)
    rows[here[whole]], cosines[here[whole]] = found[whole], old_cosines[stayed[whole]]
    come = np.setdiff1d(np.arange(n), here)
    if len(come):
        _merge(vectors, (rows, cosines), here[whole], come, progress=progress)
    return rows, cosines


def _merge(
    vectors: np.ndarray,
    table: tuple[Int32[np.ndarray, "n k"], Float32[np.ndarray, "n k"]],
    kept: Integer[np.ndarray, " m"],
    come: Integer[np.ndarray, " c"],
    *,
    progress: Progress,
) -> None:
    """Put new rows into the lists of kept ones, in place."""
    rows, cosines = table
    new, width = np.ascontiguousarray(vectors[come], np.float32), rows.shape[1]
    for start in range(0, len(kept), _BLOCK):
        progress(start, len(kept), "comparing all images with new ones")
        some = kept[start : start + _BLOCK]
        own = np.asarray(vectors[some], np.float32)
        places = nearest(own, new, k=min(width + SPARE, len(come)))
        near = np.einsum("mkd,md->mk", new[places[:, :1]], own)[:, 0]
        some_near = near >= cosines[some, -1] - _ROUNDING
        some, others = some[some_near], come[places[some_near]]
        joined = np.concatenate([rows[some], others], axis=1)
        values = [cosines[some], summed_cosines(vectors, some, others)]
        rows[some], cosines[some] = best_of(joined, np.concatenate(values, axis=1), width=width)
