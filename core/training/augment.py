"""Random views of a batch of images, made on the device that holds them."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from core.training.config import ViewConfig
from core.training.distort import distort

_LUMA = (0.299, 0.587, 0.114)
_YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


def random_views(
    images: UInt8[Tensor, "b 3 h w"], config: ViewConfig, *, generator: torch.Generator
) -> Float[Tensor, "b 3 s s"]:
    """One random view of every image, in [0, 1]; the same generator state gives the same views."""
    with torch.autocast(images.device.type, enabled=False):  # pixels need all eight bits
        views = _random_crops(images.float() / 255, config, generator)
        views = distort(views, config.distort, generator=generator)
        views = _jitter_colours(views, config, generator)
        return _blur(views, config, generator).clamp(0, 1)


def _uniform(
    count: int, low: float, high: float, *, generator: torch.Generator
) -> Float[Tensor, " count"]:
    draws = torch.rand(count, generator=generator, device=generator.device)
    return low + (high - low) * draws


def _chosen(count: int, probability: float, *, generator: torch.Generator) -> Tensor:
    return torch.rand(count, generator=generator, device=generator.device) < probability


def _random_crops(images: Tensor, config: ViewConfig, generator: torch.Generator) -> Tensor:
    """Crop by area and aspect, mirror, and resample bilinearly to the view's size."""
    count = len(images)
    area = _uniform(count, *config.scale, generator=generator)
    low, high = (math.log(r) for r in config.ratio)
    ratio = _uniform(count, low, high, generator=generator).exp()
    half_width = (area * ratio).sqrt().clamp(max=1)  # in units of half the image
    half_height = (area / ratio).sqrt().clamp(max=1)
    centre_x = _uniform(count, -1.0, 1.0, generator=generator) * (1 - half_width)
    centre_y = _uniform(count, -1.0, 1.0, generator=generator) * (1 - half_height)
    mirror = 1 - 2 * _chosen(count, config.flip_probability, generator=generator).float()
    zero = torch.zeros_like(area)
    theta = torch.stack(
        [
            torch.stack([half_width * mirror, zero, centre_x], 1),
            torch.stack([zero, half_height, centre_y], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, [count, 3, config.size, config.size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _jitter_colours(views: Tensor, config: ViewConfig, generator: torch.Generator) -> Tensor:
    """Brightness, contrast, saturation, hue (rotation in YIQ) and grey: one affine map an image."""
    count, device = len(views), views.device
    on = _chosen(count, config.jitter_probability, generator=generator).float()
    j = config.jitter
    gain, contrast, saturation = (
        1 + on * _uniform(count, -j, j, generator=generator) for _ in range(3)
    )
    angle = on * _uniform(count, -config.hue, config.hue, generator=generator) * 2 * math.pi
    grey = _chosen(count, config.grey_probability, generator=generator)
    saturation = torch.where(grey, torch.zeros_like(saturation), saturation)

    yiq = torch.tensor(_YIQ, device=device)
    rotate = torch.eye(3, device=device).repeat(count, 1, 1)
    rotate[:, 1, 1] = rotate[:, 2, 2] = angle.cos() * saturation
    rotate[:, 1, 2] = -angle.sin() * saturation
    rotate[:, 2, 1] = angle.sin() * saturation
    colour = (torch.linalg.inv(yiq) @ rotate @ yiq) * (gain * contrast)[:, None, None]

    luma = torch.tensor(_LUMA, device=device)
    mean = torch.einsum("bchw,c->b", views, luma) / views[0, 0].numel()
    offset = gain * mean * (1 - contrast)
    return torch.einsum("bij,bjhw->bihw", colour, views) + offset[:, None, None, None]


def _blur(views: Tensor, config: ViewConfig, generator: torch.Generator) -> Tensor:
    """Gaussian blur of the chosen views, each with its own sigma."""
    chosen = _chosen(len(views), config.blur_probability, generator=generator)
    sigma = _uniform(len(views), *config.blur_sigma, generator=generator)[chosen]
    if not len(sigma):
        return views
    radius = math.ceil(2.5 * config.blur_sigma[1])
    steps = torch.arange(-radius, radius + 1, device=views.device)
    kernel = torch.exp(-0.5 * (steps[None] / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)  # (3m, taps)
    flat = views[chosen].reshape(1, -1, *views.shape[2:])
    flat = F.pad(flat, [radius] * 4, mode="reflect")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=len(kernel))
    blurred = views.clone()
    blurred[chosen] = flat.reshape(-1, *views.shape[1:])
    return blurred
