"""A query as it travels: described once, then searched, judged, explained and reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int8
from PIL import Image

from core.encoders.network import Reading
from core.values import Role


@dataclass(frozen=True)
class Query:
    """What is known of a query under the views of one gallery."""

    vectors: tuple[Float[np.ndarray, " _d"], ...]
    """Unit vector in every view, in the order of the gallery's views."""
    patches: Int8[np.ndarray, "p l"] | None = None
    """Local descriptors; ``None`` for encoders without space."""
    role: Role = "query"
    """The side of the heads that made the vectors."""
    image: Image.Image | None = None
    """Its pixels: upright, RGB, at the scale of a gallery's images."""
    sha256: str = ""
    """Hash of its encoded bytes, where it came as bytes or a file."""
    reading: Reading | None = None
    """What the first view's encoder saw, from which heatmaps follow."""
    identical: int | None = None
    """Row of the gallery image that has the same bytes."""
    notes: tuple[str, ...] = ()
    """What was unusual about its file, each in a few words for people."""
    features: tuple[Float[np.ndarray, "1 _f"], ...] = ()
    """What every view's encoder gave, and what the vectors were made of, where it is an image."""

    @property
    def embedding(self) -> Float[np.ndarray, " d"]:
        """Unit vector in the first view."""
        return self.vectors[0]
