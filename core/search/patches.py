"""Local correspondence: the mutually best patches of two images, for re-ranking and for regions.

A pair of patches is mutual when each is the other's best. The score of an image against a query is
the sum of the squared cosines of its mutual pairs, over the number of the query's patches: 1 for
the image itself, and little for an image that only resembles it on the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int8, Integer
from scipy.special import softmax

from core.encoders.descriptors import SCALE
from core.values import Grid, RegionMatch

_TEMPERATURE = 0.05  # of the shares of partners, as a cosine; for heat that is drawn, no score
_BLOCK = 256  # candidates compared at once; few large products beat many small ones


@dataclass(frozen=True)
class Link:
    """A place of the query and the place of the source that looks alike."""

    query: tuple[float, float]
    """Centre of the patch as (x, y), shares of the image's width and height."""
    source: tuple[float, float]
    strength: float
    """Clipped squared cosine, in (0, 1]."""


@dataclass(frozen=True)
class MutualPairs:
    """Mutual pairs of one query with many candidates."""

    candidate: Integer[np.ndarray, " m"]
    query_patch: Integer[np.ndarray, " m"]
    source_patch: Integer[np.ndarray, " m"]
    strength: Float[np.ndarray, " m"]


def local_scores(
    query: Int8[np.ndarray, "p l"], candidates: Int8[np.ndarray, "n p2 l"]
) -> Float[np.ndarray, " n"]:
    """Score of every candidate: sum of clip(cos, 0, 1)^2 over the mutual pairs, divided by p.

    Raises:
        ValueError: if the query has no patches.
    """
    if not len(query):
        raise ValueError("a query without patches has no local score")
    return scores_of(pair_strengths(query, candidates))


def scores_of(strengths: Float[np.ndarray, "n p"]) -> Float[np.ndarray, " n"]:
    """The same by what :func:`pair_strengths` gives."""
    return strengths.sum(axis=1) / strengths.shape[1]


def region_match(
    query: Int8[np.ndarray, "p l"],
    source: Int8[np.ndarray, "p2 l"],
    *,
    query_grid: Grid,
    source_grid: Grid,
) -> RegionMatch:
    """Where two images agree: the local score laid on both grids, and its mutual pairs.

    The heat is softer than the pairs: patches i and j share w_ij = p(j | i) p(i | j) clip(cos)^2,
    the dual softmax of LoFTR (Sun et al. 2021, eq. 1) at the temperature 0.05 times the strength
    of a pair, so that a patch with several near-equal partners counts too. Decision 003 says what
    blurring away the heat costs of the score.

    Raises:
        ValueError: if a grid has another number of patches than its image.
    """
    for grid, patches in ((query_grid, query), (source_grid, source)):
        if grid.size != len(patches) or grid.size == 0:
            raise ValueError(
                f"a {grid.rows} x {grid.columns} grid cannot hold {len(patches)} patches"
            )
    pairs = mutual_pairs(query, source[None])
    shared = _shared(query, source)
    scale = pairs.strength.sum() / len(query) / max(shared.sum(), np.finfo(np.float64).tiny)
    return RegionMatch(
        query_grid=query_grid,
        source_grid=source_grid,
        query_heat=shared.sum(axis=1) * scale,
        source_heat=shared.sum(axis=0) * scale,
        pairs=np.stack([pairs.query_patch, pairs.source_patch], axis=1),
        strengths=pairs.strength,
    )


def _shared(
    query: Int8[np.ndarray, "p l"], source: Int8[np.ndarray, "p2 l"]
) -> Float[np.ndarray, "p p2"]:
    """How much every two patches are each other's, between 0 and 1."""
    cosines = (query.astype(np.float64) @ source.T) / SCALE**2
    sharp = cosines / _TEMPERATURE
    return softmax(sharp, axis=1) * softmax(sharp, axis=0) * np.clip(cosines, 0, 1) ** 2


def strongest_links(match: RegionMatch, *, count: int = 12) -> tuple[Link, ...]:
    """The strongest pairs of patches to draw: at most ``count``, spread over the query.

    A pair is passed over while another one that touches its query patch is drawn; the strongest of
    those fill what is left. Pairs without any strength are never drawn.
    """
    grid = match.query_grid
    rows, columns = np.divmod(match.pairs[:, 0], grid.columns)
    order = [int(i) for i in np.argsort(-match.strengths, kind="stable") if match.strengths[i] > 0]
    apart: list[int] = []
    for i in order:
        near = np.maximum(np.abs(rows[apart] - rows[i]), np.abs(columns[apart] - columns[i])) <= 1
        if not near.any():
            apart.append(i)
    crowded = [i for i in order if i not in set(apart)]
    return tuple(
        Link(
            query=_centre(int(match.pairs[i, 0]), grid),
            source=_centre(int(match.pairs[i, 1]), match.source_grid),
            strength=float(match.strengths[i]),
        )
        for i in sorted([*apart, *crowded][:count], key=order.index)
    )


def _centre(patch: int, grid: Grid) -> tuple[float, float]:
    row, column = divmod(patch, grid.columns)
    return ((column + 0.5) / grid.columns, (row + 0.5) / grid.rows)


def pair_strengths(
    query: Int8[np.ndarray, "p l"], candidates: Int8[np.ndarray, "n p2 l"]
) -> Float[np.ndarray, "n p"]:
    """How well every candidate matches every patch of a query: 0 where they are no mutual pair."""
    strengths = np.zeros((len(candidates), len(query)))
    for start in range(0, len(candidates), _BLOCK):
        pairs = mutual_pairs(query, candidates[start : start + _BLOCK])
        strengths[start + pairs.candidate, pairs.query_patch] = pairs.strength
    return strengths


def mutual_pairs(
    query: Int8[np.ndarray, "p l"] | Int8[np.ndarray, "n p l"],
    candidates: Int8[np.ndarray, "n p2 l"],
) -> MutualPairs:
    """Mutual pairs, ordered by candidate and query patch; every patch is in one of them at most.

    All candidates are compared with one query, or each with its own.

    Products of such descriptors are integers below 2^23, so float32 holds them and their halves
    exactly and equal ones compare equal. Of equally good partners the patch at the same place wins,
    so that a flat image agrees with itself everywhere, then the first one.
    """
    n, p2, width = candidates.shape
    p = query.shape[-2]
    asked, given = query.astype(np.float32), candidates.astype(np.float32)
    if query.ndim == 2:
        products = (given.reshape(-1, width) @ asked.T).reshape(n, p2, p)
    else:
        products = given @ asked.transpose(0, 2, 1)
    if p == p2:
        products[:, np.arange(p), np.arange(p)] += 0.5
    best = products.argmax(axis=2)  # (n, p2), a query patch for every candidate's patch
    values = np.take_along_axis(products, best[:, :, None], axis=2)[:, :, 0]
    mutual = values == np.take_along_axis(products.max(axis=1), best, axis=1)
    candidate, source_patch = np.nonzero(mutual)
    query_patch = best[mutual]
    once = np.unique(candidate * p + query_patch, return_index=True)[1]
    cosines = np.floor(values[mutual][once]) / SCALE**2
    strength = np.clip(cosines, 0, 1).astype(np.float64) ** 2
    return MutualPairs(candidate[once], query_patch[once], source_patch[once], strength)
