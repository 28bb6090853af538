"""A descriptor of edges alone: histograms of gradient orientations on a grid of cells.

After Dalal and Triggs (CVPR 2005), of unsigned orientations, so that an edge counts alike whatever
is the lighter side: what stays when an edit recolours, inverts, darkens or redraws an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from core.images import load_image

SIDE, CELLS, ORIENTATIONS = 96, 8, 8

_FLOOR = 0.1  # of the mean, added to a cell's norm: flat cells stay small


def histograms(image: Image.Image) -> Float[np.ndarray, "cells cells orientations"]:
    """Summed gradient magnitudes by cell and orientation, each shared by the two nearest ones."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    values = np.pad(np.asarray(grey, np.float32), 1, mode="edge")
    across = values[1:-1, 2:] - values[1:-1, :-2]
    down = values[2:, 1:-1] - values[:-2, 1:-1]
    magnitude = np.hypot(across, down)
    place = np.arctan2(down, across) % np.pi / np.pi * ORIENTATIONS
    low, share = np.floor(place).astype(int) % ORIENTATIONS, place - np.floor(place)
    rows, columns = np.mgrid[:SIDE, :SIDE] * CELLS // SIDE
    found = np.zeros((CELLS, CELLS, ORIENTATIONS), np.float32)
    np.add.at(found, (rows, columns, low), magnitude * (1 - share))
    np.add.at(found, (rows, columns, (low + 1) % ORIENTATIONS), magnitude * share)
    return found


def described(paths: Sequence[Path], *, workers: int = 2) -> Float[np.ndarray, "n d"]:
    """The histograms of image files, their roots normalised by cell, flattened."""
    with ProcessPoolExecutor(workers) as pool:
        found = np.sqrt(np.stack(list(pool.map(_of_file, paths, chunksize=64))))
    norms = np.linalg.norm(found, axis=-1, keepdims=True) + _FLOOR * found.mean()
    return (found / norms).reshape(len(paths), -1)


def _of_file(path: Path) -> np.ndarray:
    return histograms(load_image(path, fit=SIDE).image)
