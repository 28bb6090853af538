"""Regions of a map, and what stands out in each: names that can be checked against the gallery.

A region is what climbs to one peak of the map's blurred density. Its name is the metadata value
that it has far more of than the gallery, where that is neither chance nor a small share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.ndimage import gaussian_filter

_CELLS = 96  # a side of the grid on which density is taken
_SMALLEST = 8  # points of a region that may be named
_LEAST_SHARE, _TIMES = 0.4, 2.0  # of a region's points, and times the share of all
_CHANCE = 0.01  # that any region of the map is named by chance alone


@dataclass(frozen=True)
class Standout:
    """A metadata value that a set of images has far more of than the gallery."""

    column: str
    value: str
    share: float
    """Share of the set's images that have it."""
    overall: float
    """Share of all images that have it."""


def regions(points: Float[np.ndarray, "n 2"], *, blur: float) -> Integer[np.ndarray, " n"]:
    """Region of every point, the largest first.

    Args:
        points: places on the unit square.
        blur: standard deviation of the density's kernel, as a share of the square's side.

    Raises:
        ValueError: when a point is not finite or the kernel is not positive.
    """
    if blur <= 0 or not np.isfinite(points).all():
        raise ValueError(f"points must be finite and blur positive, got blur {blur}")
    if not len(points):
        return np.zeros(0, np.int64)
    cell = np.clip((points * _CELLS).astype(np.int64), 0, _CELLS - 1)
    flat = cell[:, 0] * _CELLS + cell[:, 1]
    counts = np.bincount(flat, minlength=_CELLS**2).reshape(_CELLS, _CELLS)
    density = gaussian_filter(counts.astype(np.float64), blur * _CELLS, mode="constant", truncate=6)
    peaks = _climb(density)[flat]
    _, labels, sizes = np.unique(peaks, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[labels]


def _climb(density: Float[np.ndarray, "h w"]) -> Integer[np.ndarray, " c"]:
    """The peak that every cell climbs to by its steepest of nine neighbours."""
    h, w = density.shape
    padded = np.pad(density, 1, constant_values=-1)
    steps = [(0, 0)] + [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    around = np.stack([padded[1 + i : 1 + i + h, 1 + j : 1 + j + w] for i, j in steps])
    best = around.argmax(axis=0)  # a plateau is its own peak
    moves = np.array([i * w + j for i, j in steps])
    target = (np.arange(h * w).reshape(h, w) + moves[best]).ravel()
    while True:
        further = target[target]
        if (further == target).all():
            return target
        target = further


def standouts(
    labels: Integer[np.ndarray, " n"], columns: Mapping[str, Sequence[str]]
) -> list[Standout | None]:
    """What stands out in every set of images, the value of the largest lift in likelihood first.

    A value qualifies where at least two fifths of the set have it, twice the share of all images,
    and a set drawn at random would have as many with a probability below 1 % over all sets and
    values together (hypergeometric tail, Bonferroni).

    Args:
        labels: set of every image, counted from 0; -1 for none.
        columns: values of every image by column, "" where nothing is said.
    """
    from scipy.stats import hypergeom  # noqa: PLC0415 - takes half a second

    inside = labels >= 0
    count = int(labels.max(initial=-1)) + 1
    sizes = np.bincount(labels[inside], minlength=count)
    coded = {name: np.unique(values, return_inverse=True) for name, values in columns.items()}
    tests = max(count * sum(len(values) for values, _ in coded.values()), 1)
    best: list[tuple[float, Standout | None]] = [(0.0, None)] * count
    for column, (values, codes) in coded.items():
        overall = np.bincount(codes, minlength=len(values))
        pairs = labels[inside] * len(values) + codes[inside]
        table = np.bincount(pairs, minlength=count * len(values)).reshape(count, len(values))
        for label, place in zip(*_qualified(table, sizes, overall, values), strict=True):
            size, here, there = sizes[label], table[label, place], overall[place]
            if hypergeom.sf(here - 1, len(labels), there, size) * tests > _CHANCE:
                continue
            share, rest = float(here / size), float(there / len(labels))
            gain = float(size) * _divergence(share, rest)
            if gain > best[label][0]:
                found = Standout(column, str(values[place]), share, rest)
                best[label] = (gain, found)
    return [found for _, found in best]


def _qualified(
    table: Integer[np.ndarray, "r v"],
    sizes: Integer[np.ndarray, " r"],
    overall: Integer[np.ndarray, " v"],
    values: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Sets and values whose shares are large enough to name a set by."""
    share = table / np.maximum(sizes, 1)[:, None]
    enough = (share >= _LEAST_SHARE) & (share >= _TIMES * overall / max(overall.sum(), 1))
    sets, places = np.nonzero(enough & (sizes >= _SMALLEST)[:, None] & (values != "")[None])
    return sets, places


def _divergence(share: float, rest: float) -> float:
    """Kullback-Leibler divergence of two coins, nats."""
    parts = [share * np.log(share / rest)]
    if share < 1:
        parts.append((1 - share) * np.log((1 - share) / (1 - rest)))
    return float(sum(parts))
