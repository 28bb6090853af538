"""A backbone read as attribution reads it, with a projector on top."""

from __future__ import annotations

import copy
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from core.encoders.backbones import Backbone
from core.encoders.pooling import pool, pooled_widths


class Projected(nn.Module):
    """Views to pooled features, standardised over the batch, to projections."""

    def __init__(self, backbone: Backbone, make_projector: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.make_projector = make_projector
        self.backbone = backbone
        dim = sum(pooled_widths(backbone))
        self.standardise = nn.BatchNorm1d(dim, affine=False)
        self.projector = make_projector(dim)

    def features(self, views: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b f"]:
        """Pooled features, standardised over the batch."""
        stages = self.backbone(views)
        return self.standardise(pool(stages.maps, stages.token))

    def forward(self, views: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b m"]:
        """Projections of a batch of views."""
        return self.projector(self.features(views))

    def follower(self) -> Projected:
        """A teacher: an equal network without gradients, to be moved by averaging."""
        teacher = Projected(copy.deepcopy(self.backbone), self.make_projector)
        teacher.load_state_dict(self.state_dict())
        return teacher.requires_grad_(False)
