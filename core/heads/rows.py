"""Arithmetic on rows that every later stage shares."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import DTypeLike


def unit_rows(
    rows: Float[np.ndarray, "... d"], *, dtype: DTypeLike | None = None
) -> Float[np.ndarray, "... d"]:
    """Rows at unit length; a row of zeros has no direction and stays zero.

    Args:
        rows: vectors along the last axis.
        dtype: precision of the result; that of the rows by default.
    """
    wide = np.asarray(rows, dtype)
    norms = np.linalg.norm(wide, axis=-1, keepdims=True)
    return wide / np.where(norms > 0, norms, 1)
