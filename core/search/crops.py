"""Crops: which images of a gallery show a part of another one, mirrored or not.

A perceptual hash sees resized, recompressed and mirrored copies, but no crops. Here local
descriptors propose how one image may lie inside another, and pixels decide: the two are registered
and compared. Descriptors alone would take two photographs of one scene for copies.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int8, Integer
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from core.search.patches import mutual_pairs
from core.values import Descriptors, Grid, Progress, no_progress

SIDE = 48
"""Side of the grey images that are registered, pixels."""

_SCALES = (1.0, 0.8, 0.64, 1 / 0.8, 1 / 0.64)  # of the source in the query
_BINS = 21  # shifts that are told apart along an axis
_VOTES = 0.12  # agreeing evidence per query patch from which pixels are compared
_BLURS = (3.0, 1.5, 0.75)  # of the registration, coarse to fine; pixels
_STEPS = 4  # of the registration at every blur
_OVERLAP = 0.75  # share of the smaller image that must lie inside the other
_LEAST_OVERLAP = 0.3  # the same while it is being registered
_ALIKE = 0.8  # correlation of blurred images below which their detail is not compared
_FLAT = 1e-3  # variation that is none
_AGREE = 0.9  # correlation of registered fine detail from which two images are copies

_AXIS = (2 * np.arange(SIDE) + 1) / SIDE - 1  # of the pixels

GreyImage = Float[np.ndarray, "h w"]


@dataclass(frozen=True)
class Placement:
    """How a source's positions follow from a query's, both in [-1, 1]: scale, shift, mirroring."""

    votes: float
    """Evidence of the matches that agree with it, per query patch."""
    scale: float
    mirrored: bool
    shift: tuple[float, float]
    """Down and right, in the source."""


def grey(image: Image.Image) -> GreyImage:
    """An image as what is registered: squeezed, grey, in [0, 1]."""
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.GaussianBlur(0.7)), np.float32) / 255


def crop_links(
    neighbours: Integer[np.ndarray, "n k"],
    patches: Descriptors,
    *,
    load: Callable[[int], Image.Image],
    progress: Progress = no_progress,
) -> Integer[np.ndarray, "m 2"]:
    """Pairs of rows of which one is a crop of the other.

    Args:
        neighbours: rows of the nearest other images of every row, -1 for none; (n, k).
        patches: local descriptors of all rows, on square grids; crops are not found on others.
        load: pixels of a row.
        progress: told of every row; may raise ``Cancelled``.
    """
    side = math.isqrt(patches.shape[1])
    if side**2 != patches.shape[1]:
        return np.empty((0, 2), np.int64)
    grid = Grid(side, side)
    image = functools.lru_cache(2_000)(lambda row: grey(load(row)))
    links: list[tuple[int, int]] = []
    for row, others in enumerate(_each_pair_once(neighbours)):
        progress(row, len(neighbours), "looking for crops among near-duplicates")
        if len(others):
            found = placements(np.asarray(patches[row]), np.asarray(patches[others]), grid=grid)
            links += [
                (row, int(other))
                for other, place in zip(others, found, strict=True)
                if place.votes >= _VOTES
                and agreement(image(row), image(int(other)), place) > _AGREE
            ]
    return np.array(links, np.int64).reshape(-1, 2)


def _each_pair_once(neighbours: np.ndarray) -> Iterator[np.ndarray]:
    """Neighbours of every row, those left out whose own list holds the row and that come before."""
    for row, others in enumerate(neighbours):
        known = (neighbours[others] == row).any(axis=1) & (others < row)
        yield others[(others >= 0) & ~known]


def placements(
    query: Int8[np.ndarray, "p l"], candidates: Descriptors, *, grid: Grid
) -> list[Placement]:
    """The placement in every candidate on which most of the mutual matches agree.

    A vote over scale, mirroring and shift (Ballard, Generalizing the Hough transform, 1981), every
    match weighted by its strength and counted in the neighbouring shifts too.
    """
    pairs = mutual_pairs(query, candidates)
    across = _positions(grid)
    asked, found = across[pairs.query_patch], across[pairs.source_patch]
    best = [Placement(0.0, 1.0, False, (0.0, 0.0))] * len(candidates)
    for mirrored in (False, True):
        here = asked * np.array([1, -1 if mirrored else 1])
        for scale in _SCALES:
            step = 2 * max(scale, 1) / grid.rows  # a patch of the coarser image
            bins = np.rint((found - scale * here) / step).astype(np.int64) + _BINS // 2
            inside = ((bins >= 0) & (bins < _BINS)).all(axis=1)
            cell = (pairs.candidate * _BINS + bins[:, 0]) * _BINS + bins[:, 1]
            votes = np.bincount(
                cell[inside], pairs.strength[inside], minlength=len(best) * _BINS**2
            )
            sums = _with_neighbours(votes.reshape(-1, _BINS, _BINS)).reshape(len(best), -1)
            for i in np.flatnonzero(sums.max(axis=1) > [p.votes * len(query) for p in best]):
                down, right = np.divmod(int(sums[i].argmax()), _BINS - 2)
                shift = (float(down + 1 - _BINS // 2) * step, float(right + 1 - _BINS // 2) * step)
                best[i] = Placement(float(sums[i].max() / len(query)), scale, mirrored, shift)
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


def agreement(query: GreyImage, source: GreyImage, place: Placement) -> float:
    """Correlation of the fine detail of two images, the one registered inside the other.

    Fine detail is what a blur takes away. 0 where too little of the smaller one lies in the other.
    """
    found = registered(query, source, place)
    return 0.0 if found is None else found.agreement


@dataclass(frozen=True)
class Registration:
    """How the source's positions follow from the query's, by pixels; as in a placement."""

    scale: tuple[float, float]
    """Down and right."""
    shift: tuple[float, float]
    agreement: float
    """Correlation of the fine detail of what both show."""


def registered(query: GreyImage, source: GreyImage, place: Placement) -> Registration | None:
    """Two images registered from a placement; ``None`` where too little of them is alike.

    Registration is that of Lucas and Kanade (1981) with a scale and a shift for either axis.
    """
    if place.mirrored:
        query = query[:, ::-1]
    warp = np.array([place.scale, place.shift[0], place.scale, place.shift[1]])
    for blur in _BLURS:
        one, two = gaussian_filter(query, blur), gaussian_filter(source, blur)
        warp = _registered(one, two, warp)
        seen, inside = _seen(two, warp)
        if inside.mean() * max(1, warp[0] * warp[2]) < _OVERLAP:
            return None
        if _correlation(one[inside], seen[inside]) < _ALIKE:
            return None
    seen, inside = _seen(source, warp)
    alike = _correlation(_detail(query)[inside], _detail(np.where(inside, seen, query))[inside])
    scale, shift = (warp[0], warp[2]), (warp[1], warp[3])
    return Registration(
        (float(scale[0]), float(scale[1])), (float(shift[0]), float(shift[1])), alike
    )


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    """Pearson's correlation; 0 for what does not vary."""
    one, two = one - one.mean(), two - two.mean()
    spread = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float((one * two).sum()) / spread if spread > _FLAT else 0.0


def _registered(query: np.ndarray, source: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """Scale and shift along both axes for which the source looks like the query."""
    for _ in range(_STEPS):
        seen, inside = _seen(source, warp)
        if inside.mean() < _LEAST_OVERLAP:
            return warp
        gain = seen[inside].std() / max(float(query[inside].std()), _FLAT)
        target = (query - query[inside].mean()) * gain + seen[inside].mean()
        down, right = np.gradient(seen, 2 / SIDE)
        down, right = down / warp[0], right / warp[2]
        parts = (down * _AXIS[:, None], down, right * _AXIS, right)
        slopes = np.stack([part[inside] for part in parts], axis=1)
        normal = slopes.T @ slopes + 1e-3 * np.eye(4)
        step = np.linalg.solve(normal, slopes.T @ (target - seen)[inside])
        warp = np.clip(warp + np.clip(step, -0.05, 0.05), [0.3, -2, 0.3, -2], [3, 2, 3, 2])
    return warp


def _seen(source: np.ndarray, warp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the source shows where the query's pixels lie, and which of these lie inside it."""
    down, right = warp[0] * _AXIS + warp[1], warp[2] * _AXIS + warp[3]
    inside = (np.abs(down) <= 1)[:, None] & (np.abs(right) <= 1)[None]
    return _between(down) @ source @ _between(right).T, inside


def _between(positions: np.ndarray) -> np.ndarray:
    """Weights of the pixels in a linear interpolation at positions along one axis."""
    pixels = np.clip((positions + 1) * SIDE / 2 - 0.5, 0, SIDE - 1)
    return np.maximum(0, 1 - np.abs(pixels[:, None] - np.arange(SIDE)))


def _detail(image: np.ndarray) -> np.ndarray:
    """The image less its blur."""
    return image - gaussian_filter(image, SIDE / 24)
