"""Images to un-headed features: a backbone with its pooling, behind the encoder protocol."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from core.encoders import backbones
from core.encoders.backbones import Backbone, StageMaps
from core.encoders.pooling import (
    patch_features,
    pool,
    pooled_dim,
    spread,
)
from core.values import Encoded, Grid

GRID = Grid(10, 10)
"""The grid of local descriptors and region heatmaps, the same for every network."""
_POOLING = "mean+deviation/1"  # changes with any change of what pooling or preprocessing computes


class NetworkEncoder:
    """A backbone read at one size, pooled to features and, on the grid, to patch features."""

    def __init__(self, name: str, backbone: Backbone, *, device: str = "cpu") -> None:
        self.name = name
        self.device = torch.device(device)
        self.backbone = backbone.eval().to(self.device)
        parts = (backbones.weights_hash(backbone), _POOLING, f"{GRID.rows}x{GRID.columns}")
        self.identity = hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
        self.dim = pooled_dim(backbone)
        self.grid = GRID

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Pooled features (b, f) and patch features (b, p, c) of RGB images of any size.

        Every image is squeezed to the backbone's square, so that nothing of it is cut away.
        """
        stages = self.stages(images)
        features = pool(stages.maps, stages.token)
        patches = patch_features(stages.maps[self.backbone.config.patch_stage], grid=GRID)
        return Encoded(features.cpu().numpy(), patches.cpu().numpy(), GRID)

    @torch.inference_mode()
    def stages(self, images: Sequence[Image.Image]) -> StageMaps:
        """The spatial maps and the class token of a batch, as the backbone gives them."""
        size = self.backbone.config.input_size
        pixels = torch.stack([_pixels(image, size) for image in images]).to(self.device)
        return self.backbone(pixels.to(memory_format=torch.channels_last))

    def region_parts(
        self, image: Image.Image, weights: Float[np.ndarray, " f"]
    ) -> Float[np.ndarray, " p"]:
        """The weighted sum of the image's features, split over the grid.

        The parts sum to ``features @ weights``; what has no position (a class token) is laid
        evenly over the grid.
        """
        stages = self.stages([image])
        maps = [stage.float().cpu() for stage in stages.maps]
        direction = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))
        heat = spread(maps, direction, grid=GRID)
        if stages.token is not None:
            token = stages.token[0].float().cpu()
            heat = heat + token @ direction[-len(token) :] / GRID.size
        return heat.flatten().numpy()


def _pixels(image: Image.Image, size: int) -> Float[Tensor, "3 size size"]:
    square = image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255
