"""Rows of several arrays are those of one that holds them all, however they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from core.images.joined import JoinedRows

ARRAYS = [np.arange(24).reshape(6, 2, 2), np.arange(100, 104).reshape(1, 2, 2), np.zeros((0, 2, 2))]
KEPT = [np.array([0, 2, 5]), np.array([0]), np.array([], int)]


def joined() -> tuple[JoinedRows, np.ndarray]:
    arrays = [array.astype(np.int16) for array in ARRAYS]
    whole = np.concatenate([array[rows] for array, rows in zip(arrays, KEPT, strict=True)])
    return JoinedRows(arrays, KEPT), whole


@given(some.basic_indices((4, 2, 2)) | some.integer_array_indices((4,)) | some.arrays(bool, 4))
def test_what_is_asked_is_what_one_array_gives(key):
    rows, whole = joined()
    if isinstance(key, tuple) and (not key or {*map(type, key)} & {type(...), type(None)}):
        return
    if key is ... or key is None:
        return
    np.testing.assert_array_equal(rows[key], whole[key])
    assert rows[key].dtype == whole.dtype


def test_it_is_as_long_and_wide_as_one_array():
    rows, whole = joined()
    assert (rows.shape, len(rows), rows.dtype) == (whole.shape, len(whole), whole.dtype)
    np.testing.assert_array_equal(np.asarray(rows), whole)
    np.testing.assert_array_equal(np.asarray(rows, np.float32), whole.astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([rows, whole]), np.concatenate([whole, whole]))


@given(st.sets(st.integers(0, 3)))
def test_some_of_the_rows_are_taken_without_reading_any(chosen):
    rows, whole = joined()
    some_rows = np.array(sorted(chosen), int)
    np.testing.assert_array_equal(np.asarray(rows.take(some_rows)), whole[some_rows])


def test_no_more_is_read_than_is_asked_for(tmp_path):
    """A million features were read to look at fifty."""
    read = list[np.ndarray]()

    class Watched(np.memmap):
        def __getitem__(self, key):
            read.append(np.asarray(key))
            return super().__getitem__(key)

    array = Watched(tmp_path / "a", np.float16, "w+", shape=(1_000, 3))
    rows = JoinedRows([array, array], [np.arange(1, 1_000), np.arange(2)])
    read.clear()
    assert rows[np.array([3, 999])].shape == (2, 3)
    assert sum(map(len, read)) == 2


def test_rows_that_are_not_there_and_shapes_that_differ_are_refused():
    rows, _ = joined()
    for key in (4, -5, [0, 9]):
        with pytest.raises(IndexError, match="there are 4 rows"):
            rows[key]
    with pytest.raises(ValueError, match="shapes"):
        JoinedRows([np.zeros((2, 3)), np.zeros((2, 4))], [np.arange(2)] * 2)
