"""Stored arrays, of which some are narrowed to 8 bits per value beside the range of each column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from core.images.arrays import read_array, save_array, save_rows
from core.images.files import new_file
from core.values import GalleryError, Progress, no_progress

_BLOCK = 4_096  # rows that are in memory at once


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


def narrow_array(path: Path, *, progress: Progress = no_progress) -> None:
    """Replace a stored array (n, f) by 8 bits per value: 255 steps over each column's own range.

    Args:
        path: the array.
        progress: told of rows narrowed; may raise ``Cancelled``.
    """
    array = load_array(path)
    starts = range(0, len(array), _BLOCK)

    def blocks(what: str) -> Iterator[Float32[np.ndarray, "b f"]]:
        for start in starts:
            progress(start, len(array), what)
            yield np.asarray(array[start : start + _BLOCK], np.float32)

    ends = [np.stack([b.min(0), b.max(0)]) for b in blocks("looking for the range of features")]
    low, high = np.min(ends, axis=(0, 1)), np.max(ends, axis=(0, 1))
    step = (high - low) / 255
    steps = np.where(step > 0, step, 1)
    save_array(range_file(path), np.stack([low, step]))
    codes = (np.rint((block - low) / steps) for block in blocks("narrowing features"))
    with new_file(path) as partial:
        save_rows(partial, codes, shape=array.shape, dtype=np.dtype(np.uint8))
