"""Terms added to an objective: information maximisation over the batch, low rank over the views."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.training.config import RegulariseConfig

_EPSILON = 1e-3


def regularised(
    views: Sequence[Float[Tensor, "b f"]], weights: RegulariseConfig, *, generator: torch.Generator
) -> Float[Tensor, ""]:
    """Weighted sum of the terms over the features of some views of the same images."""
    total = views[0].new_zeros((), dtype=torch.float32)
    if weights.infomax > 0:
        rows = torch.cat(list(views))
        total = total + weights.infomax * infomax(
            rows, features=weights.features, generator=generator
        )
    if weights.low_rank > 0:
        total = total + weights.low_rank * low_rank(torch.stack(list(views)))
    return total


def infomax(
    rows: Float[Tensor, "b f"], *, features: int, generator: torch.Generator
) -> Float[Tensor, ""]:
    """-(1/m) log det of the correlation matrix of m features drawn at random; 0 when independent.

    The log-det form of information maximisation (CorInfoMax, 2209.07999): for Gaussian features it
    is twice the total correlation over m. Features of no variance count as independent ones.

    Args:
        rows: the features of one image each; more rows than ``features`` are needed to have full
            rank.
        features: features that are drawn at most.
        generator: draws the features.
    """
    width = min(rows.shape[1], features)
    order = torch.randperm(rows.shape[1], generator=generator, device=generator.device)
    chosen = rows[:, order[:width].to(rows.device)].float()
    centred = chosen - chosen.mean(0)
    scaled = centred / (centred.square().mean(0) + _EPSILON).sqrt()
    correlation = scaled.T @ scaled / len(scaled)
    eye = torch.eye(width, device=rows.device)
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
