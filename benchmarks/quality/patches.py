"""Patch similarity at several scales as a baseline, on pixels and without any learning.

In the manner of NDA (Zhao et al. 2025, Nonparametric Data Attribution for Diffusion Models,
2510.14269), which compares patches of a generated image with those of training images because the
optimal score of a diffusion model with local receptive fields does. Our reading of its abstract:
not its code, and not its weights of scales. An image is brought to each scale; every patch of the
query looks for the nearest patch of an image, wherever it lies there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from benchmarks.quality.study import Study, digest
from core.config import BuildConfig
from core.encoders.baselines import Baseline
from core.images.decode import load_image

SCALES = {8: 1, 16: 2, 32: 4}
"""Sides of the image, pixels, and the step between patches there, pixels."""
SIDE = 5
"""Side of a patch, pixels."""

_KEY = Baseline("patches", 0, lambda _: np.empty(0, np.float32))  # what is kept is of this name


def scores(study: Study, asked: Sequence[Path]) -> Float[np.ndarray, "q n"]:
    """Scores of all candidates for images that are asked, computed once."""
    gallery = study.gallery_paths

    def compute() -> np.ndarray:
        found = np.zeros((len(asked), len(gallery)), np.float32)
        for scale in SCALES:
            candidates = np.stack([patches(image, scale) for image in _read(gallery)])
            for row, image in enumerate(_read(asked)):
                found[row] += similarity(patches(image, scale), candidates) / len(SCALES)
                study.progress(row + 1, len(asked), f"patches at {scale} pixels")
        return found

    return study.kept(_KEY, f"scores-{digest(*map(str, (*gallery, *asked)))}", compute)


def patches(image: Image.Image, scale: int) -> Float[np.ndarray, "p c"]:
    """The patches of an RGB image at a scale, values from 0 to 1."""
    small = np.asarray(image.resize((scale, scale), Image.Resampling.BOX), np.float32) / 255
    windows = np.lib.stride_tricks.sliding_window_view(small, (SIDE, SIDE), axis=(0, 1))
    step = SCALES[scale]
    return windows[::step, ::step].reshape(-1, 3 * SIDE * SIDE)


def similarity(
    query: Float[np.ndarray, "p c"], candidates: Float[np.ndarray, "n p2 c"]
) -> Float[np.ndarray, " n"]:
    """How near the nearest patches of every candidate are, minus the mean over the query's patches.

    A squared distance counts as a share of the mean one of its patch, so that a patch that nothing
    resembles and one that everything does count alike.
    """
    products = candidates @ query.T  # (n, p2, p)
    squares = (candidates**2).sum(-1)[:, :, None] - 2 * products
    nearest = np.maximum(squares.min(axis=1) + (query**2).sum(-1), 0)  # (n, p)
    return -(nearest / np.maximum(nearest.mean(axis=0), 1e-6)).mean(axis=1)


def _read(paths: Iterable[Path]) -> Iterable[Image.Image]:
    return (load_image(path, fit=BuildConfig().thumbnail).image for path in paths)
