from __future__ import annotations

import pytest
import torch
from torch import nn

from core.encoders.backbones import Backbone, BackboneConfig, build, folded
from core.encoders.load import load_network

NETWORKS = ("resnet-mid", "resnet50", "tf_efficientnet_lite0", "mobilenetv3_small_100")


def _trained(architecture: str) -> Backbone:
    """A network whose normalisations are not those of the start."""
    backbone = build(BackboneConfig(architecture, input_size=64, stages=(1, 2)), seed=3).eval()
    torch.manual_seed(0)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias, std=0.3)
    return backbone


def _norms(backbone: Backbone) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())


@pytest.mark.parametrize("architecture", NETWORKS)
def test_a_folded_network_computes_the_same_without_normalisations(architecture: str):
    backbone = _trained(architecture)
    before = _norms(backbone)
    found = folded(backbone)
    assert _norms(found) == 0 < before == _norms(backbone)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for wanted, given in zip(backbone(pixels).maps, found(pixels).maps, strict=True):
            torch.testing.assert_close(given, wanted, rtol=1e-3, atol=1e-4 * wanted.abs().max())


def test_the_network_that_ships_is_folded_and_stays_as_it_is():
    network = load_network("lite0").eval()
    weights = {name: values.clone() for name, values in network.state_dict().items()}
    assert _norms(folded(network)) == 0
    assert all(torch.equal(values, weights[name]) for name, values in network.state_dict().items())


def test_a_network_without_batch_normalisation_is_its_own():
    backbone = build(BackboneConfig("vit_tiny_patch16_224", input_size=32, stages=(1,)), seed=0)
    assert folded(backbone.eval()) is backbone


def test_a_network_that_does_not_run_in_the_order_of_its_list_is_left_alone():
    """A norm that comes before its neighbour in the list would be folded into the wrong one."""
    backbone = _trained("resnet-mid")

    class Normed(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.mix = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3, momentum=None)
            self.network = network

        def forward_intermediates(self, pixels: torch.Tensor, **how: object) -> object:
            return self.network.forward_intermediates(self.mix(self.norm(pixels)), **how)

    swapped = Normed(backbone.network).eval()
    nn.init.uniform_(swapped.norm.weight, 3, 9)
    nn.init.normal_(swapped.mix.weight)
    given = Backbone(backbone.config, swapped).eval()
    assert folded(given) is given
