"""DINO: a student matches the centred, sharpened output of its own moving average (2104.14294).

Two global views go through both networks, local views through the student only. The settings in
``DINOConfig`` follow the original, with fewer prototypes for small data. As in ``moco``, the head
reads the pooled stage statistics that attribution compares.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from lightly.loss import DINOLoss
from lightly.models.modules.heads import DINOProjectionHead
from torch import Tensor, nn

from core.encoders.backbones import Backbone
from core.training.augment import random_views
from core.training.config import DINOConfig, RegulariseConfig, ViewConfig
from core.training.regularise import regularised
from core.training.tune import Start
from core.training.views import Projected

_DEFAULT, _PLAIN = DINOConfig(), RegulariseConfig()


class DINO(nn.Module):
    """Student, teacher and centre; ``forward`` gives the loss of a batch of images."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        view: ViewConfig,
        weights: RegulariseConfig = _PLAIN,
        config: DINOConfig = _DEFAULT,
        start: Start | None = None,
    ) -> None:
        super().__init__()
        self.global_view = replace(view, scale=config.global_scale)
        self.local_view = replace(view, scale=config.local_scale, size=config.local_size)
        self.weights, self.config, self.start = weights, config, start
        widths = (config.hidden, config.bottleneck, config.prototypes)
        self.student = Projected(
            backbone,
            lambda dim: DINOProjectionHead(dim, *widths, batch_norm=True),
            hold_statistics=start is not None,
        )
        self.teacher = self.student.follower()
        self.criteria = nn.ModuleList(DINOLoss(config.prototypes) for _ in self.student.widths)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator, progress: float
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy over levels and pairs of distinct views of images (b, 3, h, w)."""
        views = self.views(images, generator=generator)
        with torch.no_grad():
            targets = [self.teacher(view) for view in views[:2]]
        features = [self.student.features(view) for view in views]
        outputs = [self.student.project(one) for one in features]
        kept = 0.0 if self.start is None else self.start.kept(views[:2], features[:2])
        start, end = self.config.temperature
        temperature = start + (end - start) * min(1.0, progress / self.config.warm_up)
        with torch.autocast(images.device.type, enabled=False):  # logits need all their digits
            losses = [
                criterion(
                    [target[level].float() for target in targets],
                    [output[level].float() for output in outputs],
                    teacher_temp=temperature,
                )
                for level, criterion in enumerate(self.criteria)
            ]
            loss = torch.stack(losses).mean() + kept
            return loss + regularised(features[:2], self.weights, generator=generator)

    def views(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator
    ) -> list[Float[Tensor, "b 3 _ _"]]:
        """The views that the student sees: two global ones, then the local ones."""
        kinds = [self.global_view] * 2 + [self.local_view] * self.config.local_views
        return [random_views(images, kind, generator=generator) for kind in kinds]

    def momentum(self, progress: float) -> float:
        """Momentum of the teacher, which rises evenly over the run."""
        start, end = self.config.momentum
        return start + (end - start) * progress

    def before_step(self, progress: float) -> None:
        """Hold the prototypes back at the start, against collapse."""
        if progress < self.config.frozen:
            for projector in self.student.projectors:
                projector.get_submodule("last_layer").zero_grad(set_to_none=True)
