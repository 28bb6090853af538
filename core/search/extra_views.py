"""Views that every network is given: the edges of images, and their palette.

Edges stay when an image is recoloured, inverted, darkened or redrawn; a palette stays when what is
shown changes and the colours are kept, as where a style or an appearance is taken over. Networks
see neither by itself. They are the features of baselines, stored like an encoder's, and shared by
all networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.config import HeadConfig
from core.encoders.baselines import BASELINES
from core.encoders.network import NetworkEncoder
from core.values import Encoder

EXTRA_VIEWS: Mapping[str, Encoder] = {name: BASELINES[name]() for name in ("edges", "palette")}
"""What describes an image for them, by the name of the view."""

HEAD = HeadConfig(kind="center")
"""How these become unit vectors: less the gallery's mean."""


def with_extra_views(encoders: Sequence[Encoder]) -> list[Encoder]:
    """The encoders that a gallery needs for these: the views' too where one is a network."""
    known = {encoder.identity for encoder in encoders}
    networks = any(isinstance(encoder, NetworkEncoder) for encoder in encoders)
    more = [encoder for encoder in EXTRA_VIEWS.values() if encoder.identity not in known]
    return [*encoders, *(more if networks else [])]
