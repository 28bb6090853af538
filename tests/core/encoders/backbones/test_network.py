"""Backbones: what they return, and that seeds and configurations decide all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.encoders.backbones import (
    Backbone,
    BackboneConfig,
    build,
)
from core.encoders.backbones.network import assemble, skeleton
from core.encoders.registry import specs
from core.values import EncoderError

OURS = BackboneConfig()


def rand(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("found", specs(), ids=lambda found: found.name)
@pytest.mark.slow
def test_shapes_of_every_network(found) -> None:
    """Shapes alone, without weights: tensors of the meta device."""
    config = found.config
    network = skeleton(config)
    backbone = Backbone(config, network).to("meta").eval()
    stages = backbone(torch.zeros(2, 3, config.input_size, config.input_size, device="meta"))
    assert len(stages.maps) == len(config.stages)
    for stage, index in zip(stages.maps, config.stages, strict=True):
        described = network.feature_info[index]
        side = config.input_size // described["reduction"]
        assert stage.shape == (2, described["num_chs"], side, side)
    if "vit" in config.architecture:
        assert stages.token is not None
        assert stages.token.shape == (2, network.num_features)
    else:
        assert stages.token is None


def test_ours_is_small_and_takes_any_multiple_of_32() -> None:
    backbone = build(OURS, seed=0).eval()
    assert 3e6 < sum(p.numel() for p in backbone.parameters()) < 6e6
    with torch.no_grad():
        stages = backbone(rand(1, 3, 64, 96))
    assert [tuple(m.shape[2:]) for m in stages.maps] == [(8, 12), (4, 6), (2, 3)]


@torch.no_grad()
def test_pixels_are_normalised_inside() -> None:
    config = replace(OURS, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    given, plain = build(config, seed=0).eval(), replace(OURS, mean=(0.0,) * 3, std=(1.0,) * 3)
    pixels = rand(2, 3, 64, 64)
    by_hand = (pixels - torch.tensor(config.mean)[:, None, None]) / torch.tensor(config.std)[
        :, None, None
    ]
    expected = build(plain, seed=0).eval()(by_hand)
    for found, wanted in zip(given(pixels).maps, expected.maps, strict=True):
        torch.testing.assert_close(found, wanted)


@torch.no_grad()
def test_evaluation_is_deterministic_and_images_do_not_mix() -> None:
    backbone, pixels = build(OURS, seed=0).eval(), rand(3, 3, 64, 64)
    together = backbone(pixels)
    for once, again in zip(together.maps, backbone(pixels).maps, strict=True):
        assert torch.equal(once, again)
    for stage, alone in zip(together.maps, backbone(pixels[1:2]).maps, strict=True):
        torch.testing.assert_close(stage[1:2], alone, atol=1e-5, rtol=1e-4)


def test_seeds_decide_the_weights_and_nothing_else() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, again, other = (build(OURS, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["network.conv1.weight"], other["network.conv1.weight"])


def test_residual_branches_of_random_weights_are_not_silent() -> None:
    """timm starts the last norm of each branch at zero, which halves a random network."""
    state = build(OURS, seed=0).network.state_dict()
    assert state["layer3.1.bn2.weight"].eq(1).all()


def test_moco_v3_has_twelve_heads() -> None:
    for name in ("moco_v3_vit_small", "moco_v3_vit_base"):
        network = skeleton(BackboneConfig(name, input_size=224))
        assert {block.attn.num_heads for block in network.blocks} == {12}


def test_efficientnets_are_read_at_their_stages() -> None:
    """Only ResNets and plain vision transformers were taken."""
    config = BackboneConfig("tf_efficientnet_lite0", input_size=64, patch_stage=1)
    backbone = build(config, seed=0).train()
    stages = backbone(rand(2, 3, 64, 64))
    assert [tuple(stage.shape) for stage in stages.maps] == [
        (2, 40, 8, 8),
        (2, 112, 4, 4),
        (2, 320, 2, 2),
    ]
    assert stages.token is None
    torch.stack([stage.square().mean() for stage in stages.maps]).sum().backward()
    unread = [name for name, value in backbone.named_parameters() if value.grad is None]
    assert not unread  # nothing of the classifier is left, which a training would never reach


@pytest.mark.parametrize(
    "architecture",
    [
        "tf_efficientnet_lite0",
        "mobilenetv3_small_100",
        "convnext_atto",
        "regnetx_002",
        "swin_tiny_patch4_window7_224",
        "beit_base_patch16_224",
        "eva02_tiny_patch14_224",
        "vit_base_patch16_siglip_224",
        "densenet121",
        "mobilevit_xxs",
    ],
)
@pytest.mark.slow
def test_other_networks_of_timm_are_read_at_the_configured_size(architecture: str) -> None:
    config = BackboneConfig(architecture, input_size=128, stages=(1, 2, 3))
    network = skeleton(config)
    pixels = torch.zeros(1, 3, 128, 128, device="meta")
    stages = Backbone(config, network).to("meta").eval()(pixels)
    for stage, index in zip(stages.maps, config.stages, strict=True):
        described = network.feature_info[index]
        assert stage.shape[1] == described["num_chs"]
        assert stage.shape[2:] == (128 // described["reduction"],) * 2


def test_assembled_weights_can_be_trained() -> None:
    state = build(OURS, seed=0).network.state_dict()
    backbone = assemble(OURS, {k: v.clone() for k, v in state.items()}, source="test")
    assert not backbone.training
    backbone(rand(1, 3, 32, 32)).maps[-1].sum().backward()
    assert backbone.network.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "resnet-huge"}, "resnet-huge"),
        ({"architecture": "hf-hub:someone/something"}, "hf-hub"),
        ({"architecture": "tf_efficientnet_lite0", "stages": (3, 4, 5)}, "stages up to 4"),
        ({"stages": (2, 3, 5)}, "stages up to 4"),
    ],
)
def test_impossible_networks(change: dict, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        build(replace(OURS, **change), seed=0)


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": 16},
        {"input_size": 100_000},
        {"std": (0.2, 0.2, 0.0)},
        {"mean": (0.2, 0.2, float("nan"))},
        {"stages": ()},
        {"stages": (3, 2)},
        {"stages": (2, 2)},
        {"stages": (-1, 2)},
        {"patch_stage": 3},
        {"patch_stage": -1},
    ],
)
def test_impossible_configurations(change: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(OURS, **change)
