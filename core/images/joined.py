"""Rows of several arrays as those of one, read when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Int8, Integer


class JoinedRows:
    """Some rows of arrays of one width, one array after another.

    The arrays may be memory-mapped and larger than the memory: what is indexed is read, and
    :func:`numpy.asarray` reads all.
    """

    def __init__(
        self, arrays: Sequence[np.ndarray], rows: Sequence[Integer[np.ndarray, " _r"]]
    ) -> None:
        """Take the arrays and which of their rows are there.

        Raises:
            ValueError: when there is no array, or their rows are of different shapes.
        """
        shapes = {array.shape[1:] for array in arrays}
        if len(shapes) != 1:
            raise ValueError(f"rows are of the shapes {shapes}")
        self._arrays, self._rows = tuple(arrays), tuple(rows)
        self._ends = np.cumsum([len(each) for each in rows])
        self.shape = (int(self._ends[-1]), *shapes.pop())
        self.dtype = np.result_type(*arrays)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """What an array gives: a row, some in any order or by a mask, and columns of them."""
        rows, *columns = key if isinstance(key, tuple) else (key,)
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        asked = np.asarray(rows)
        if asked.dtype == bool and asked.shape == (len(self),):
            asked = np.flatnonzero(asked)
        if asked.size and asked.dtype.kind not in "iu":
            raise IndexError(f"rows are asked for by their numbers or a mask of {len(self)}")
        found = self._read(asked.reshape(-1)).reshape(*asked.shape, *self.shape[1:])
        return found[(*[slice(None)] * asked.ndim, *columns)] if columns else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All rows in memory."""
        del copy  # they always are one
        return np.asarray(self._read(np.arange(len(self))), dtype)

    def take(self, rows: Integer[np.ndarray, " m"]) -> JoinedRows:
        """Some of the rows, in ascending order; nothing is read."""
        starts = np.append(0, self._ends[:-1])
        places = zip(starts, self._ends, self._rows, strict=True)
        kept = [own[rows[(rows >= a) & (rows < b)] - a] for a, b, own in places]
        return JoinedRows(self._arrays, kept)

    def _read(self, asked: Integer[np.ndarray, " m"]) -> np.ndarray:
        n = len(self)
        if len(asked) and not (-n <= asked.min() and asked.max() < n):
            raise IndexError(f"there are {n} rows")
        asked = np.where(asked < 0, asked + n, asked).astype(np.int64)
        found = np.empty((len(asked), *self.shape[1:]), self.dtype)
        places, start = np.searchsorted(self._ends, asked, side="right"), 0
        for part, (array, rows) in enumerate(zip(self._arrays, self._rows, strict=True)):
            here = places == part
            found[here] = array[rows[asked[here] - start]]
            start = self._ends[part]
        return found


ManyRows: TypeAlias = np.ndarray | JoinedRows
"""One row an image: an array, or what is put together from several."""

ManyDescriptors: TypeAlias = Int8[ManyRows, "n p l"]
"""Local descriptors of many images, as :data:`core.values.Descriptors`."""
