"""Whether two images show the same pixels, once one is registered inside the other.

Registration is that of Lucas and Kanade (1981) with a scale and a shift for either axis, from
coarse to fine; many pairs of images are registered at once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter1d

from core.search.placement import Placements

SIDE = 48
"""Side of the grey images that are registered, pixels."""

_BLURS = (3.0, 1.5, 0.75)  # of the registration, coarse to fine; pixels
_STEPS = 4  # of the registration at every blur
_LEAST_OVERLAP = 0.3  # share of the smaller image inside the other, while it is being registered
_FLAT = 1e-3  # variation that is none

_AXIS = ((2 * np.arange(SIDE) + 1) / SIDE - 1).astype(np.float32)  # of the pixels
_LEAST, _MOST = np.array([[0.3, -2, 0.3, -2], [3, 2, 3, 2]], np.float32)  # of a warp
_PIXELS = np.arange(SIDE, dtype=np.float32)

GreyImages = UInt8[np.ndarray, "m 48 48"]


def grey(image: Image.Image) -> UInt8[np.ndarray, "48 48"]:
    """An image as what is registered: squeezed and grey."""
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small.filter(ImageFilter.GaussianBlur(0.7)))


@dataclass(frozen=True)
class Registrations:
    """How sources' positions follow from queries', by pixels; both in [-1, 1], as in placements."""

    scale: Float[np.ndarray, "m 2"]
    """Down and right."""
    shift: Float[np.ndarray, "m 2"]
    agreement: Float[np.ndarray, " m"]
    """Correlation of the fine detail of what both show; fine detail is what a blur takes away. 0
    where too little of the smaller image lies in the other, or is like it."""


def register(
    queries: GreyImages,
    sources: GreyImages,
    places: Placements,
    *,
    overlap: float,
    likeness: float,
) -> Registrations:
    """Pairs of images, the one registered inside the other from where it was placed.

    Args:
        queries: the ones.
        sources: the others.
        places: how these follow from those, roughly.
        overlap: share of the smaller image that must lie inside the other.
        likeness: correlation of the blurred images below which their detail is not compared.
    """
    one = np.where(places.mirrored[:, None, None], queries[:, :, ::-1], queries)
    one, two = (images.astype(np.float32) / 255 for images in (one, sources))
    found, left = np.zeros(len(queries)), np.arange(len(queries))
    scale, (down, right) = places.scale, places.shift.T
    warps = np.stack([scale, down, scale, right], axis=1).astype(np.float32)
    for blur in _BLURS:
        first, second = _blurred(one[left], blur), _blurred(two[left], blur)
        warps[left] = warp = _registered(first, second, warps[left])
        seen, inside = _seen(second, warp)
        share = inside.mean(axis=(1, 2)) * np.maximum(1, warp[:, 0] * warp[:, 2])
        left = left[(share >= overlap) & (_correlations(first, seen, inside) >= likeness)]
    if len(left):
        seen, inside = _seen(two[left], warps[left])
        shown = np.where(inside, seen, one[left])
        found[left] = _correlations(_detail(one[left]), _detail(shown), inside)
    return Registrations(warps[:, [0, 2]], warps[:, [1, 3]], found)


def _correlations(one: np.ndarray, two: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Pearson's correlation of what lies inside, of every pair; 0 for what does not vary."""
    one, two = (_centred(values, inside)[0] for values in (one, two))
    spread = np.sqrt(np.einsum("mij,mij->m", one, one) * np.einsum("mij,mij->m", two, two))
    products = np.einsum("mij,mij->m", one, two)
    return np.where(spread > _FLAT, products / np.maximum(spread, _FLAT), 0.0)


def _centred(values: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values less their mean inside, zeros outside, and the means."""
    counts = np.maximum(inside.sum(axis=(1, 2)), 1)
    means = np.einsum("mij,mij->m", values, inside) / counts
    return (values - means[:, None, None]) * inside, means


def _registered(queries: np.ndarray, sources: np.ndarray, warp: np.ndarray) -> np.ndarray:
    """Scale and shift along both axes for which every source looks like its query."""
    for _ in range(_STEPS):
        seen, inside = _seen(sources, warp)
        weights = inside.astype(np.float32)
        asked, _ = _centred(queries, weights)
        shown, _ = _centred(seen, weights)
        counts = np.maximum(weights.sum(axis=(1, 2)), 1)
        asked_spread, shown_spread = (
            np.sqrt(np.einsum("mij,mij->m", each, each) / counts) for each in (asked, shown)
        )
        gain = shown_spread / np.maximum(asked_spread, _FLAT)
        missing = asked * gain[:, None, None] - shown
        down, right = np.gradient(seen, 2 / SIDE, axis=(1, 2))
        down = down / warp[:, 0, None, None] * weights
        right = right / warp[:, 2, None, None] * weights
        parts = (down * _AXIS[:, None], down, right * _AXIS, right)
        slopes = np.stack(parts, axis=1).reshape(len(warp), 4, SIDE**2)
        normal = slopes @ slopes.transpose(0, 2, 1) + 1e-3 * np.eye(4, dtype=np.float32)
        wanted = slopes @ missing.reshape(len(warp), SIDE**2, 1)
        step = np.clip(np.linalg.solve(normal, wanted)[:, :, 0], -0.05, 0.05)
        enough = inside.mean(axis=(1, 2)) >= _LEAST_OVERLAP
        moved = np.clip(warp + step, _LEAST, _MOST)
        warp = np.where(enough[:, None], moved, warp)
    return warp


def _seen(sources: np.ndarray, warp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What sources show where their queries' pixels lie, and which of these lie inside them."""
    down, right = warp[:, :1] * _AXIS + warp[:, 1:2], warp[:, 2:3] * _AXIS + warp[:, 3:4]
    inside = (np.abs(down) <= 1)[:, :, None] & (np.abs(right) <= 1)[:, None]
    return _between(down) @ sources @ _between(right).transpose(0, 2, 1), inside


def _between(positions: np.ndarray) -> np.ndarray:
    """Weights of the pixels in a linear interpolation at positions along one axis."""
    pixels = np.clip((positions + 1) * SIDE / 2 - 0.5, 0, SIDE - 1)
    return np.maximum(0, 1 - np.abs(pixels[:, :, None] - _PIXELS))


@functools.cache
def _blur(sigma: float) -> np.ndarray:
    """The matrix of a Gaussian filter along one axis."""
    return gaussian_filter1d(np.eye(SIDE), sigma, axis=0).astype(np.float32)


def _blurred(images: np.ndarray, sigma: float) -> np.ndarray:
    return _blur(sigma) @ images @ _blur(sigma).T


def _detail(images: np.ndarray) -> np.ndarray:
    """The images less their blur."""
    return images - _blurred(images, SIDE / 24)
