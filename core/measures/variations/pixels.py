"""New images by moving pixels until a network's features fit: style transfer and inversion.

Style transfer after Gatys, Ecker and Bethge, "Image Style Transfer Using Convolutional Neural
Networks" (CVPR 2016): feature maps of the content, Gram matrices of the style. Inversion after
Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them" (CVPR 2015):
feature maps of one image, from noise, with a total-variation prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.encoders.backbones import Backbone
from core.values import Progress, no_progress

RATE = 0.01
"""Step of Adam in pixels of [0, 1]. Long steps overshoot black and white, where pixels are cut and
get no gradient any more: what stays are false colours."""
OCTAVES = 4
"""Layers that are moved, each half as fine as the one before; coarse ones keep noise away."""


@dataclass(frozen=True)
class Aim:
    """Which features the pixels are moved to, by the network's stages from its stem, 0, on."""

    content: tuple[int, ...]
    """Stages whose maps are matched place by place."""
    style: tuple[int, ...]
    """Stages whose Gram matrices are matched."""
    style_weight: float
    """Weight of the style beside the content."""
    smoothness: float
    """Weight of the total variation."""
    steps: int = 80
    """Steps of Adam."""


TRANSFER = Aim(content=(2, 3), style=(0, 1, 2, 3), style_weight=1.0, smoothness=4.0)
"""Neural style transfer: the layout of one image in the colours and textures of another."""
INVERSION = Aim(content=(1, 2, 3, 4), style=(0, 1), style_weight=1.0, smoothness=6.0)
"""Feature inversion: an image that a network takes for its source."""


def optimise(
    backbone: Backbone,
    start: np.ndarray,
    *,
    content: np.ndarray,
    style: np.ndarray,
    aim: Aim,
    progress: Progress = no_progress,
) -> np.ndarray:
    """The start [h, w, 3], moved until its features fit those of a content and of a style image.

    Args:
        backbone: The network, of four stages and a stem.
        start: Bytes; as large as the content.
        content: Bytes; its feature maps are the aim.
        style: Bytes of any size; its Gram matrices are the aim.
        aim: Stages and weights.
        progress: Called before every step; may raise ``Cancelled``.

    Raises:
        ValueError: When start and content differ in size.
    """
    if start.shape != content.shape:
        raise ValueError(f"start {start.shape} and content {content.shape} must have one size")
    network = _all_stages(backbone)
    with torch.no_grad():
        maps = network(_tensor(content)).maps
        grams = [gram(one) for one in network(_tensor(style)).maps]
    base, height, width = _tensor(start), start.shape[0], start.shape[1]
    layers = [
        torch.zeros(1, 3, height >> k, width >> k, requires_grad=True) for k in range(OCTAVES)
    ]
    adam = torch.optim.Adam(layers, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, aim.steps, eta_min=RATE / 20)
    for step in range(aim.steps):
        progress(step, aim.steps, "moving pixels")
        adam.zero_grad()
        pixels = _sum(base, layers)
        found = network(pixels).maps
        loss = _relative([found[i] for i in aim.content], [maps[i] for i in aim.content])
        textures = [gram(found[i]) for i in aim.style], [grams[i] for i in aim.style]
        loss = loss + aim.style_weight * _relative(*textures) + aim.smoothness * variation(pixels)
        loss.backward()
        adam.step()
        schedule.step()
    pixels = _sum(base, layers)
    whole = (pixels.detach()[0].permute(1, 2, 0) * 255).round()
    return whole.to(torch.uint8).numpy()


def gram(maps: Tensor) -> Tensor:
    """Mean products of all pairs of channels: [1, c, c] from maps [1, c, h, w]."""
    flat = maps.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def variation(pixels: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels."""
    down, across = pixels.diff(dim=2).abs().mean(), pixels.diff(dim=3).abs().mean()
    return down + across


def _all_stages(backbone: Backbone) -> Backbone:
    """The same network, frozen, read at its stem and at all its stages."""
    config = replace(backbone.config, stages=(0, 1, 2, 3, 4))
    return Backbone(config, backbone.network).eval().requires_grad_(False)


def _sum(base: Tensor, layers: Sequence[Tensor]) -> Tensor:
    """Pixels in [0, 1]: the start and all layers, enlarged to its size."""
    size = (base.shape[2], base.shape[3])
    enlarged = [functional.interpolate(one, size, mode="bilinear") for one in layers]
    return (base + torch.stack(enlarged).sum(0)).clamp(0, 1)


def _relative(found: Sequence[Tensor], aims: Sequence[Tensor]) -> Tensor:
    """Mean over stages of the squared error over the aim's own square."""
    errors = [(a - b).square().sum() / b.square().sum() for a, b in zip(found, aims, strict=True)]
    return torch.stack(errors).mean()


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
