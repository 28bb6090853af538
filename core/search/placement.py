"""How one image may lie inside another: a vote of their matching patches over scale and shift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int8

from core.search.patches import mutual_pairs
from core.values import Grid

_SCALES = (1.0, 0.8, 0.64, 1 / 0.8, 1 / 0.64)  # of the source in the query
_BINS = 21  # shifts that are told apart along an axis


@dataclass(frozen=True)
class Placements:
    """How sources' positions follow from queries', both in [-1, 1]: scale, shift, mirroring."""

    votes: Float[np.ndarray, " m"]
    """Evidence of the matches that agree with it, per query patch."""
    scale: Float[np.ndarray, " m"]
    mirrored: Bool[np.ndarray, " m"]
    shift: Float[np.ndarray, "m 2"]
    """Down and right, in the source."""

    def __getitem__(self, chosen: np.ndarray) -> Placements:
        """Some of the placements."""
        return Placements(*(array[chosen] for array in vars(self).values()))


def placements(
    queries: Int8[np.ndarray, "m p l"], sources: Int8[np.ndarray, "m p l"], *, grid: Grid
) -> Placements:
    """For every pair of images the placement on which most of their mutual matches agree.

    A vote over scale, mirroring and shift (Ballard, Generalizing the Hough transform, 1981), every
    match weighted by its strength and counted in the neighbouring shifts too.
    """
    m, p = queries.shape[:2]
    pairs = mutual_pairs(queries, sources)
    across = _positions(grid)
    asked, found = across[pairs.query_patch], across[pairs.source_patch]
    best = Placements(np.zeros(m), np.ones(m), np.zeros(m, bool), np.zeros((m, 2)))
    for mirrored in (False, True):
        here = asked * np.array([1, -1 if mirrored else 1])
        for scale in _SCALES:
            step = 2 * max(scale, 1) / grid.rows  # a patch of the coarser image
            bins = np.rint((found - scale * here) / step).astype(np.int64) + _BINS // 2
            inside = ((bins >= 0) & (bins < _BINS)).all(axis=1)
            cell = (pairs.candidate * _BINS + bins[:, 0]) * _BINS + bins[:, 1]
            votes = np.bincount(cell[inside], pairs.strength[inside], minlength=m * _BINS**2)
            sums = _with_neighbours(votes.reshape(-1, _BINS, _BINS)).reshape(m, -1)
            place = sums.argmax(axis=1)
            most = sums[np.arange(m), place]
            better = most > best.votes * p
            shift = (np.stack(np.divmod(place, _BINS - 2), axis=1) + 1 - _BINS // 2) * step
            best.votes[better] = most[better] / p
            best.scale[better], best.mirrored[better] = scale, mirrored
            best.shift[better] = shift[better]
    return best


def _positions(grid: Grid) -> Float[np.ndarray, "p 2"]:
    """Centres of the patches, down and right in [-1, 1]."""
    down = (2 * np.arange(grid.rows) + 1) / grid.rows - 1
    right = (2 * np.arange(grid.columns) + 1) / grid.columns - 1
    return np.stack(np.meshgrid(down, right, indexing="ij"), axis=-1).reshape(-1, 2)


def _with_neighbours(votes: np.ndarray) -> np.ndarray:
    """Sums over 3 x 3 shifts."""
    rows = votes[:, :-2] + votes[:, 1:-1] + votes[:, 2:]
    return rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
