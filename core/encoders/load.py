"""An encoder by its name, and the heads that it brings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.encoders import backbones
from core.encoders.backbones.registry import BUNDLED
from core.encoders.baselines import BASELINES
from core.encoders.network import NetworkEncoder
from core.heads.head import Head
from core.values import Encoder


@dataclass(frozen=True)
class ShippedHeads:
    """Heads that lie beside an encoder's weights."""

    embedding: Head | None = None
    patches: Head | None = None


def shipped_heads(name: str) -> ShippedHeads:
    """The heads that an encoder brings, in ``head`` and ``patch_head`` of its folder.

    Raises:
        GalleryError: when one is there but damaged.
    """
    bundled = BUNDLED / name
    folder = bundled if bundled.is_dir() else Path(name)
    places = {"embedding": folder / "head", "patches": folder / "patch_head"}
    return ShippedHeads(**{k: Head.load(path) for k, path in places.items() if path.is_dir()})


def load_encoder(
    name: str, *, device: str = "cpu", cache: str | os.PathLike[str] | None = None
) -> Encoder:
    """The encoder of a name: a baseline, a network of the registry, or a folder of our training.

    Raises:
        EncoderError: when the name is unknown or the weights cannot be fetched or trusted.
    """
    if name in BASELINES:
        return BASELINES[name]()
    backbone = backbones.load(name, cache=cache, others=tuple(BASELINES))
    return NetworkEncoder(name, backbone, device=device)
