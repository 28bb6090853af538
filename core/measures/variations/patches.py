"""New images from the patches of one image or of several, coarse to fine, without training.

After Granot, Feinstein, Shocher, Bagon and Irani, "Drop the GAN: In Defense of Patches Nearest
Neighbors as Single Image Generative Models" (CVPR 2022): at every scale each patch of the guess is
replaced by its nearest patch of the sources under a score that is low for patches not used yet,
so that the result is both coherent (only source patches) and complete (all of them). For speed,
and unlike the paper, patches are compared in their leading principal components, and the finest
scale, twice as fine as the one before it, reuses that one's matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.values import Progress, no_progress

PATCH = 7
"""Side of a patch in pixels."""
RATIO = 0.75
"""Size of a scale over the next finer one."""
COMPONENTS = 24
"""Principal components in which patches are compared."""
_BLOCK = 2048


@dataclass(frozen=True)
class Recipe:
    """How far a synthesis may go from its start."""

    coarsest: int = 24
    """Longer side of the sources at the coarsest scale, pixels; smaller moves larger parts."""
    noise: float = 0.75
    """Deviation of the noise on the start, in pixels of [-1, 1]."""
    completeness: float = 0.005
    """alpha of the score; smaller asks harder that every source patch is used."""
    steps: int = 5
    """Replacements at the coarsest scale; one fewer at each finer one, at least one."""


def synthesise(
    sources: Sequence[np.ndarray],
    start: np.ndarray,
    *,
    recipe: Recipe,
    seed: int,
    progress: Progress = no_progress,
) -> np.ndarray:
    """An image made of the sources' patches, laid out as the start suggests.

    Args:
        sources: [h, w, 3] sRGB bytes each, of one size with even sides.
        start: [h2, w2, 3] bytes, even sides too; gives the size of the result and its layout.
        recipe: Scales, noise and score.
        seed: Seed of the noise.
        progress: Called after every scale; may raise ``Cancelled``.

    Raises:
        ValueError: When there is no source, or a side is odd or too small.
    """
    sides = [side for one in (*sources, start) for side in one.shape[:2]]
    if not sources or min(sides) <= 2 * PATCH or any(side % 2 for side in sides):
        raise ValueError(f"sources and start need even sides over {2 * PATCH}, got {sides}")
    whole, layout = [_signed(one) for one in sources], _halved(_signed(start))
    real = [_halved(one) for one in whole]
    generator = torch.Generator().manual_seed(seed)
    guess, coarser, best = layout, real, torch.empty(0)
    scales = _scales(max(real[0].shape[1:]), recipe.coarsest)
    for level, scale in enumerate(scales):
        progress(level, len(scales), "laying patches")
        size = _sized(layout, scale)
        values = [_resized(one, _sized(one, scale)) for one in real]
        keys = [_resized(a, (b.shape[1], b.shape[2])) for a, b in zip(coarser, values, strict=True)]
        if level == 0:
            keys, guess = values, _resized(layout, size)
            guess = guess + recipe.noise * torch.randn(guess.shape, generator=generator)
        guess = _resized(guess, size)
        for step in range(max(1, recipe.steps - level)):
            known = keys if step == 0 else values
            best = matches(guess, known, completeness=recipe.completeness)
            guess = pasted(values, best, size)
        coarser = values
    height, width = layout.shape[1:]
    fine = pasted(whole, best, (2 * height, 2 * width), zoom=2)
    pixels = ((fine.permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255)
    return pixels.to(torch.uint8).numpy()


def matches(guess: Tensor, keys: Sequence[Tensor], *, completeness: float) -> Tensor:
    """The best of all keys' patches for every patch of the guess [3, h, w], as one row of numbers.

    Args:
        guess: The image so far.
        keys: Images [3, h2, w2] whose patches are searched; numbered through, image by image.
        completeness: alpha of the score.
    """
    known = torch.cat([patches(one) for one in keys])
    axes = torch.linalg.eigh(torch.cov(known.T))[1][:, -COMPONENTS:]
    return nearest(patches(guess) @ axes, known @ axes, completeness=completeness)


def pasted(
    values: Sequence[Tensor], best: Tensor, size: tuple[int, int], *, zoom: int = 1
) -> Tensor:
    """An image [3, h, w] of the chosen patches; a pixel is the mean of all that cover it.

    Args:
        values: Images that the patches are cut from.
        best: Number of the patch for every place of the result.
        size: Height and width of the result.
        zoom: How much finer values and result are than the images that were matched.
    """
    paint = torch.cat([patches(one, zoom=zoom) for one in values])
    chosen = paint[best].T[None]
    total, count = (
        functional.fold(one, size, zoom * PATCH, stride=zoom)
        for one in (chosen, torch.ones_like(chosen))
    )
    return (total / count)[0]


def nearest(queries: Tensor, keys: Tensor, *, completeness: float) -> Tensor:
    """Row of the best key for each query: [q] from queries [q, d] and keys [m, d].

    The score of a key is its squared distance over ``completeness`` plus the distance of the query
    nearest to it (Granot et al. 2022, equation 2, after Simakov et al. 2008).
    """
    scale = PATCH * PATCH * 3
    least = torch.cat([_distances(block, queries).amin(1) for block in keys.split(_BLOCK)])  # (m,)
    weight = 1 / (completeness + least / scale)
    return torch.cat(
        [(_distances(block, keys) * weight).argmin(1) for block in queries.split(_BLOCK)]
    )


def patches(image: Tensor, *, zoom: int = 1) -> Tensor:
    """Patches of an image [3, h, w] at every ``zoom``-th place: [p, 3 * (zoom * PATCH)**2]."""
    return functional.unfold(image[None], zoom * PATCH, stride=zoom)[0].T


def _halved(image: Tensor) -> Tensor:
    return _resized(image, (image.shape[1] // 2, image.shape[2] // 2))


def _distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances [a, b] of rows."""
    squares = a.square().sum(1)[:, None] + b.square().sum(1)[None, :]
    return torch.addmm(squares, a, b.T, alpha=-2).clamp_(min=0)


def _scales(side: int, coarsest: int) -> list[float]:
    count = max(0, int(np.ceil(np.log(coarsest / side) / np.log(RATIO))))
    return [RATIO**k for k in range(count, -1, -1)]


def _sized(image: Tensor, scale: float) -> tuple[int, int]:
    height, width = (max(PATCH + 1, round(length * scale)) for length in image.shape[1:])
    return height, width


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(image.shape[1:]) == size:
        return image
    return functional.interpolate(
        image[None], size, mode="bicubic", antialias=True, align_corners=False
    )[0]


def _signed(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 127.5 - 1
