"""Backbones on disk: ``cfg.json`` beside ``backbone.safetensors``, and the hash that names both."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from core.encoders.backbones.network import Backbone, BackboneConfig, assemble
from core.images.files import read_json, write_bytes
from core.values import EncoderError

CONFIG_FILE = "cfg.json"
WEIGHTS_FILE = "backbone.safetensors"


def save_backbone(backbone: Backbone, folder: Path) -> None:
    """Write a backbone; weights are float16 on disk, and each file appears whole or not at all.

    Raises:
        EncoderError: when a weight is not finite in float16.
    """
    weights, config = _rounded(backbone), _config_text(backbone.config)
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise EncoderError(f"{name} holds values that float16 cannot")
    write_bytes(folder / WEIGHTS_FILE, save(weights))
    write_bytes(folder / CONFIG_FILE, config.encode())


def load_backbone(folder: Path) -> Backbone:
    """A backbone as :func:`save_backbone` wrote it, in float32 and in evaluation mode.

    Raises:
        EncoderError: when a file is missing or damaged, the configuration has unknown keys or
            values, or the weights do not fit the architecture exactly.
    """
    config = _read_config(folder / CONFIG_FILE)
    return assemble(config, read_safetensors(folder / WEIGHTS_FILE), source=folder.name)


def weights_hash(backbone: Backbone) -> str:
    """SHA-256 of the configuration and of all weights as rounded for the disk, by name."""
    digest = hashlib.sha256(_config_text(backbone.config).encode())
    for name, tensor in sorted(_rounded(backbone).items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def read_safetensors(path: Path) -> dict[str, Shaped[Tensor, "*_"]]:
    """All tensors of a safetensors file.

    Raises:
        EncoderError: when the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise EncoderError(f"cannot read weights {path.name}: {error}") from error


def _rounded(backbone: Backbone) -> dict[str, Tensor]:
    """The network's weights as they are on disk: floating-point numbers in float16."""
    return {
        name: tensor.to("cpu", torch.float16 if tensor.is_floating_point() else None).contiguous()
        for name, tensor in backbone.network.state_dict().items()
    }


def _config_text(config: BackboneConfig) -> str:
    return json.dumps(asdict(config), indent=2) + "\n"


def _read_config(path: Path) -> BackboneConfig:
    try:
        raw: dict[str, Any] = read_json(path)
        if odd := raw.keys() ^ {field.name for field in fields(BackboneConfig)}:
            raise ValueError(f"it must not have or lack {', '.join(sorted(odd))}")
        values: dict[str, Any] = {k: tuple(v) if type(v) is list else v for k, v in raw.items()}
        return BackboneConfig(**values)
    except (OSError, UnicodeDecodeError) as error:
        raise EncoderError(f"cannot read {path.name} of encoder {path.parent.name}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise EncoderError(f"{path.parent.name}/{path.name} is not valid: {error}") from error
