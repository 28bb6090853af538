"""What keeps a network that knows something from forgetting it while it goes on learning."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from core.encoders.backbones import Backbone
from core.encoders.pooling import pool, pooled_widths
from core.training.config import TuneConfig


def freeze_early(backbone: Backbone, *, stages: int) -> None:
    """Hold the first stages of a convolutional network, its stem among them, as they are.

    Args:
        backbone: the network.
        stages: how many of its configured stages are held; 0 for none.
    """
    if not stages:
        return
    described: Any = backbone.network.feature_info
    last = described[backbone.config.stages[stages - 1]]["module"]
    names = [name for name, _ in backbone.network.named_parameters()]
    inside = [place for place, name in enumerate(names) if name.startswith(f"{last}.")]
    for _, parameter in list(backbone.network.named_parameters())[: inside[-1] + 1]:
        parameter.requires_grad_(False)


class Start(nn.Module):
    """The network that training began with, and how far the student has left it."""

    def __init__(self, backbone: Backbone, config: TuneConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = copy.deepcopy(backbone).eval().requires_grad_(False)
        self.widths = list(pooled_widths(backbone))

    def train(self, mode: bool = True) -> Start:
        """It never learns, and always normalises by its own statistics."""
        return super().train(False)

    def kept(
        self, views: list[Float[Tensor, "b 3 _ _"]], features: list[Float[Tensor, "b f"]]
    ) -> Float[Tensor, ""]:
        """Mean over views and levels of 1 - cosine to the start's features, times its weight.

        Args:
            views: views that the student has seen.
            features: the student's pooled features of them, standardised over the batch.
        """
        if not self.config.keep:
            return features[0].new_zeros(())
        losses: list[Tensor] = []
        for view, mine in zip(views, features, strict=True):
            with torch.no_grad():
                stages = self.backbone(view)
                own = F.batch_norm(pool(stages.maps, stages.token), None, None, training=True)
            pairs = zip(mine.split(self.widths, 1), own.split(self.widths, 1), strict=True)
            losses += [1 - F.cosine_similarity(a.float(), b.float()).mean() for a, b in pairs]
        return self.config.keep * torch.stack(losses).mean()
