"""A gallery's edges: what is scored beside an encoder's embedding.

Edges stay when an image is recoloured, inverted, darkened or redrawn, which changes what networks
see. They are the features of a baseline, stored like an encoder's, and shared by all networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from PIL import Image

from core.config import HeadConfig, ScoreConfig
from core.encoders.baselines import BASELINES, EDGE_GRID
from core.encoders.network import NetworkEncoder
from core.gallery.gallery import Embedded, Gallery
from core.heads.head import Head
from core.search.index import hubness
from core.values import Encoder

EDGES: Encoder = BASELINES["edges"]()
"""Describes an image by its edges."""

HEAD = HeadConfig(kind="center")
"""How edges become unit vectors: less the gallery's mean."""


@dataclass(frozen=True)
class Edges:
    """The edges of a gallery's images, aligned with their embeddings."""

    head: Head
    embedded: Embedded

    def of(self, image: Image.Image) -> Float[np.ndarray, " e"]:
        """The unit vector of an image's edges."""
        return self.head(EDGES.encode([image]).features, role="query")[0]


def with_edges(encoders: Sequence[Encoder]) -> list[Encoder]:
    """The encoders that a gallery needs for these: that of edges too where one is a network."""
    known = {encoder.identity for encoder in encoders}
    networks = any(isinstance(encoder, NetworkEncoder) for encoder in encoders)
    return [*encoders, *([EDGES] if networks and EDGES.identity not in known else [])]


def embed(
    features: Float[np.ndarray, "n e"], head: Head, *, groups: Integer[np.ndarray, " n"]
) -> Embedded:
    """The edges of images as they are ranked; every group counts once in the hubness."""
    vectors = head(features, role="gallery")
    return Embedded(vectors, hubness(vectors, groups, k=ScoreConfig().neighbours), groups)


def edges_beside(
    gallery: Gallery, encoder: Encoder, *, groups: Integer[np.ndarray, " n"]
) -> Edges | None:
    """The gallery's edges, where it has any and the encoder has space; computed once.

    Baselines are scored without: they are what others are compared with. A single image has
    nothing to be centred by.

    Args:
        gallery: the gallery.
        encoder: whose embedding they are scored beside.
        groups: near-duplicate group of every image; each counts once in the hubness.
    """
    stored = gallery.key_of(EDGES) in gallery.encoder_keys
    if not stored or len(gallery) < 2 or gallery.patch_head(encoder) is None:
        return None
    head = gallery.fit(EDGES, config=HEAD)

    def compute() -> Embedded:
        return embed(gallery.features(EDGES), head, groups=groups)

    name = f"beside-{hashlib.sha256(np.ascontiguousarray(groups).tobytes()).hexdigest()[:16]}"
    return Edges(head, gallery.derived(EDGES, head, name, Embedded, compute=compute))


def edge_parts(
    query: Float[np.ndarray, " e"], source: Float[np.ndarray, " e"]
) -> Float[np.ndarray, " p"]:
    """The cosine of two images' edges split over the cells of their grid."""
    return (query * source).reshape(EDGE_GRID.size, -1).sum(axis=1)
