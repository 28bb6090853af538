"""Random weights in the layouts that DINO and MoCo v3 are published in, served on 127.0.0.1.

The networks are the registry's; they read images at 64 pixels, so that two cores do it in no time.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from core.encoders.registry import NETWORKS
from tests.core.encoders.backbones import reference
from tests.serving import Behaviour, serving

DINO, MOCO = "dino-vits16", "mocov3-vits"


@dataclass(frozen=True)
class Authors:
    """The server of the authors, and what it does."""

    dino: Behaviour
    moco: Behaviour


def dino() -> bytes:
    """DINO's file: nothing but the tensors."""
    return save(reference.vit_state(width=384, patch=16, tokens=197, seed=1))


def moco() -> bytes:
    """MoCo v3's file: both encoders, the first with a projector as its head."""
    state = reference.vit_state(width=384, patch=16, tokens=197, seed=2)
    state |= {"pos_embed": reference.sincos(384, 14)}
    whole = {f"module.base_encoder.{name}": tensor for name, tensor in state.items()}
    whole["module.base_encoder.head.0.weight"] = torch.ones(8, 384)
    whole["module.momentum_encoder.cls_token"] = torch.ones(1, 1, 384)
    file = io.BytesIO()
    torch.save({"epoch": 300, "arch": "vit_small", "state_dict": whole}, file)
    return file.getvalue()


@contextlib.contextmanager
def published(
    patch: pytest.MonkeyPatch, cache: Path, files: Mapping[str, bytes]
) -> Iterator[Authors]:
    """The registry's DINO and MoCo v3 as they are fetched from here, into an empty cache."""
    patch.setenv("NO_PROXY", "*")
    patch.setenv("WELLSPRING_CACHE", str(cache))
    found = Authors(Behaviour(files[DINO]), Behaviour(files[MOCO]))
    paths = {"/dino/model.safetensors": found.dino, "/moco/vit-s-300ep.pth.tar": found.moco}
    with serving(paths) as address:
        for name, path in zip((DINO, MOCO), paths, strict=True):
            network = NETWORKS[name]
            small = replace(network.config, input_size=64)
            patch.setitem(NETWORKS, name, replace(network, source=f"{address}{path}", config=small))
        yield found
