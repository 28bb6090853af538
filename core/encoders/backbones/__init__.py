"""Registry and loading of MoCo and DINO networks: bundled, of the hub, of upstream, our own."""

from core.encoders.backbones.network import (
    Backbone,
    BackboneConfig,
    StageMaps,
    build,
)
from core.encoders.backbones.registry import (
    BackboneSpec,
    load,
    spec,
    specs,
)
from core.encoders.backbones.storage import load_backbone, save_backbone, weights_hash

__all__ = [
    "Backbone",
    "BackboneConfig",
    "BackboneSpec",
    "StageMaps",
    "build",
    "load",
    "load_backbone",
    "save_backbone",
    "spec",
    "specs",
    "weights_hash",
]
