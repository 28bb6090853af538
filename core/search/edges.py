"""The edges of images, a view beside an encoder's own.

Edges stay when an image is recoloured, inverted, darkened or redrawn, which changes what networks
see. They are the features of a baseline, stored like an encoder's, and shared by all networks.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.config import HeadConfig
from core.encoders.baselines import BASELINES
from core.encoders.network import NetworkEncoder
from core.values import Encoder

EDGES: Encoder = BASELINES["edges"]()
"""Describes an image by its edges."""

HEAD = HeadConfig(kind="center")
"""How edges become unit vectors: less the gallery's mean."""


def with_edges(encoders: Sequence[Encoder]) -> list[Encoder]:
    """The encoders that a gallery needs for these: that of edges too where one is a network."""
    known = {encoder.identity for encoder in encoders}
    networks = any(isinstance(encoder, NetworkEncoder) for encoder in encoders)
    return [*encoders, *([EDGES] if networks and EDGES.identity not in known else [])]
