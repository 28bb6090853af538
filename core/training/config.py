"""Frozen settings of training: views, losses, methods and the loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from core.config import HeadConfig, require


@dataclass(frozen=True)
class DistortConfig:
    """Changes that imitate generators, as probabilities per view; see ``core.training.distort``."""

    recompose: float = 0.0
    """Share of the views that keep a smooth region and get the rest from another image."""
    shuffle: float = 0.0
    """Share of the views whose tiles are put in a random order."""
    tiles: int = 4
    """Tiles along a side of the view; its size is a multiple of it."""
    warp: float = 0.0
    """Share of the views bent by smooth displacements."""
    warp_size: float = 0.06
    """Standard deviation of the displacements, sides of the view."""
    restyle: float = 0.0
    """Share of the views whose colour statistics move towards another image's."""
    restyle_share: float = 0.7
    """Largest part of the way to the other image's statistics."""
    resample: float = 0.0
    """Share of the views with noise, at half the resolution and back."""
    noise: float = 0.08
    """Standard deviation of that noise; pixels are in [0, 1]."""

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        for name in ("recompose", "shuffle", "warp", "restyle", "resample", "restyle_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be in [0, 1], got {value}")


@dataclass(frozen=True)
class ViewConfig:
    """One kind of random view. What is varied here is what the encoder learns to ignore.

    Jitter is weak by default: colour and texture carry the source (docs/decisions/004-pooling.md).
    """

    size: int = 64
    """Side of the square view, pixels."""
    scale: tuple[float, float] = (0.2, 1.0)
    """Area of the crop as a share of the image."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Aspect of the crop, width over height."""
    jitter: float = 0.15
    """Largest relative change of brightness, contrast and saturation."""
    hue: float = 0.03
    """Largest hue rotation as a share of the full circle."""
    jitter_probability: float = 0.8
    """Share of the views whose colours are jittered."""
    grey_probability: float = 0.05
    """Share of the views turned grey."""
    flip_probability: float = 0.5
    """Share of the views mirrored."""
    blur_probability: float = 0.3
    """Share of the views blurred."""
    blur_sigma: tuple[float, float] = (0.2, 1.2)
    """Standard deviation of the blur, pixels of the view."""
    distort: DistortConfig = field(default_factory=DistortConfig)
    """Changes that imitate generators."""

    def __post_init__(self) -> None:
        """Refuse crops outside the image, and views in which nothing can be seen."""
        low, high = self.scale
        require(0 < low <= high <= 1, f"scale must lie in (0, 1], got {self.scale}")
        require(self.size >= 8, f"size must be at least 8 pixels, got {self.size}")


@dataclass(frozen=True)
class RegulariseConfig:
    """Weights of the terms beside the objective; see ``core.training.regularise``."""

    infomax: float = 0.0
    """Weight of information maximisation over the batch (log det of the correlation matrix)."""
    low_rank: float = 0.0
    """Weight of the low-rank prior on the views of one image (LORAC)."""
    features: int = 128
    """Features looked at in one step; a covariance of more of them than images is singular."""

    def __post_init__(self) -> None:
        """Refuse negative weights, and what is no number."""
        for name in ("infomax", "low_rank"):
            value = getattr(self, name)
            allowed = 0 <= value < math.inf
            require(allowed, f"{name} must be a number and not negative, got {value}")


GENERATIVE = ViewConfig(
    distort=DistortConfig(recompose=0.3, shuffle=0.15, warp=0.3, restyle=0.2, resample=0.3)
)
"""Views that also change as generators change their sources."""


@dataclass(frozen=True)
class MoCoConfig:
    """MoCo's own settings; see ``core.training.moco``."""

    queue: int = 4_096
    """Keys of earlier images that a query is told from."""
    temperature: float = 0.1
    """Temperature of the softmax over the keys."""
    hidden: int = 1_024
    """Width of the projector's hidden layer."""
    projection: int = 128
    """Dimensions of queries and keys."""
    momentum: tuple[float, float] = (0.99, 0.999)
    """Momentum of the key encoder at the start and at the end of the run."""

    def __post_init__(self) -> None:
        """Refuse an empty queue and a temperature of nothing."""
        require(self.queue > 0, f"queue must be positive, got {self.queue}")
        require(self.temperature > 0, f"temperature must be positive, got {self.temperature}")


@dataclass(frozen=True)
class DINOConfig:
    """DINO's own settings; see ``core.training.dino``."""

    prototypes: int = 4_096
    """Dimensions of the output."""
    hidden: int = 1_024
    """Width of the projector's hidden layers."""
    bottleneck: int = 256
    """Width of the layer before the prototypes."""
    global_scale: tuple[float, float] = (0.4, 1.0)
    """Area of the two global crops as a share of the image."""
    local_scale: tuple[float, float] = (0.05, 0.4)
    """Area of the local crops as a share of the image."""
    local_views: int = 4
    """Local views of an image in one step."""
    local_size: int = 32
    """Side of the local views, pixels."""
    temperature: tuple[float, float] = (0.04, 0.07)
    """Temperature of the teacher's softmax at the start and after the warm-up."""
    warm_up: float = 0.1
    """Share of the run over which the teacher's temperature rises."""
    frozen: float = 0.02
    """Share of the run in which the prototypes stay as they were drawn."""
    momentum: tuple[float, float] = (0.99, 1.0)
    """Momentum of the teacher at the start and at the end; 0.996 is for runs ten times as long."""

    def __post_init__(self) -> None:
        """Refuse an output of nothing and a warm-up of no length."""
        require(self.prototypes > 1, f"prototypes must exceed 1, got {self.prototypes}")
        require(self.warm_up > 0, f"warm_up must be positive, got {self.warm_up}")


@dataclass(frozen=True)
class TuneConfig:
    """How a network that knows something goes on learning; see ``core.training.tune``."""

    frozen_stages: int = 2
    """Stages that stay as they are, from the first."""
    keep: float = 1.0
    """Weight of staying near the start's features, beside the objective."""

    def __post_init__(self) -> None:
        """Refuse negative numbers."""
        require(self.frozen_stages >= 0, "frozen_stages must not be negative")
        require(0 <= self.keep < math.inf, f"keep must be a number and not negative: {self.keep}")


@dataclass(frozen=True)
class WatchConfig:
    """What is measured of known pairs at every checkpoint; nothing is trained or chosen by it."""

    queries: int = 200
    """Generated images of the tune half at most, drawn at random."""
    gallery: int = 1_000
    """Training images ranked beside the exemplars at most, drawn at random."""
    head: HeadConfig = field(default_factory=lambda: HeadConfig(k=256, shrinkage=0.1))
    """The head that is fitted on all of these."""
    batch: int = 32
    """Images per forward pass."""


@dataclass(frozen=True)
class TrainConfig:
    """One run."""

    method: Literal["moco", "dino"]
    """The self-supervised objective."""
    steps: int
    """Optimiser steps of the whole run; the schedules span them."""
    minutes: float = math.inf
    """Wall-clock budget of this call; the run is checkpointed and can be resumed after it."""
    batch: int = 256
    """Images per step and process."""
    learning_rate: float = 1e-3
    """Peak of AdamW's learning rate, per 256 images."""
    weight_decay: float = 0.05
    """AdamW's weight decay, on weights of two or more dimensions."""
    warm_up: float = 0.05
    """Share of the run in which the learning rate rises."""
    clip: float = 3.0
    """Largest norm of the gradient."""
    checkpoint_minutes: float = 5.0
    """Time between checkpoints, minutes."""
    start: str | None = None
    """An encoder, by name or folder, that a new run begins with; random weights without it."""
    tune: TuneConfig = field(default_factory=TuneConfig)
    """What keeps a run that begins with an encoder from forgetting it."""
    seed: int = 0
    """Seed of weights, order and views."""
    device: str = "cpu"
    """Torch device of this process."""
    view: ViewConfig = field(default_factory=ViewConfig)
    """The random views; DINO sets crop scales and the size of local views by itself."""
    regularise: RegulariseConfig = field(default_factory=RegulariseConfig)
    """Terms beside the objective."""
    moco: MoCoConfig = field(default_factory=MoCoConfig)
    """What only MoCo needs."""
    dino: DINOConfig = field(default_factory=DINOConfig)
    """What only DINO needs."""
    watch: WatchConfig = field(default_factory=WatchConfig)
    """What is watched during the run."""

    def __post_init__(self) -> None:
        """Refuse empty runs."""
        require(self.minutes > 0, f"minutes must be positive, got {self.minutes}")
        require(self.steps > 0, f"steps must be positive, got {self.steps}")
        require(self.batch > 1, f"batch must exceed 1, got {self.batch}")
        require(self.method in ("moco", "dino"), f"method is moco or dino, got {self.method!r}")
