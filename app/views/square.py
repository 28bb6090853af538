"""Points of a map on the unit square, so that far ones do not make all others small."""

from __future__ import annotations

import numpy as np

_TAIL = 0.005  # share of the points at each end of an axis that may lie in the rim
_RIM = 0.05  # of the map's side, around the middle of its points


def within_square(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of points (n, 2) on the unit square, by the spread of the first set on each axis.

    A place is half its length along the axis and half its rank on it, so that neither a few far
    points nor far islands make all others small: a map keeps neighbours, not lengths. What lies
    beyond the middle 99 % goes into a rim, in its order.
    """
    if not len(points):
        return points, others
    low, high = np.quantile(points, [_TAIL, 1 - _TAIL], axis=0)
    middle, span = (low + high) / 2, np.maximum(high - low, 1e-9)
    first, second = (
        _into_rim((each - middle) / span + 0.5, _ranks(each, points)) for each in (points, others)
    )
    return first, second


def _ranks(places: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Share of points below each place, axis by axis, straight between two points."""
    shares = (np.arange(len(among)) + 0.5) / len(among)
    columns = [
        np.interp(places[:, axis], *_distinct(among[:, axis], shares))
        for axis in range(among.shape[1])
    ]
    return np.stack(columns, axis=1)


def _distinct(values: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values, ascending, each with the mean share of its points."""
    found, counts = np.unique(values, return_counts=True)
    last = np.cumsum(counts)
    return found, (shares[last - counts] + shares[last - 1]) / 2


def _into_rim(lengths: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Places on the square, from 0 to 1 for the middle: straight inside, bent in the rim."""
    inside = np.clip(lengths, 0, 1)
    beyond = lengths - inside
    rim = _RIM * np.sign(beyond) * (1 - 1 / (1 + np.abs(beyond) / _RIM))
    return (_RIM + (1 - 2 * _RIM) * (inside + ranks) / 2 + rim).astype(np.float32)
