"""Style transfer and inversion: features move to their aims, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.encoders.backbones import BackboneConfig, build
from core.measures.variations.pixels import INVERSION, TRANSFER, gram, optimise, variation


@pytest.fixture(scope="module")
def backbone():
    return build(BackboneConfig(input_size=32), seed=0).eval()


def picture(seed: int) -> np.ndarray:
    cells = np.random.default_rng(seed).integers(0, 256, (4, 4, 3))
    return np.kron(cells, np.ones((8, 8, 1))).astype(np.uint8)


@pytest.mark.slow
def test_pixels_move_to_the_content_and_the_run_is_reproducible(backbone):
    source, start = picture(0), picture(1)
    aim = replace(INVERSION, steps=30, smoothness=0.1)
    made, again = (
        optimise(backbone, start, content=source, style=source, aim=aim) for _ in range(2)
    )
    before, after = (np.abs(x.astype(int) - source).mean() for x in (start, made))
    assert after < 0.85 * before
    assert np.abs(made.astype(int) - again).max() <= 2


@pytest.mark.slow
def test_style_moves_the_colours_and_without_its_weight_does_not(backbone):
    content, style = picture(0), np.full((32, 32, 3), (220, 30, 30), np.uint8)
    strong, none = (
        optimise(
            backbone,
            content,
            content=content,
            style=style,
            aim=replace(TRANSFER, steps=20, style_weight=weight, smoothness=0.0),
        )
        for weight in (50.0, 0.0)
    )
    near, far = (np.abs(x.mean((0, 1)) - style.mean((0, 1))).sum() for x in (strong, none))
    assert near < 0.9 * far


def test_the_network_stays_as_it_was(backbone):
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    image = picture(0)
    optimise(backbone, picture(1), content=image, style=image, aim=replace(TRANSFER, steps=2))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_gram_is_blind_to_places_and_sees_channels():
    maps = torch.randn(1, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    shuffled = maps.flatten(2)[:, :, torch.randperm(24)].reshape(maps.shape)
    assert torch.allclose(gram(maps), gram(shuffled), atol=1e-6)
    assert not torch.allclose(gram(maps), gram(maps.roll(1, dims=1)), atol=1e-2)


def test_variation_is_the_mean_step():
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    assert float(variation(ramp)) == pytest.approx(1.0)
    assert float(variation(torch.ones(1, 3, 4, 4))) == 0


def test_start_and_content_of_two_sizes_are_refused(backbone):
    with pytest.raises(ValueError, match="one size"):
        image = picture(0)
        optimise(backbone, image[:16], content=image, style=image, aim=TRANSFER)
