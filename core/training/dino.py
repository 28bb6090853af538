"""DINO: a student matches the centred, sharpened output of its own moving average (2104.14294).

Two global views go through both networks, local views through the student only. Settings follow
the original, with 4,096 prototypes for small data. As in ``moco``, the head reads the pooled stage
statistics that attribution compares.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from lightly.loss import DINOLoss
from lightly.models.modules.heads import DINOProjectionHead
from torch import Tensor, nn

from core.config import RegulariseConfig, ViewConfig
from core.encoders.backbones import Backbone
from core.training.augment import random_views
from core.training.regularise import regularised
from core.training.views import Projected

_PLAIN = RegulariseConfig()
_WARM_UP = 0.1  # share of the run over which the teacher's temperature rises
_FROZEN = 0.02  # share of the run in which the prototypes stay as they were drawn


class DINO(nn.Module):
    """Student, teacher and centre; ``forward`` gives the loss of a batch of images."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        view: ViewConfig,
        weights: RegulariseConfig = _PLAIN,
        prototypes: int = 4096,
        local_views: int = 4,
        local_size: int = 32,
    ) -> None:
        super().__init__()
        self.global_view = replace(view, scale=(0.4, 1.0))
        self.local_view = replace(view, scale=(0.05, 0.4), size=local_size)
        self.local_views, self.weights = local_views, weights
        self.student = Projected(
            backbone, lambda dim: DINOProjectionHead(dim, 1024, 256, prototypes, batch_norm=True)
        )
        self.teacher = self.student.follower()
        self.criterion = DINOLoss(prototypes)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator, progress: float
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy over pairs of distinct views of uint8 images (b, 3, h, w)."""
        views = self.views(images, generator=generator)
        with torch.no_grad():
            targets = [self.teacher(view).float() for view in views[:2]]
        features = [self.student.features(view) for view in views]
        outputs = [self.student.projector(one).float() for one in features]
        temperature = 0.04 + 0.03 * min(1.0, progress / _WARM_UP)
        with torch.autocast(images.device.type, enabled=False):  # logits need all their digits
            loss = self.criterion(targets, outputs, teacher_temp=temperature)
            return loss + regularised(features[:2], self.weights, generator=generator)

    def views(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator
    ) -> list[Float[Tensor, "b 3 _ _"]]:
        """The views that the student sees: two global ones, then the local ones."""
        kinds = [self.global_view] * 2 + [self.local_view] * self.local_views
        return [random_views(images, kind, generator=generator) for kind in kinds]

    @staticmethod
    def momentum(progress: float) -> float:
        """EMA of the teacher: 0.99 to 1 over the run (0.996 is for runs ten times as long)."""
        return 0.99 + 0.01 * progress

    def before_step(self, progress: float) -> None:
        """Hold the prototypes back at the start, against collapse."""
        if progress < _FROZEN:
            self.student.projector.get_submodule("last_layer").zero_grad(set_to_none=True)
