from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from benchmarks.gradients import CELLS, ORIENTATIONS, SIDE, described, histograms


def drawn(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9), np.uint8)
    return Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")


def test_an_edge_counts_alike_whatever_is_the_lighter_side():
    found = histograms(drawn(0))
    np.testing.assert_allclose(histograms(ImageOps.invert(drawn(0))), found, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("upright", "orientation"), [(True, 0), (False, ORIENTATIONS // 2)])
def test_a_stripe_falls_into_its_cell_and_orientation(upright: bool, orientation: int):
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[:, SIDE // 2 :] = 200
    found = histograms(Image.fromarray(values if upright else values.T))
    assert np.allclose(found.sum(axis=(0, 1))[orientation], found.sum())
    across = found.sum(axis=(0, 2) if upright else (1, 2))
    assert set(np.flatnonzero(across)) == {CELLS // 2 - 1, CELLS // 2}


def test_a_darkened_copy_is_nearer_than_another_image(tmp_path: Path):
    for name, image in (
        ("own", drawn(1)),
        ("dark", drawn(1).point(lambda value: value // 3)),
        ("other", drawn(2)),
    ):
        image.save(tmp_path / f"{name}.png")
    own, dark, other = described([tmp_path / f"{n}.png" for n in ("own", "dark", "other")])
    assert np.linalg.norm(own - dark) < np.linalg.norm(own - other) / 2
