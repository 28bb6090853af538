"""Patch synthesis: seeded, made of source patches only, laid out as its start."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.measures.variations.patches import Recipe, matches, nearest, pasted, patches, synthesise

SMALL = Recipe(coarsest=12, noise=2.0, steps=2)


def picture(seed: int, side: int = 48) -> np.ndarray:
    """Blocks of random colours, [side, side, 3] bytes."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3))
    return np.kron(cells, np.ones((side // 6, side // 6, 1))).astype(np.uint8)


def strangeness(image: np.ndarray, source: np.ndarray) -> float:
    """Mean distance of an image's patches to the nearest patch of the source, per value."""
    a, b = (
        patches(torch.from_numpy(one.copy()).permute(2, 0, 1).float()) for one in (image, source)
    )
    return float(torch.cdist(a, b).amin(1).mean()) / a.shape[1] ** 0.5


def test_a_seed_gives_one_image_and_another_seed_another():
    source = picture(0)
    first, again, other = (
        synthesise([source], source[::-1], recipe=SMALL, seed=seed) for seed in (1, 1, 2)
    )
    assert np.abs(first.astype(int) - again).max() <= 2
    assert np.abs(first.astype(int) - other).mean() > 2


def test_the_result_holds_patches_of_its_source_and_of_no_other():
    source, other = picture(0), picture(1)
    made = synthesise([source], source[::-1], recipe=SMALL, seed=0)
    assert strangeness(made, source) < 0.65 * strangeness(made, other)
    assert np.abs(made.astype(int) - source).mean() > 2  # it is not the source itself


def test_without_noise_the_source_comes_back():
    source = picture(0)
    made = synthesise([source], source, recipe=Recipe(coarsest=24, noise=0.0), seed=0)
    assert np.abs(made.astype(int) - source).mean() < 3


def test_the_start_decides_the_size():
    source = picture(0)
    assert synthesise([source], source[:32], recipe=SMALL, seed=0).shape == (32, 48, 3)


def test_two_sources_are_both_used():
    first, second = picture(0), picture(1)
    start = np.where(np.arange(48)[None, :, None] < 24, first, second)
    made = synthesise([first, second], start, recipe=Recipe(noise=0.05), seed=0)
    left, right = made[:, :20], made[:, 28:]
    assert strangeness(left, first) < 0.5 * strangeness(left, second)
    assert strangeness(right, second) < 0.5 * strangeness(right, first)


def test_the_score_prefers_keys_that_nobody_uses():
    queries, keys = torch.tensor([[0.0], [0.1]]), torch.tensor([[0.0], [1.0]])
    assert nearest(queries, keys, completeness=1e9).tolist() == [0, 0]
    assert nearest(queries, keys, completeness=1e-9).tolist() == [0, 1]


def test_matching_an_image_with_itself_returns_it():
    image = torch.randn(3, 20, 16, generator=torch.Generator().manual_seed(0))
    best = matches(image, [image], completeness=1e9)
    assert (pasted([image], best, (20, 16)) - image).abs().max() < 1e-4


def test_a_finer_image_is_pasted_by_the_matches_of_the_coarse_one():
    fine = torch.randn(3, 40, 32, generator=torch.Generator().manual_seed(0))
    identity = torch.arange((20 - 6) * (16 - 6))
    assert (pasted([fine], identity, (40, 32), zoom=2) - fine).abs().max() < 1e-5


@pytest.mark.parametrize("shape", [(47, 48), (14, 48)])
def test_sides_that_cannot_be_halved_into_patches_are_named(shape: tuple[int, int]):
    with pytest.raises(ValueError, match=str(shape[0])):
        synthesise([picture(0)], np.zeros((*shape, 3), np.uint8), recipe=SMALL, seed=0)


def test_no_source_is_refused():
    with pytest.raises(ValueError, match="sources"):
        synthesise([], picture(0), recipe=SMALL, seed=0)
