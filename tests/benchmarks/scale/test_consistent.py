"""The parts of the loss are least where they should be; learning mends a spoiled quantiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.scale.codecs import Quantiser
from benchmarks.scale.consistent import (
    LearningConfig,
    contrast,
    fit,
    learned,
    part_consistency,
    unevenness,
)
from core.heads.rows import unit_rows

PARTS, WIDTH = 4, 3


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    return unit_rows(rng.standard_normal((300, PARTS * WIDTH)), dtype=np.float32)


@pytest.fixture(scope="module")
def spoiled(rows) -> Quantiser:
    """Codewords that are rows, moved by as much as they are long."""
    rng = np.random.default_rng(1)
    words = rows[:256].reshape(256, PARTS, WIDTH).transpose(1, 0, 2)
    moved = 2 * words + rng.normal(0, 0.2, words.shape)
    return Quantiser(np.eye(PARTS * WIDTH, dtype=np.float32), moved.astype(np.float32))


def test_views_of_one_image_belong_together():
    rows = torch.eye(8)
    right, wrong = contrast(rows, rows, 0.1), contrast(rows, rows.flip(0), 0.1)
    assert right < 0.01 < math.log(8) < wrong
    same = torch.ones(8, 3)
    assert contrast(same, same, 0.1) == pytest.approx(math.log(8))


def test_a_part_is_consistent_where_its_neighbours_are_the_same():
    parts = torch.randn((9, PARTS, WIDTH), generator=torch.Generator().manual_seed(0))
    assert part_consistency(parts, 3 * parts, 0.1) == pytest.approx(0, abs=1e-6)
    assert part_consistency(parts, parts.roll(1, dims=0), 0.1) > 0.5


def test_codewords_that_are_used_alike_cost_nothing():
    alike = torch.eye(16)[:, None].repeat(1, PARTS, 1)
    one = torch.zeros(16, PARTS, 16)
    one[..., 3] = 1
    assert unevenness(alike) == pytest.approx(0, abs=1e-5)
    assert unevenness(one) == pytest.approx(math.log(16), abs=1e-4)


def test_learning_mends_a_spoiled_quantiser_and_keeps_a_rotation(rows, spoiled):
    config = LearningConfig(steps=40, batch=64, rate=1e-2)
    found = fit(rows, spoiled, config=config)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(12), atol=1e-3)
    before, after = (
        np.abs(each.codes("", rows).cosines(rows) - rows @ rows.T).mean()
        for each in (spoiled, found)
    )
    assert after < 0.95 * before


def test_a_seed_gives_one_quantiser(rows, spoiled):
    config = LearningConfig(steps=3, batch=32)
    one, two, other = (fit(rows, spoiled, config=config, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.words, two.words)
    assert not np.array_equal(one.words, other.words)
    assert learned(rows, spoiled, config=config).bytes == PARTS
