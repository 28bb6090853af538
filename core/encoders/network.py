"""Images to un-headed features: a backbone with its pooling, behind the encoder protocol."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from core.encoders import backbones
from core.encoders.backbones import Backbone, StageMaps, folded
from core.encoders.pooling import (
    patch_features,
    pool,
    pooled_widths,
    spread,
)
from core.images.decode import DECODING
from core.values import Encoded, Encoder, Grid, Level

GRID = Grid(10, 10)
"""The grid of local descriptors and region heatmaps, the same for every network."""
LEVELS = (
    ("colour and texture", 0.5),
    ("pattern", 0.5),
    ("parts", 1.0),
    ("subject", 1.0),
)
"""Name and weight of a network's levels, early stages to late; a network of fewer has the last."""
POOLING = "mean+deviation/1"
"""Part of every encoder's identity; changed with what pooling or preprocessing computes."""


@dataclass(frozen=True)
class Reading:
    """What one pass of the network gives of one image; everything else follows without another.

    The maps take .3 MB for our networks and up to 6 MB for a ResNet-50 at 320 pixels.
    """

    features: Float[np.ndarray, " f"]
    """Pooled features, as :meth:`NetworkEncoder.encode` gives them."""
    patches: Float[np.ndarray, "p c"] | None = None
    """Patch features; ``None`` for encoders without space."""
    grid: Grid | None = None
    """The grid of the patches and of the parts."""
    maps: tuple[Float[np.ndarray, "_c _h _w"], ...] = ()
    """Spatial maps of the network's stages; none for encoders that are no network."""
    token: Float[np.ndarray, " t"] | None = None
    """The class token, where the network has one."""

    def region_parts(self, weights: Float[np.ndarray, " f"]) -> Float[np.ndarray, " p"] | None:
        """The weighted sum of the features, split over the grid; ``None`` without maps.

        The parts sum to ``features @ weights``. What has no position (a class token) is laid
        evenly over the grid.
        """
        if self.grid is None or not self.maps:
            return None
        direction = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))
        maps = [torch.from_numpy(stage)[None] for stage in self.maps]
        heat = spread(maps, direction, grid=self.grid).flatten().numpy()
        if self.token is None:
            return heat
        return heat + self.token @ weights[-len(self.token) :].astype(np.float32) / self.grid.size


class NetworkEncoder:
    """A backbone read at one size, pooled to features and, on the grid, to patch features.

    Attributes:
        backbone: the network, whose weights the identity is of.
        folded: what reads: the same function in less time.
    """

    def __init__(self, name: str, backbone: Backbone, *, device: str = "cpu") -> None:
        self.name = name
        self.device = torch.device(device)
        self.folded = folded(backbone.eval()).to(self.device)
        self.backbone = backbone.to(self.device)
        grid = f"{GRID.rows}x{GRID.columns}"
        parts = (backbones.weights_hash(backbone), POOLING, grid, f"decoding {DECODING}")
        self.identity = hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
        widths = pooled_widths(self.folded)
        self.dim, self.grid = sum(widths), GRID
        self.levels = tuple(
            Level(level, width, weight)
            for (level, weight), width in zip(LEVELS[-len(widths) :], widths, strict=True)
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to another process without what it folds there again."""
        make = functools.partial(NetworkEncoder, device=str(self.device))
        return make, (self.name, self.backbone)

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Pooled features (b, f) and patch features (b, p, c) of RGB images of any size.

        Every image is squeezed to the backbone's square, so that nothing of it is cut away.
        """
        return self._encoded(self.stages(images))

    def read(self, image: Image.Image) -> Reading:
        """Features, patches and stage maps of one RGB image, in one pass; arrays on the CPU."""
        stages = self.stages([image])
        encoded = self._encoded(stages)
        assert encoded.patches is not None
        return Reading(
            encoded.features[0],
            encoded.patches[0],
            GRID,
            maps=tuple(stage[0].float().cpu().numpy() for stage in stages.maps),
            token=None if stages.token is None else stages.token[0].float().cpu().numpy(),
        )

    @torch.inference_mode()
    def stages(self, images: Sequence[Image.Image]) -> StageMaps:
        """The spatial maps and the class token of a batch, as the backbone gives them."""
        size = self.backbone.config.input_size
        return self.folded(squeezed(images, size).to(self.device))

    def _encoded(self, stages: StageMaps) -> Encoded:
        features = pool(stages.maps, stages.token)
        patches = patch_features(stages.maps[self.backbone.config.patch_stage], grid=GRID)
        return Encoded(features.cpu().numpy(), patches.cpu().numpy(), GRID)


def best_device() -> str:
    """The torch device that encodes fastest here."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def read(encoder: Encoder, image: Image.Image) -> Reading:
    """What any encoder gives of one RGB image, encoded once."""
    if isinstance(encoder, NetworkEncoder):
        return encoder.read(image)
    encoded = encoder.encode([image])
    patches = None if encoded.patches is None else encoded.patches[0]
    return Reading(encoded.features[0], patches, encoded.grid)


def levels_of(encoder: Encoder) -> tuple[Level, ...]:
    """The levels of an encoder's features; none for encoders that are no network."""
    return encoder.levels if isinstance(encoder, NetworkEncoder) else ()


def squeezed(images: Sequence[Image.Image], size: int) -> Float[Tensor, "b 3 size size"]:
    """Pixels of images in [0, 1], squeezed to a square of ``size`` pixels; channels last."""
    how = {"resample": Image.Resampling.BICUBIC, "reducing_gap": 2.0}
    squares = np.stack([np.asarray(image.resize((size, size), **how)) for image in images])
    return torch.from_numpy(squares / np.float32(255)).permute(0, 3, 1, 2)
