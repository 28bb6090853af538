"""A network for reading alone: its batch normalisations are carried into their convolutions."""

from __future__ import annotations

import copy
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.encoders.backbones.network import Backbone

_ROUNDING = 1e-3  # of the largest value: some hundred times what rounding alone makes


def folded(backbone: Backbone) -> Backbone:
    """The same function of pixels in less time; the backbone itself where nothing can be folded.

    In evaluation a batch normalisation is a scale and a shift of every channel (Ioffe and Szegedy
    2015, section 3.1), and so is a part of the convolution before it. Which one is before it is
    taken from the order in which a network lists its modules, and looked at: where the copy
    computes anything else than the backbone, that is what is returned.

    Args:
        backbone: in evaluation mode; it stays as it is.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules()):
        return backbone
    copied = copy.deepcopy(backbone)
    if not _fold(copied.network):
        return backbone
    probe = _probe(backbone)
    try:
        with torch.inference_mode():
            pairs = [*zip(backbone(probe).maps, copied(probe).maps, strict=True)]
    except (RuntimeError, AssertionError):  # it reads images of one size alone
        return backbone
    same = all(float((a - b).abs().max()) <= _ROUNDING * float(a.abs().max()) for a, b in pairs)
    return copied if same else backbone


def _fold(module: nn.Module) -> int:
    """Fold what follows a convolution in the same module, all the way down; how many were."""
    count, before = 0, ""
    for name, child in [*module.named_children()]:
        convolution = getattr(module, before, None)
        if isinstance(child, nn.BatchNorm2d) and _fits(convolution, child):
            setattr(module, before, fuse_conv_bn_eval(convolution, child))
            setattr(module, name, getattr(child, "act", nn.Identity()))  # timm's has its own
            count += 1
        else:
            count += _fold(child)
        before = name
    return count


def _fits(convolution: object, norm: nn.BatchNorm2d) -> TypeGuard[nn.Conv2d]:
    if not isinstance(convolution, nn.Conv2d) or norm.running_mean is None:
        return False
    return convolution.out_channels == norm.num_features and norm.affine


def _probe(backbone: Backbone) -> Tensor:
    """An image of waves, whose channels differ, of half the side that is read: it takes less."""
    side = max(backbone.config.input_size // 2, 32)
    places = torch.arange(side, device=backbone.mean.device) / side
    waves = [torch.sin(places * speed)[:, None] * torch.cos(places * 7) for speed in (9, 14, 23)]
    return ((torch.stack(waves)[None] + 1) / 2).to(memory_format=torch.channels_last)
