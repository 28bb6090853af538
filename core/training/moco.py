"""MoCo: an encoder learns to find the other view of an image among a queue of keys (1911.05722).

The recipe is v2's (2003.04297); ``MoCoConfig`` has the usual settings for small data. One
deviation: projectors read the pooled statistics of every level that attribution compares, not the
mean of the last stage alone, so that what is aligned is what is compared and no level is given up.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import MoCoProjectionHead
from torch import Tensor, nn

from core.encoders.backbones import Backbone
from core.training.augment import random_views
from core.training.config import MoCoConfig, RegulariseConfig, ViewConfig
from core.training.regularise import regularised
from core.training.tune import Start
from core.training.views import Projected, by_level

_DEFAULT, _PLAIN = MoCoConfig(), RegulariseConfig()


class MoCo(nn.Module):
    """Query and key encoder with their queue; ``forward`` gives the loss of a batch of images."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        view: ViewConfig,
        weights: RegulariseConfig = _PLAIN,
        config: MoCoConfig = _DEFAULT,
        start: Start | None = None,
    ) -> None:
        super().__init__()
        self.view, self.weights, self.config, self.start = view, weights, config, start
        hidden, projection = config.hidden, config.projection
        self.student = Projected(
            backbone,
            lambda dim: MoCoProjectionHead(dim, hidden, projection, batch_norm=True),
            hold_statistics=start is not None,
        )
        self.teacher = self.student.follower()
        self.criteria = nn.ModuleList(self._criterion() for _ in self.student.widths)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator, progress: float
    ) -> Float[Tensor, ""]:
        """Mean loss of all levels and both directions of two views of images (b, 3, h, w).

        Both directions go through the criterion at once, so that the queue never holds a key of
        the batch it is compared with.
        """
        del progress
        views = self.views(images, generator=generator)
        with torch.no_grad():
            keys = by_level([self.teacher(view) for view in reversed(views)])
        features = [self.student.features(view) for view in views]
        queries = by_level([self.student.project(one) for one in features])
        kept = 0.0 if self.start is None else self.start.kept(views, features)
        with torch.autocast(images.device.type, enabled=False):  # logits need all their digits
            levels = zip(self.criteria, queries, keys, strict=True)
            losses = [criterion(query.float(), key.float()) for criterion, query, key in levels]
            loss = torch.stack(losses).mean() + kept
            return loss + regularised(features, self.weights, generator=generator)

    def _criterion(self) -> NTXentLoss:
        criterion = NTXentLoss(
            self.config.temperature,
            memory_bank_size=(self.config.queue, self.config.projection),
            gather_distributed=torch.distributed.is_initialized(),
        )
        memory = criterion.memory_bank  # lightly leaves the queue out of the state; we resume
        for name, buffer in list(memory.named_buffers()):
            memory.register_buffer(name, buffer, persistent=True)
        return criterion

    def views(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator
    ) -> list[Float[Tensor, "b 3 s s"]]:
        """The two views that the student sees."""
        return [random_views(images, self.view, generator=generator) for _ in range(2)]

    def momentum(self, progress: float) -> float:
        """Momentum of the key encoder, which rises evenly over the run."""
        start, end = self.config.momentum
        return start + (end - start) * progress

    def before_step(self, progress: float) -> None:
        """Nothing is held back."""
