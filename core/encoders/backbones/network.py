"""A feature network and what it gives: spatial maps of several stages and a class token."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.values import EncoderError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class StageMaps:
    """What a backbone says of a batch."""

    maps: tuple[Float[Tensor, "b _c _h _w"], ...]
    """Spatial features of the configured stages, early to late, each with its own c, h, w."""
    token: Float[Tensor, "b _t"] | None
    """Class token of the last block after the final norm; ``None`` where a network has none."""


@dataclass(frozen=True)
class BackboneConfig:
    """Everything that rebuilds a network; what ``cfg.json`` holds."""

    architecture: str = "resnet-mid"
    """``resnet-mid`` (ours), ``moco_v3_vit_small``, ``moco_v3_vit_base``, or a name of timm's, such
    as ``resnet50`` or ``tf_efficientnet_lite0``."""
    input_size: int = 160
    """Side of the square that images are resized to, pixels."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted from each channel of pixels in [0, 1]."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Divides each channel after that."""
    stages: tuple[int, ...] = (2, 3, 4)
    """Stages that are returned, as timm counts them: in convolutional networks 0 is the stem and
    the last reduces by 32 (layers 1 to 4 of a ResNet); in transformers blocks count from 0."""
    patch_stage: int = 0
    """Which of the returned maps gives local descriptors: an index into ``stages``."""

    def __post_init__(self) -> None:
        """Refuse what no network can be built from."""
        numbers = (self.input_size, self.patch_stage, *self.stages)
        if not isinstance(self.architecture, str) or not all(isinstance(n, int) for n in numbers):
            raise ValueError(f"architecture is a name, sizes and stages are whole numbers: {self}")
        if not 32 <= self.input_size <= 1024:
            raise ValueError(f"input_size must be in 32..1024, got {self.input_size}")
        if len(self.mean) != 3 or len(self.std) != 3 or not min(self.std) > 0:
            raise ValueError(
                f"mean and std need three values, std > 0; got {self.mean}, {self.std}"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise ValueError(f"mean and std must be finite, got {self.mean}, {self.std}")
        if not self.stages or list(self.stages) != sorted({*self.stages}) or self.stages[0] < 0:
            raise ValueError(f"stages must rise and not be negative, got {self.stages}")
        if not 0 <= self.patch_stage < len(self.stages):
            raise ValueError(
                f"patch_stage must be in 0..{len(self.stages) - 1}: {self.patch_stage}"
            )


class Backbone(nn.Module):
    """A network read at several stages; ``network`` is the module itself, without a classifier."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: BackboneConfig, network: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.network = network
        for name in ("mean", "std"):
            values = torch.tensor(getattr(config, name)).view(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, pixels: Float[Tensor, "b 3 _h _w"]) -> StageMaps:
        """Stage maps of pixels in [0, 1], which are normalised here.

        Maps of transformer blocks pass the final norm, as in DINOv2's ``get_intermediate_layers``,
        so that no position counts for more by its length alone; prefix tokens are dropped.
        """
        read: Any = self.network.forward_intermediates
        normalised = (pixels - self.mean) / self.std
        stages = list(self.config.stages)
        if getattr(self.network, "has_class_token", False):
            last, maps = read(normalised, indices=stages, norm=True)
            return StageMaps(tuple(maps), last[:, 0])
        maps = read(normalised, indices=stages, norm=True, stop_early=True, intermediates_only=True)
        return StageMaps(tuple(maps), None)


def build(config: BackboneConfig, *, seed: int | None = None) -> Backbone:
    """A backbone with random weights; equal seeds give equal weights.

    Raises:
        EncoderError: when the architecture is unknown or lacks a stage that is asked for.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return Backbone(config, _network(config))


def skeleton(config: BackboneConfig) -> nn.Module:
    """The network without memory for its weights, so that no time goes into random ones.

    Raises:
        EncoderError: when the architecture is unknown or lacks a stage that is asked for.
    """
    with torch.device("meta"):
        return _network(config)


def assemble(config: BackboneConfig, state: Mapping[str, Tensor], *, source: str) -> Backbone:
    """A backbone with given weights, in float32 and in evaluation mode.

    Args:
        config: the network's configuration.
        state: every tensor of the network by name; no more, no fewer.
        source: what the weights came from, for messages.

    Raises:
        EncoderError: when names, shapes or values do not fit the architecture.
    """
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise EncoderError(f"{source}: {name} holds values that are not finite")
    network = skeleton(config)
    whole = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    try:
        network.load_state_dict(whole, strict=True, assign=True)
    except RuntimeError as error:
        raise EncoderError(
            f"{source}: the weights do not fit {config.architecture}: {error}"
        ) from error
    return Backbone(config, network).eval()


def _network(config: BackboneConfig) -> nn.Module:
    if config.architecture in _OURS:
        network = _OURS[config.architecture](config.input_size)
    else:
        network = _of_timm(config.architecture, config.input_size)
    described: Any = network.feature_info
    if config.stages[-1] >= len(described):
        raise EncoderError(
            f"{config.architecture} has stages up to {len(described) - 1}: {config.stages}"
        )
    return network


def _of_timm(architecture: str, input_size: int) -> nn.Module:
    import timm  # noqa: PLC0415 - takes seconds, and much is done without a network
    from timm.models import is_model_in_modules  # noqa: PLC0415

    if not timm.is_model(architecture):  # also refuses names that would reach the internet
        raise EncoderError(f"no architecture is called {architecture!r}")
    described, sized = timm.get_pretrained_cfg(architecture), {}
    if described is not None and described.fixed_input_size:
        sized["img_size"] = input_size
    if is_model_in_modules(architecture, ["vision_transformer"]):
        sized = {"img_size": input_size, "dynamic_img_size": True}
    network: Any = timm.create_model(architecture, num_classes=0, **sized)
    if hasattr(network, "conv_head"):  # EfficientNet's and MobileNet's layers of the classifier
        every = list(range(len(network.feature_info)))
        network.prune_intermediate_layers(every, prune_norm=True, prune_head=True)
    return network


def _resnet_mid(_input_size: int) -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet  # noqa: PLC0415 - as above

    # Residual branches start at full strength: a random control with silent ones is too weak.
    block: Any = BasicBlock
    return ResNet(
        block,
        layers=(2, 2, 2, 1),
        channels=(48, 96, 192, 384),
        num_classes=0,
        zero_init_last=False,
    )


def _moco_v3(width: int) -> Callable[[int], nn.Module]:
    """A vision transformer of MoCo v3: 12 heads at every width, where timm's ViT-S has 6."""

    def network(input_size: int) -> nn.Module:
        from timm.models.vision_transformer import VisionTransformer  # noqa: PLC0415 - as above

        return VisionTransformer(
            img_size=input_size,
            embed_dim=width,
            num_heads=12,
            num_classes=0,
            dynamic_img_size=True,
        )

    return network


_OURS: dict[str, Callable[[int], nn.Module]] = {
    "resnet-mid": _resnet_mid,
    "moco_v3_vit_small": _moco_v3(384),
    "moco_v3_vit_base": _moco_v3(768),
}
