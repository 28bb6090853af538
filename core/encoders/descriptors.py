"""Local descriptors: patch features through a head of their own, as int8 unit vectors."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from core.config import HeadConfig
from core.heads.head import Head
from core.heads.rows import unit_rows
from core.values import (
    Descriptors,
)

SCALE = 127


def quantize(patches: Float[np.ndarray, "n p l"]) -> Descriptors:
    """Descriptors of unit length scaled by 127 and rounded; patches of zeros stay.

    Raises:
        ValueError: if a value is not finite.
    """
    if not np.isfinite(patches).all():
        raise ValueError("patches must be finite")
    return np.rint(SCALE * unit_rows(patches)).astype(np.int8)


PATCH_HEAD = HeadConfig(kind="whiten", k=24, shrinkage=0.03)
"""How the head of local descriptors is fitted where an encoder brings none."""


def describe_patches(patches: Float[np.ndarray, "b p c"], head: Head) -> Descriptors:
    """Local descriptors of patch features: through the patch head, to unit length, to int8."""
    flat = head(patches.reshape(-1, patches.shape[-1]), role="gallery")
    return quantize(flat.reshape(*patches.shape[:2], -1))
