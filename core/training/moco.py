"""MoCo: an encoder learns to find the other view of an image among a queue of keys (1911.05722).

The recipe is v2's (2003.04297); ``MoCoConfig`` has the usual settings for small data. One
deviation: the projector reads the pooled stage statistics that attribution compares, not the mean
of the last stage alone, so that what is aligned is what is compared.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import MoCoProjectionHead
from torch import Tensor, nn

from core.config import MoCoConfig, RegulariseConfig, ViewConfig
from core.encoders.backbones import Backbone
from core.training.augment import random_views
from core.training.regularise import regularised
from core.training.views import Projected

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
    ) -> None:
        super().__init__()
        self.view, self.weights, self.config = view, weights, config
        hidden, projection = config.hidden, config.projection
        self.student = Projected(
            backbone, lambda dim: MoCoProjectionHead(dim, hidden, projection, batch_norm=True)
        )
        self.teacher = self.student.follower()
        self.criterion = NTXentLoss(
            config.temperature,
            memory_bank_size=(config.queue, projection),
            gather_distributed=torch.distributed.is_initialized(),
        )
        memory = self.criterion.memory_bank  # lightly leaves the queue out of the state; we resume
        for name, buffer in list(memory.named_buffers()):
            memory.register_buffer(name, buffer, persistent=True)

    def forward(
        self, images: UInt8[Tensor, "b 3 h w"], *, generator: torch.Generator, progress: float
    ) -> Float[Tensor, ""]:
        """Mean loss of both directions of two views of uint8 images (b, 3, h, w).

        Both directions go through the criterion at once, so that the queue never holds a key of
        the batch it is compared with.
        """
        del progress
        views = self.views(images, generator=generator)
        with torch.no_grad():
            keys = torch.cat([self.teacher(view) for view in reversed(views)])
        features = [self.student.features(view) for view in views]
        queries = torch.cat([self.student.projector(one) for one in features])
        with torch.autocast(images.device.type, enabled=False):  # logits need all their digits
            loss = self.criterion(queries.float(), keys.float())
            return loss + regularised(features, self.weights, generator=generator)

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
