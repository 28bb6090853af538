"""What generators do to a source, imitated on views: warp, recompose, shuffle, restyle, resample.

Classic augmentations change the camera; a generator keeps colours and textures and moves, replaces
or redraws the content. Views that differ in this way teach the encoder to find a source through it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from core.training.config import DistortConfig


def distort(
    views: Float[Tensor, "b 3 s s"], config: DistortConfig, *, generator: torch.Generator
) -> Float[Tensor, "b 3 s s"]:
    """Views in [0, 1], each changed in the chosen ways; images of the batch lend their content."""
    steps = (
        (config.recompose, lambda v: _recompose(v, generator)),
        (config.shuffle, lambda v: _shuffle(v, config.tiles, generator)),
        (config.warp, lambda v: _warp(v, config.warp_size, generator)),
        (config.restyle, lambda v: _restyle(v, config.restyle_share, generator)),
        (config.resample, lambda v: _resample(v, config.noise, generator)),
    )
    for probability, change in steps:
        if probability > 0:
            chosen = torch.rand(len(views), generator=generator, device=views.device) < probability
            views = torch.where(chosen[:, None, None, None], change(views), views)
    return views.clamp(0, 1)


def _smooth_noise(
    shape: tuple[int, int], coarse: int, size: int, generator: torch.Generator
) -> Float[Tensor, "b m s s"]:
    noise = torch.randn(*shape, coarse, coarse, generator=generator, device=generator.device)
    return F.interpolate(noise, size, mode="bicubic", align_corners=False)


def _others(views: Tensor, generator: torch.Generator) -> Tensor:
    """Another image of the batch for every image: the batch rolled by a random step."""
    step = 1 + int(
        torch.randint(
            max(len(views) - 1, 1), (1,), generator=generator, device=generator.device
        ).item()
    )
    return views.roll(step, 0)


def _recompose(views: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth region of a third to two thirds of the area stays; elsewhere is another image."""
    count, size = len(views), views.shape[-1]
    field = _smooth_noise((count, 1), 3, size, generator)
    share = 1 / 3 + torch.rand(count, generator=generator, device=views.device) / 3
    ranks = field.flatten(1).argsort(1).argsort(1).float() / (size * size - 1)
    keep = torch.sigmoid((share[:, None] - ranks) * 30).view(count, 1, size, size)
    return keep * views + (1 - keep) * _others(views, generator)


def _shuffle(views: Tensor, along: int, generator: torch.Generator) -> Tensor:
    """Tiles in a random order: single-image generators rearrange the patches of their source."""
    count, _, size, _ = views.shape
    side = size // along
    tiles = F.unfold(views, side, stride=side)  # (b, 3 side^2, tiles)
    draws = torch.rand(count, 1, along**2, generator=generator, device=views.device)
    order = draws.argsort(2).expand(-1, tiles.shape[1], -1)
    return F.fold(tiles.gather(2, order), size, side, stride=side)


def _warp(views: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Smooth random displacements of a standard deviation of ``amount`` sides."""
    count, size = len(views), views.shape[-1]
    shift = _smooth_noise((count, 2), 4, size, generator).permute(0, 2, 3, 1) * 2 * amount
    still = torch.eye(2, 3, device=views.device).expand(count, -1, -1)
    grid = F.affine_grid(still, [count, 3, size, size], align_corners=False)
    return F.grid_sample(views, grid + shift, padding_mode="reflection", align_corners=False)


def _restyle(views: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Colour statistics moved towards another image's: AdaIN (1703.06868) on pixels."""
    other = _others(views, generator)
    mean, deviation = views.mean((2, 3), keepdim=True), views.std((2, 3), keepdim=True)
    towards, spread = other.mean((2, 3), keepdim=True), other.std((2, 3), keepdim=True)
    part = share * torch.rand(len(views), 1, 1, 1, generator=generator, device=views.device)
    scale = (deviation + part * (spread - deviation)) / (deviation + 1e-3)
    return (views - mean) * scale + mean + part * (towards - mean)


def _resample(views: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Noise, then half the resolution and back: what denoising leaves of fine detail."""
    random = torch.randn(views.shape, generator=generator, device=views.device)
    small = F.interpolate(views + noise * random, scale_factor=0.5, mode="area")
    return F.interpolate(small, views.shape[-1], mode="bicubic", align_corners=False)
