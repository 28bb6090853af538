"""Pooling against numpy, and the exact split of pooled features over positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.encoders.backbones import BackboneConfig, build
from core.encoders.pooling import (
    overlap,
    patch_features,
    pool,
    pooled_widths,
    spread,
)
from core.values import Grid

SIZES = {
    "one": [(3, 1, 1)],
    "fits": [(4, 10, 10), (5, 20, 5)],
    "cut": [(4, 14, 14), (6, 7, 9), (2, 3, 13)],
}


def _maps(sizes, *, batch=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *size, generator=random) * 2 + 0.5 for size in sizes]


def test_pool_is_mean_and_deviation_of_every_channel():
    maps, token = _maps(SIZES["cut"], batch=3), torch.randn(3, 7)
    found = pool(maps, token).numpy()
    parts = []
    for stage in maps:
        flat = stage.numpy().astype(np.float64).reshape(3, stage.shape[1], -1)
        parts += [flat.mean(2), flat.std(2)]
    np.testing.assert_allclose(found, np.concatenate([*parts, token.numpy()], 1), atol=1e-5)


def test_pool_ignores_where_things_stand():
    stage = _maps([(4, 6, 6)])[0]
    order = torch.randperm(36, generator=torch.Generator().manual_seed(1))
    moved = stage.flatten(2)[:, :, order].reshape(stage.shape)
    torch.testing.assert_close(pool([moved]), pool([stage]))


def test_the_gradient_of_a_constant_channel_is_finite():
    stage = torch.ones(2, 3, 4, 4, requires_grad=True)
    pool([stage]).sum().backward()
    assert stage.grad is not None
    assert stage.grad.isfinite().all()


def test_widths_are_found_on_whatever_device_the_network_is():
    """No network could be loaded on a GPU: the image of zeros lay on the CPU."""
    backbone = build(BackboneConfig(input_size=64), seed=0)
    assert pooled_widths(backbone.to("meta")) == pooled_widths(build(backbone.config, seed=0))


@pytest.mark.parametrize("architecture", ["resnet-mid", "vit_tiny_patch16_224"])
def test_pooled_widths_are_the_width_of_pool(architecture):
    backbone = build(BackboneConfig(architecture, input_size=32, stages=(1, 2)), seed=0).train()
    before = [tensor.clone() for tensor in backbone.state_dict().values()]
    found = sum(pooled_widths(backbone))
    assert backbone.training
    assert all(map(torch.equal, before, backbone.state_dict().values()))
    with torch.no_grad():
        stages = backbone.eval()(torch.rand(2, 3, 32, 32))
    assert found == pool(stages.maps, stages.token).shape[1]


@pytest.mark.parametrize("grid", [Grid(10, 10), Grid(3, 7), Grid(1, 1)])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("width", [0, 5])
def test_spread_sums_to_the_weighted_features(sizes, grid, width):
    maps = _maps(sizes)
    token = torch.randn(1, width, generator=torch.Generator().manual_seed(2)) if width else None
    features = pool(maps, token)[0]
    weights = torch.randn(len(features), generator=torch.Generator().manual_seed(3))
    heat = spread(maps, weights, grid=grid)
    assert heat.shape == (grid.rows, grid.columns)
    on_token = token[0] @ weights[-width:] if token is not None else 0
    assert float(heat.sum()) == pytest.approx(float(features @ weights - on_token), abs=1e-4)


def test_spread_of_the_mean_is_where_the_activation_is():
    stage = torch.zeros(1, 1, 4, 4)
    stage[0, 0, 1, 2] = 8
    heat = spread([stage], torch.tensor([1.0, 0.0]), grid=Grid(4, 4))
    assert float(heat[1, 2]) == pytest.approx(0.5)
    assert float(heat.abs().sum()) == pytest.approx(0.5)


def test_spread_of_the_deviation_is_largest_far_from_the_mean():
    stage = torch.zeros(1, 1, 4, 4)
    stage[0, 0, 3, 0] = 5
    heat = spread([stage], torch.tensor([0.0, 1.0]), grid=Grid(2, 2))
    assert int(heat.argmax()) == 2
    assert (heat >= 0).all()


@pytest.mark.parametrize("size", [(10, 10), (14, 14), (4, 23)])
def test_patches_of_a_constant_map_are_constant(size):
    stage = torch.tensor([2.0, -3.0])[None, :, None, None].expand(2, 2, *size)
    found = patch_features(stage, grid=Grid(10, 10))
    torch.testing.assert_close(found, torch.tensor([2.0, -3.0]).expand(2, 100, 2))


def test_patches_are_means_over_cells_row_by_row():
    stage = torch.arange(24.0).reshape(1, 1, 4, 6)
    found = patch_features(stage, grid=Grid(2, 3))[0, :, 0]
    wanted = stage[0, 0].reshape(2, 2, 3, 2).mean((1, 3)).flatten()
    torch.testing.assert_close(found, wanted)


def test_a_cut_position_is_shared_by_area():
    found = patch_features(torch.tensor([[[[0.0, 3.0, 6.0]]]]), grid=Grid(1, 2))[0, :, 0]
    torch.testing.assert_close(found, torch.tensor([1.0, 5.0]))  # (0 + 3 / 2) / 1.5 and so on


@pytest.mark.parametrize("positions", [1, 3, 10, 14, 23])
@pytest.mark.parametrize("cells", [1, 4, 10, 17])
def test_overlaps_share_every_position_out(positions, cells):
    found = overlap(positions, cells)
    torch.testing.assert_close(found.sum(0), torch.ones(positions))
    torch.testing.assert_close(found.sum(1), torch.full((cells,), positions / cells))
    assert ((found >= 0) & (found <= 1 + 1e-5)).all()
