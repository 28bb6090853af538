"""Removes the noise of a path tracer from a few independent passes, by non-local means.

After Rousselle, Knaus and Zwicker, "Adaptive Rendering with Non-Local Means Filtering" (2012): each
half of the passes is filtered with weights found in the other half, and patches are compared
relative to the noise that the passes show.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

REACH = 4
"""Radius of the search window in pixels."""
PATCH = 5
"""Side of the patches compared, in pixels."""
TOLERANCE = 0.65
"""Noise deviations that count as alike; larger blurs more."""


def denoise(passes: np.ndarray) -> np.ndarray:
    """One clean image [h, w, 3] of passes [k, h, w, 3] with independent noise; k is even."""
    halves = passes[0::2].mean(axis=0), passes[1::2].mean(axis=0)
    spread = passes.var(axis=0, ddof=1) / (len(passes) / 2)
    variance = uniform_filter(spread, 3, axes=(0, 1))
    first, second = halves
    return (filtered(first, second, variance) + filtered(second, first, variance)) / 2


def filtered(image: np.ndarray, guide: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Weighted mean of each pixel's surroundings.

    Args:
        image: [h, w, 3], averaged.
        guide: [h, w, 3], with independent noise; decides the weights.
        variance: [h, w, 3], noise of either.
    """
    height, width = image.shape[:2]
    padded = [_pad(array) for array in (image, guide, variance)]
    total, mass = np.zeros_like(image), np.zeros((height, width, 1), image.dtype)
    for i in range(2 * REACH + 1):
        for j in range(2 * REACH + 1):
            here = np.s_[i : i + height, j : j + width]
            near, other, noise = (array[here] for array in padded)
            weight = _weight(guide - other, variance, noise)
            total += weight * near
            mass += weight
    return total / mass


def _pad(array: np.ndarray) -> np.ndarray:
    return np.pad(array, ((REACH, REACH), (REACH, REACH), (0, 0)), mode="reflect")


def _weight(difference: np.ndarray, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """How alike two patches are, given the variance of both: [h, w, 1] in (0, 1]."""
    excess = difference**2 - (here + np.minimum(here, there))
    distance = (excess / (1e-5 + TOLERANCE**2 * (here + there))).mean(axis=2)
    return np.exp(-np.maximum(uniform_filter(distance, PATCH), 0))[..., None]
