"""Terms added to an objective: information maximisation over the batch, low rank over the views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.config import RegulariseConfig

_SAMPLED = 128
"""Features looked at in one step: a covariance of more of them than images has no determinant."""
_EPSILON = 1e-3


def regularised(
    views: Sequence[Float[Tensor, "b f"]], weights: RegulariseConfig, *, generator: torch.Generator
) -> Float[Tensor, ""]:
    """Weighted sum of the terms over the features of some views of the same images."""
    total = views[0].new_zeros((), dtype=torch.float32)
    if weights.infomax > 0:
        total = total + weights.infomax * infomax(torch.cat(list(views)), generator=generator)
    if weights.low_rank > 0:
        total = total + weights.low_rank * low_rank(torch.stack(list(views)))
    return total


def infomax(features: Float[Tensor, "b f"], *, generator: torch.Generator) -> Float[Tensor, ""]:
    """-(1/m) log det of the correlation matrix of m features drawn at random; 0 when independent.

    The log-det form of information maximisation (CorInfoMax, 2209.07999): for Gaussian features it
    is twice the total correlation over m. Features of no variance count as independent ones.

    Args:
        features: one row per image; more rows than ``min(f, 128)`` are needed to have full rank.
        generator: draws the features.
    """
    width = min(features.shape[1], _SAMPLED)
    order = torch.randperm(features.shape[1], generator=generator, device=generator.device)
    chosen = features[:, order[:width].to(features.device)].float()
    centred = chosen - chosen.mean(0)
    scaled = centred / (centred.square().mean(0) + _EPSILON).sqrt()
    correlation = scaled.T @ scaled / len(scaled)
    eye = torch.eye(width, device=features.device)
    return -torch.linalg.slogdet((1 - _EPSILON) * correlation + _EPSILON * eye)[1] / width


def low_rank(views: Float[Tensor, "v b f"]) -> Float[Tensor, ""]:
    """Mean nuclear norm of each image's stack of v unit views, less its least value; 0 when equal.

    The low-rank prior of LORAC (2108.02696): the views of one image are pulled into one line. The
    singular values of v unit rows have squares that sum to v, so the norm lies in sqrt(v)..v.
    """
    stacks = torch.nn.functional.normalize(views.float(), dim=-1).transpose(0, 1)
    gram = stacks @ stacks.transpose(1, 2)  # (b, v, v): its eigenvalues are the squares
    eye = torch.eye(len(views), device=views.device)
    squares = torch.linalg.eigvalsh(gram + 1e-6 * eye).clamp(min=1e-6)
    return squares.sqrt().sum(1).mean() - len(views) ** 0.5
