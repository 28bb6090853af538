"""Unit rows agree with scikit-learn's, in every precision and shape."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import normalize

from core.heads.rows import unit_rows


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rows_are_those_of_scikit_learn(kind):
    rows = np.random.default_rng(0).standard_normal((7, 5)).astype(kind)
    rows[3] = 0
    found = unit_rows(rows)
    assert found.dtype == kind
    np.testing.assert_allclose(found, normalize(rows), rtol=1e-6)
    assert not found[3].any()


def test_one_vector_and_stacks_of_rows_are_taken_in_another_precision():
    stack = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float16)
    found = unit_rows(stack, dtype=np.float64)
    assert found.dtype == np.float64
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1)
    np.testing.assert_array_equal(unit_rows(stack[1, 2], dtype=np.float64), found[1, 2])
