"""Stored arrays, of which some are narrowed to 8 bits per value beside the range of each column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from core.images.arrays import read_array, save_array
from core.values import GalleryError


def load_array(path: Path) -> Shaped[np.ndarray, "*_"]:
    """A stored array, memory-mapped; one narrowed to 8 bits is widened to float16.

    Raises:
        GalleryError: when the file is missing or damaged.
    """
    try:
        array = read_array(path)
        if not array.ndim:
            raise ValueError("it is a single number")
        if array.dtype != np.uint8:
            return array
        low, step = read_array(range_file(path))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found later
            return (low + step * array).astype(np.float16)
    except ValueError as error:
        raise GalleryError(f"{path.name} is missing or damaged; build the gallery again") from error


def range_file(path: Path) -> Path:
    """Where the range of every column of an array lies that is narrowed to 8 bits."""
    return path.with_name(f"{path.stem}-range.npy")


def narrow_array(path: Path) -> None:
    """Replace a stored array (n, f) by 8 bits per value: 255 steps over each column's own range."""
    array = np.asarray(load_array(path), np.float32)
    low = array.min(axis=0)
    step = (array.max(axis=0) - low) / 255
    codes = np.rint((array - low) / np.where(step > 0, step, 1)).astype(np.uint8)
    save_array(range_file(path), np.stack([low, step]))
    save_array(path, codes)
