from __future__ import annotations

import numpy as np

from app.views.regions import regions_of


def test_a_region_is_named_with_its_shares_and_its_place():
    rng = np.random.default_rng(0)
    of = np.repeat([0, 1, 2], 40)
    centres = np.array([[0.1, 0.9], [0.9, 0.9], [0.5, 0.1]])
    points = (centres[of] + rng.normal(0, 0.01, (120, 2))).astype(np.float32)
    kind = np.array(["glass", "wood", ""])[of].tolist()
    kind[:4] = ["wood"] * 4
    coarse, _ = regions_of(points, {"material": kind})
    glass = next(region for region in coarse.named if region.standout.value == "glass")
    assert glass.text == "material: glass 90 %"
    assert glass.words == "Top left, 40 images: 90 % glass (Material), 30 % of the gallery"
    assert (coarse.of[:40] == glass.label).all()
    assert {region.standout.value for region in coarse.named} == {"glass", "wood"}


def test_without_metadata_nothing_is_named():
    points = np.random.default_rng(0).uniform(size=(200, 2)).astype(np.float32)
    assert all(not regions.named for regions in regions_of(points, {}))
