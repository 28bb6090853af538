"""Other starts differ from the one that ships by what is compared, and by nothing else."""

from __future__ import annotations

import numpy as np
from PIL import Image

from benchmarks.quality import starts
from core.encoders.load import load_encoder


def test_the_first_is_what_ships() -> None:
    assert starts.load(starts.NAMES[0]).identity == load_encoder("lite0").identity
    assert starts.load("lite0 at 160").identity != load_encoder("lite0").identity


def test_crops_lie_in_the_corners_and_the_middle() -> None:
    """Every pixel holds its own place."""
    places = np.stack(np.meshgrid(np.arange(100), np.arange(50)), axis=-1)
    image = Image.fromarray(np.pad(places, ((0, 0), (0, 0), (0, 1))).astype(np.uint8))
    crops = [np.asarray(view(image)) for view in starts.VIEWS["five crops too"]]
    assert {crop.shape for crop in crops} == {(40, 80, 3)}
    first = [tuple(crop[0, 0, :2].tolist()) for crop in crops]
    assert first == [(0, 0), (20, 0), (0, 10), (20, 10), (10, 5)]
