"""A backbone read as attribution reads it, with a projector on every level."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.encoders.backbones import Backbone
from core.encoders.pooling import pool, pooled_widths


class Projected(nn.Module):
    """Views to pooled features, standardised over the batch, to projections of every level."""

    def __init__(
        self,
        backbone: Backbone,
        make_projector: Callable[[int], nn.Module],
        *,
        hold_statistics: bool = False,
    ) -> None:
        """Put a projector on every level of a backbone.

        Args:
            backbone: the network that is trained.
            make_projector: gives a projector for a number of features.
            hold_statistics: whether the running statistics of the backbone's norms stay as they
                are and are what it normalises by: those that a start was trained with.
        """
        super().__init__()
        self.make_projector, self.hold_statistics = make_projector, hold_statistics
        self.backbone = backbone
        self.widths = pooled_widths(backbone)
        self.standardise = nn.BatchNorm1d(sum(self.widths), affine=False)
        self.projectors = nn.ModuleList(make_projector(width) for width in self.widths)

    def train(self, mode: bool = True) -> Projected:
        """As any module; statistics that are held stay held."""
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, _BatchNorm) and self.hold_statistics:
                module.eval()
        return self

    def features(self, views: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b f"]:
        """Pooled features, standardised over the batch."""
        stages = self.backbone(views)
        return self.standardise(pool(stages.maps, stages.token))

    def project(self, features: Float[Tensor, "b f"]) -> list[Float[Tensor, "b m"]]:
        """Projections of every level's features."""
        parts = features.split(list(self.widths), dim=1)
        return [project(part) for project, part in zip(self.projectors, parts, strict=True)]

    def forward(self, views: Float[Tensor, "b 3 s s"]) -> list[Float[Tensor, "b m"]]:
        """Projections of a batch of views, one for every level."""
        return self.project(self.features(views))

    def follower(self) -> Projected:
        """A teacher: an equal network without gradients, to be moved by averaging."""
        copied = copy.deepcopy(self.backbone)
        teacher = Projected(copied, self.make_projector, hold_statistics=self.hold_statistics)
        teacher.load_state_dict(self.state_dict())
        return teacher.requires_grad_(False)


def by_level(views: list[list[Tensor]]) -> list[Tensor]:
    """Projections of several views, view by view, as one batch for every level."""
    return [torch.cat(list(level)) for level in zip(*views, strict=True)]
