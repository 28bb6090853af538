"""Checkpoints as their authors published them: read safely, renamed to our networks' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.encoders.backbones.network import (
    Backbone,
    BackboneConfig,
    assemble,
    skeleton,
)
from core.encoders.backbones.storage import read_safetensors
from core.values import EncoderError


@dataclass(frozen=True)
class Layout:
    """How a checkpoint names the tensors of the network that we want."""

    key: str = ""
    """Entry that holds the tensors; empty where they are the file itself."""
    prefix: str = ""
    """Start of the wanted names; it is cut off, and other names are left out."""
    drop: tuple[str, ...] = ()
    """Starts of names, after the prefix, of the projector or classifier that is left out."""


PLAIN = Layout()
"""A file of nothing but the network's tensors."""


def load_checkpoint(path: Path, *, config: BackboneConfig, layout: Layout) -> Backbone:
    """A backbone with the weights of a published checkpoint, strictly: no tensor lacks or remains.

    Position embeddings of another input size are resampled as timm does (bicubic, antialiased).

    Raises:
        EncoderError: when the file cannot be read without running code, is of another layout, or
            does not fit the architecture.
    """
    from timm.models.vision_transformer import (  # noqa: PLC0415 - timm takes seconds
        VisionTransformer,
        checkpoint_filter_fn,
    )

    state = _wanted(_read(path), layout=layout, source=path.name)
    network = skeleton(config)
    if isinstance(network, VisionTransformer):
        state = checkpoint_filter_fn(state, network)
        state = {name: tensor for name, tensor in state.items() if not name.startswith("head.")}
    return assemble(config, state, source=path.name)


def _wanted(raw: Any, *, layout: Layout, source: str) -> dict[str, Tensor]:
    held = raw.get(layout.key) if layout.key and isinstance(raw, Mapping) else raw
    if not isinstance(held, Mapping):
        raise EncoderError(f"{source} has no entry {layout.key!r} with weights")
    wanted = {
        name.removeprefix(layout.prefix): tensor
        for name, tensor in held.items()
        if isinstance(name, str) and isinstance(tensor, Tensor) and name.startswith(layout.prefix)
    }
    if not wanted:
        raise EncoderError(f"{source} has no weights whose names start with {layout.prefix!r}")
    return {name: tensor for name, tensor in wanted.items() if not name.startswith(layout.drop)}


def _read(path: Path) -> Any:
    if not path.is_file():
        raise EncoderError(f"there is no file {path.name}")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything; none of its code runs
        raise EncoderError(
            f"{path.name} is damaged or holds more than weights; it was not loaded"
        ) from error
