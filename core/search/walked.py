"""Neighbours that a walk finds, of all rows of a large gallery or of those that a change concerns.

What is found is compared exactly. Rows that came or lost many of their neighbours are walked from,
and rows that came are put into the lists of those near them; all others keep what they had.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32, Integer

from core.search.updating import best_of
from core.search.walk import Walk
from core.values import Progress, no_progress

_GATHERED = 512  # rows whose neighbours are looked for at once
_COMPARED = 64  # rows whose neighbours are compared at once
_JOINED = 8_192  # rows that are put into the lists of their neighbours at once
_LEAST = 1e-30  # product of two lengths that are not zero
_BEAM = 2  # times as many candidates as neighbours are kept while the graph is walked for a row
_ENOUGH = 0.75  # of the neighbours that are left of a row, from which no others are looked for
_WIDER = (
    4  # times as many neighbours are found of rows that came, of which they may have become one
)


def cosines_of(
    vectors: Float[np.ndarray, "n d"],
    rows: Integer[np.ndarray, " m"],
    others: Integer[np.ndarray, "m k"],
) -> Float32[np.ndarray, "m k"]:
    """Cosines of rows with others, -1 where the other is -1."""
    found = np.empty(others.shape, np.float32)
    for start in range(0, len(rows), _COMPARED):  # torch reads 16 bits faster than NumPy
        some = slice(start, start + _COMPARED)
        near = torch.from_numpy(vectors[others[some]]).float()
        own = torch.from_numpy(vectors[rows[some]]).float()
        lengths = near.norm(dim=-1) * own.norm(dim=-1, keepdim=True)
        products = torch.bmm(near, own[:, :, None])[:, :, 0]
        found[some] = (products / lengths.clamp_min(_LEAST)).numpy()
    return np.where(others >= 0, found, np.float32(-1))


def walked(
    vectors: Float[np.ndarray, "n d"],
    rows: Integer[np.ndarray, " m"],
    *,
    width: int,
    walk: Walk,
    progress: Progress = no_progress,
) -> tuple[Int32[np.ndarray, "m k"], Float32[np.ndarray, "m k"]]:
    """The nearest other rows of some rows that a walk finds, best first, and their cosines.

    Args:
        vectors: unit rows.
        rows: the rows.
        width: neighbours of each; -1 where there are no more.
        walk: an HNSW graph over the rows.
        progress: told of rows done; may raise ``Cancelled``.
    """
    near = np.full((len(rows), width), -1, np.int32)
    cosines = np.full(near.shape, -1, np.float32)
    places = walk.in_order(rows)
    for start in range(0, len(rows), _GATHERED):
        progress(start, len(rows), "looking for the neighbours of images")
        some = places[start : start + _GATHERED]
        found = walk.search(vectors[rows[some]], k=width + 1, beam=_BEAM * width)
        found = np.where(found == rows[some, None], -1, found)
        values = cosines_of(vectors, rows[some], found)
        order = np.argsort(-values, axis=1, kind="stable")[:, :width]
        near[some] = np.take_along_axis(found, order, axis=1)
        cosines[some] = np.take_along_axis(values, order, axis=1)
    return near, cosines


def joined(rows: Int32[np.ndarray, "n k"], cosines: Float32[np.ndarray, "n k"]) -> None:
    """Put every row into the lists of its neighbours where these have none as near, in place.

    What a walk from one of two near rows misses, a walk from the other has often found.
    """
    for start in range(0, len(rows), _JOINED):
        some = np.arange(start, min(start + _JOINED, len(rows)))
        near = rows[some]
        there = (rows[near] == some[:, None, None]).any(axis=2)
        _join(rows, cosines, some, np.where(there, -1, near), cosines[some])


def walked_again(
    vectors: Float[np.ndarray, "n d"],
    before: tuple[Int32[np.ndarray, "m k"], Float[np.ndarray, "m k"]],
    now: Integer[np.ndarray, " m"],
    *,
    walk: Walk,
    moved: bool,
    progress: Progress = no_progress,
) -> tuple[Int32[np.ndarray, "n k"], Float32[np.ndarray, "n k"]]:
    """What :func:`walked` finds of all rows, nearly, from what it found in an earlier state.

    Args:
        vectors: unit rows, as they are now.
        before: neighbours and cosines of all rows of the earlier state.
        now: row of every earlier image, -1 where it is gone.
        walk: an HNSW graph over the rows as they are now.
        moved: whether the vectors of rows that stayed are no longer what they were.
        progress: told of rows done; may raise ``Cancelled``.
    """
    n, width, stayed = len(vectors), before[0].shape[1], np.flatnonzero(now >= 0)
    rows, cosines = np.full((n, width), -1, np.int32), np.full((n, width), -1, np.float32)
    for start in range(0, len(stayed), _GATHERED):
        some = stayed[start : start + _GATHERED]
        near, values = (np.asarray(table[some]) for table in before)
        near = np.where(near >= 0, now[near], -1)
        known = np.where(near >= 0, values, np.float32(-1))
        values = cosines_of(vectors, now[some], near) if moved else known
        rows[now[some]], cosines[now[some]] = best_of(near, values, width=width)
    came = np.setdiff1d(np.arange(n), now[stayed])
    fresh = (rows >= 0).sum(axis=1) < _ENOUGH * width
    lost = np.setdiff1d(np.flatnonzero(fresh), came)
    rows[lost], cosines[lost] = walked(vectors, lost, width=width, walk=walk, progress=progress)
    near, values = walked(vectors, came, width=_WIDER * width, walk=walk, progress=progress)
    rows[came], cosines[came] = near[:, :width], values[:, :width]
    _join(rows, cosines, came, np.where(fresh[near], -1, near), values)
    return rows, cosines


def _join(
    rows: Int32[np.ndarray, "n k"],
    cosines: Float32[np.ndarray, "n k"],
    came: Integer[np.ndarray, " c"],
    near: Integer[np.ndarray, "c w"],
    values: Float32[np.ndarray, "c w"],
) -> None:
    """Put rows into the lists of those near them, where these have none as near; in place."""
    one, place = np.nonzero((near >= 0) & (values > cosines[near, -1]))
    order = np.lexsort((-values[one, place], near[one, place]))  # the best first, of every row
    one, place = one[order], place[order]
    others, begins, counts = np.unique(near[one, place], return_index=True, return_counts=True)
    row = np.repeat(np.arange(len(others)), counts)
    column = np.arange(len(one)) - np.repeat(begins, counts)
    fits = column < rows.shape[1]
    one, place, cell = one[fits], place[fits], (row[fits], column[fits])
    more = np.full((len(others), rows.shape[1]), -1)
    scores = np.full(more.shape, -1, np.float32)
    more[cell], scores[cell] = came[one], values[one, place]
    every = np.concatenate([rows[others], more], axis=1)
    both = np.concatenate([cosines[others], scores], axis=1)
    rows[others], cosines[others] = best_of(every, both, width=rows.shape[1])
