"""Spatial feature maps to one feature vector, and that vector back to its positions.

Every stage is pooled to the mean and the standard deviation of its channels over all positions;
a class token, where a network has one, is appended. Although the standard deviation is not
additive over positions, ``sigma = mean((x - mu)**2) / sigma`` is an exact sum over the positions
of one image, so every pooled feature splits exactly into parts of the positions (:func:`spread`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.encoders.backbones import Backbone
from core.values import Grid

_FLOOR = 1e-6  # variance below which a channel counts as constant; keeps the gradient finite


def pool(
    maps: Sequence[Float[Tensor, "b _c _h _w"]], token: Float[Tensor, "b _t"] | None = None
) -> Float[Tensor, "b f"]:
    """Mean and standard deviation of every channel of every map, then the token.

    Args:
        maps: spatial features of the stages, each (b, c, h, w).
        token: class token (b, t), where the network has one.

    Returns:
        (b, f) with f = 2 * sum of c + t, in the order mean, deviation per map, then token.
    """
    parts: list[Tensor] = []
    for stage in maps:
        mean = stage.mean((2, 3))
        variance = (stage - mean[:, :, None, None]).square().mean((2, 3))
        parts += [mean, (variance + _FLOOR).sqrt()]
    if token is not None:
        parts.append(token)
    return torch.cat(parts, 1)


def pooled_widths(backbone: Backbone) -> tuple[int, ...]:
    """Number of pooled features of every stage of a backbone; a token belongs to the last."""
    size = backbone.config.input_size
    was_training = backbone.training
    with torch.no_grad():
        stages = backbone.eval()(torch.zeros(1, 3, size, size, device=backbone.mean.device))
    backbone.train(was_training)
    widths = [2 * stage.shape[1] for stage in stages.maps]
    widths[-1] += 0 if stages.token is None else stages.token.shape[1]
    return tuple(widths)


def spread(
    maps: Sequence[Float[Tensor, "1 _c _h _w"]],
    weights: Float[Tensor, " f"],
    *,
    grid: Grid,
) -> Float[Tensor, "rows columns"]:
    """The weighted sum of the pooled features, split over positions and summed on one grid.

    Means split as x / p and deviations as (x - mu)^2 / (p sigma), so the cells sum to the pooled
    features times the weights, less the part of a class token, which has no position.
    """
    heat = torch.zeros(grid.rows, grid.columns, dtype=weights.dtype)
    start = 0
    for stage in maps:
        c, h, w = stage.shape[1:]
        on_mean, on_deviation = weights[start : start + c], weights[start + c : start + 2 * c]
        squared = (stage - stage.mean((2, 3), keepdim=True)).square() + _FLOOR
        sigma = squared.mean((2, 3), keepdim=True).sqrt()
        parts = stage * on_mean[:, None, None] + squared / sigma * on_deviation[:, None, None]
        heat += _on_grid(parts.sum(1), grid)[0] / (h * w)
        start += 2 * c
    return heat


def patch_features(stage: Float[Tensor, "b c _h _w"], *, grid: Grid) -> Float[Tensor, "b p c"]:
    """Features of the cells of a grid: the stage's mean over each cell, row by row."""
    h, w = stage.shape[2:]
    cells = _on_grid(stage, grid) * (grid.size / (h * w))
    return cells.flatten(2).transpose(1, 2)


def _on_grid(field: Float[Tensor, "*b _h _w"], grid: Grid) -> Float[Tensor, "*b rows columns"]:
    """Sums over the cells of a grid; a position cut by a border is shared by area."""
    h, w = field.shape[-2:]
    down, across = overlap(h, grid.rows).to(field), overlap(w, grid.columns).to(field)
    return down @ field @ across.T


def overlap(positions: int, cells: int) -> Float[Tensor, "cells positions"]:
    """Share of each of the equal positions of a line that falls into each of its equal cells."""
    position = torch.arange(positions) / positions
    cell = torch.arange(cells)[:, None] / cells
    low = torch.maximum(position, cell)
    high = torch.minimum(position + 1 / positions, cell + 1 / cells)
    return (high - low).clamp(min=0) * positions
