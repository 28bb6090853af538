"""Local correspondence: the mutually best patches of two images, for re-ranking and for regions.

A pair of patches is mutual when each is the other's best. The score of an image against a query is
the sum of the squared cosines of its mutual pairs, over the number of the query's patches: 1 for
the image itself, and little for an image that only resembles it on the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int8, Integer

from core.values import Descriptors, Grid, RegionMatch

_SCALE = 127
_BLOCK = 256  # candidates compared at once; few large products beat many small ones


@dataclass(frozen=True)
class _Pairs:
    """Mutual pairs of one query with many candidates."""

    candidate: Integer[np.ndarray, " m"]
    query_patch: Integer[np.ndarray, " m"]
    source_patch: Integer[np.ndarray, " m"]
    strength: Float[np.ndarray, " m"]


def quantize(patches: Float[np.ndarray, "n p l"]) -> Descriptors:
    """Descriptors of unit length scaled by 127 and rounded; patches of zeros stay.

    Raises:
        ValueError: if a value is not finite.
    """
    if not np.isfinite(patches).all():
        raise ValueError("patches must be finite")
    norms = np.linalg.norm(patches, axis=-1, keepdims=True)
    return np.rint(patches * (_SCALE / np.where(norms > 0, norms, 1))).astype(np.int8)


def local_scores(
    query: Int8[np.ndarray, "p l"], candidates: Int8[np.ndarray, "n p2 l"]
) -> Float[np.ndarray, " n"]:
    """Score of every candidate: sum of clip(cos, 0, 1)^2 over the mutual pairs, divided by p.

    Raises:
        ValueError: if the query has no patches.
    """
    if not len(query):
        raise ValueError("a query without patches has no local score")
    scores = np.zeros(len(candidates))
    for start in range(0, len(candidates), _BLOCK):
        block = candidates[start : start + _BLOCK]
        pairs = _mutual_pairs(query, block)
        sums = np.bincount(pairs.candidate, weights=pairs.strength, minlength=len(block))
        scores[start : start + _BLOCK] = sums / len(query)
    return scores


def region_match(
    query: Int8[np.ndarray, "p l"],
    source: Int8[np.ndarray, "p2 l"],
    *,
    query_grid: Grid,
    source_grid: Grid,
) -> RegionMatch:
    """Where two images agree: every mutual pair's part of the local score, laid on both grids.

    Raises:
        ValueError: if a grid has another number of patches than its image.
    """
    for grid, patches in ((query_grid, query), (source_grid, source)):
        if grid.size != len(patches) or grid.size == 0:
            raise ValueError(
                f"a {grid.rows} x {grid.columns} grid cannot hold {len(patches)} patches"
            )
    pairs = _mutual_pairs(query, source[None])
    parts = pairs.strength / len(query)
    return RegionMatch(
        query_grid=query_grid,
        source_grid=source_grid,
        query_heat=np.bincount(pairs.query_patch, weights=parts, minlength=len(query)),
        source_heat=np.bincount(pairs.source_patch, weights=parts, minlength=len(source)),
        pairs=np.stack([pairs.query_patch, pairs.source_patch], axis=1),
        strengths=pairs.strength,
    )


def _mutual_pairs(query: Int8[np.ndarray, "p l"], candidates: Int8[np.ndarray, "n p2 l"]) -> _Pairs:
    """Mutual pairs, ordered by candidate and query patch; every patch is in one of them at most.

    Products of such descriptors are integers below 2^23, so float32 holds them and their halves
    exactly and equal ones compare equal. Of equally good partners the patch at the same place wins,
    so that a flat image agrees with itself everywhere, then the first one.
    """
    n, p2, width = candidates.shape
    p = len(query)
    flat = candidates.reshape(-1, width).astype(np.float32)
    products = (flat @ query.T.astype(np.float32)).reshape(n, p2, p)
    if p == p2:
        products[:, np.arange(p), np.arange(p)] += 0.5
    best = products.argmax(axis=2)  # (n, p2), a query patch for every candidate's patch
    values = np.take_along_axis(products, best[:, :, None], axis=2)[:, :, 0]
    mutual = values == np.take_along_axis(products.max(axis=1), best, axis=1)
    candidate, source_patch = np.nonzero(mutual)
    query_patch = best[mutual]
    once = np.unique(candidate * p + query_patch, return_index=True)[1]
    cosines = np.floor(values[mutual][once]) / _SCALE**2
    strength = np.clip(cosines, 0, 1).astype(np.float64) ** 2
    return _Pairs(candidate[once], query_patch[once], source_patch[once], strength)
