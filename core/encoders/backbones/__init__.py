"""Networks read at several stages: architectures, their files, published checkpoints."""

from core.encoders.backbones.folding import folded
from core.encoders.backbones.network import (
    Backbone,
    BackboneConfig,
    StageMaps,
    build,
)
from core.encoders.backbones.storage import load_backbone, save_backbone, weights_hash

__all__ = [
    "Backbone",
    "BackboneConfig",
    "StageMaps",
    "build",
    "folded",
    "load_backbone",
    "save_backbone",
    "weights_hash",
]
