"""Crops: which images of a gallery show a part of another one, mirrored or not.

A perceptual hash sees resized, recompressed and mirrored copies, but no crops. Here local
descriptors propose how one image may lie inside another, and pixels decide: the two are registered
and compared. Descriptors alone would take two photographs of one scene for copies.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Bool, Integer
from PIL import Image

from core.config import RegistrationConfig
from core.images.joined import ManyDescriptors
from core.search.placement import placements
from core.search.registration import SIDE, grey, register
from core.search.survivors import Compared
from core.values import Grid, Progress, no_progress

_PAIRS = 256  # pairs of images whose descriptors are compared at once
_REGISTERED = 32  # pairs of images that are registered at once
_ROWS = 65_536  # rows whose pairs are listed at once
_DEFAULT = RegistrationConfig()


def crop_links(
    neighbours: Integer[np.ndarray, "n k"],
    patches: ManyDescriptors,
    *,
    load: Callable[[int], Image.Image],
    config: RegistrationConfig = _DEFAULT,
    known: Compared | None = None,
    progress: Progress = no_progress,
) -> Compared:
    """Pairs of neighbours, and which of them are a crop of one another; found on all cores.

    What is found of a pair depends on no other, so that pairs that are known need no second look.

    Args:
        neighbours: rows of the nearest other images of every row, -1 for none; (n, k).
        patches: local descriptors of all rows, on square grids; crops are not found on others.
        load: pixels of a row; called at most once for each, from several threads.
        config: when a pair is linked.
        known: pairs that were looked at before.
        progress: told of rows done; may raise ``Cancelled``.
    """
    side = math.isqrt(patches.shape[1])
    if side**2 != patches.shape[1]:
        return Compared(np.empty((0, 2), np.int64), np.empty(0, bool))
    pairs, images = each_pair_once(neighbours), _Greys(len(neighbours), load)
    found = np.full(len(pairs), -1) if known is None else known.of(pairs)
    pixels = {"overlap": config.overlap, "likeness": config.likeness}
    fresh = np.flatnonzero(found < 0)

    def linked(chosen: Integer[np.ndarray, " b"]) -> Bool[np.ndarray, " b"]:
        batch, links = pairs[chosen], np.zeros(len(chosen), bool)
        queries, sources = (np.ascontiguousarray(patches[rows]) for rows in batch.T)
        places = placements(queries, sources, grid=Grid(side, side))
        likely = np.flatnonzero(places.votes >= config.votes)
        for start in range(0, len(likely), _REGISTERED):
            some = likely[start : start + _REGISTERED]
            asked, shown = (images.of(rows) for rows in batch[some].T)
            agreement = register(asked, shown, places[some], **pixels).agreement
            links[some] = agreement > config.agreement
        return links

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        batches = [fresh[start : start + _PAIRS] for start in range(0, len(fresh), _PAIRS)]
        for batch, links in zip(batches, pool.map(linked, batches), strict=True):
            found[batch] = links
            row = int(pairs[batch[-1], 0])
            progress(row, len(neighbours), "looking for crops among near-duplicates")
    finally:  # what has not begun is dropped when the caller stops
        pool.shutdown(cancel_futures=True)
    return Compared(pairs, found == 1)


def each_pair_once(neighbours: np.ndarray) -> Integer[np.ndarray, "m 2"]:
    """Rows with their neighbours, without pairs that stand in the list of an earlier row."""
    parts = [np.empty((0, 2), np.int64)]
    for start in range(0, len(neighbours), _ROWS):
        others = np.asarray(neighbours[start : start + _ROWS], np.int64)
        rows = np.arange(start, start + len(others))[:, None]
        known = (neighbours[others] == rows[:, :, None]).any(axis=2) & (others < rows)
        row, column = np.nonzero((others >= 0) & ~known)
        parts.append(np.stack([rows[row, 0], others[row, column]], axis=1))
    return np.concatenate(parts)


class _Greys:
    """The grey images of rows, each made when it is first asked for."""

    def __init__(self, n: int, load: Callable[[int], Image.Image]) -> None:
        self._images = np.zeros((n, SIDE, SIDE), np.uint8)  # pages come with what is written
        self._there, self._load = np.zeros(n, bool), load

    def of(self, rows: Integer[np.ndarray, " m"]) -> np.ndarray:
        """Images of rows; (m, side, side)."""
        for row in rows[~self._there[rows]].tolist():
            if not self._there[row]:
                self._images[row] = grey(self._load(row))
                self._there[row] = True
        return self._images[rows]
