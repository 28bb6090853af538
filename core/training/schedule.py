"""What every step does, from its number alone: which images it sees, at which learning rate."""

from __future__ import annotations

import math

import torch
from jaxtyping import Integer
from torch import Tensor


def batch_rows(
    count: int, *, batch: int, step: int, seed: int, rank: int = 0, world: int = 1
) -> Integer[Tensor, " b"]:
    """Rows of one step's images: epochs of seeded permutations, dealt over the processes.

    Args:
        count: images in all.
        batch: images per step and process.
        step: number of the step, from 0.
        seed: seed of the permutations.
        rank: number of this process.
        world: number of processes.
    """
    size = batch * world
    epoch, place = divmod(step, max(1, count // size))
    order = torch.Generator().manual_seed(seed * 7_919 + epoch)
    chosen = torch.randperm(count, generator=order)[place * size : (place + 1) * size]
    return chosen[rank::world]


def rate_factor(share: float, *, warm_up: float, steps: int) -> float:
    """Factor of the peak learning rate: a linear rise, then half a cosine down to nothing.

    Args:
        share: share of the run that is done, 0 to 1.
        warm_up: share of the run in which the rate rises.
        steps: steps of the whole run.
    """
    if share < warm_up:
        return (share * steps + 1) / (warm_up * steps + 1)
    past = (share - warm_up) / (1 - warm_up)
    return 0.5 * (1 + math.cos(math.pi * past))
