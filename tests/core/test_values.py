"""Values that cross modules: errors of one family, grids, and what counts as an encoder."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from core.values import (
    Cancelled,
    Encoded,
    Encoder,
    EncoderError,
    GalleryError,
    Grid,
    ImageError,
    ImageRecord,
    WellspringError,
    no_progress,
)


@pytest.mark.parametrize("kind", [ImageError, EncoderError, GalleryError, Cancelled])
def test_errors_are_of_one_family(kind):
    with pytest.raises(WellspringError, match="what was wrong"):
        raise kind("what was wrong")


def test_a_grid_counts_its_patches():
    assert Grid(3, 7).size == 21


def test_records_are_frozen_and_share_no_metadata():
    one, two = (ImageRecord(i, "a.png", "0", "0", 1, 1) for i in (0, 1))
    assert one.extra is not two.extra
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.path = "b.png"


def test_only_what_encodes_is_an_encoder():
    class Flat:
        name, dim, identity = "flat", 1, "0"

        def encode(self, images):
            return Encoded(np.zeros((len(images), 1), np.float32))

    assert isinstance(Flat(), Encoder)
    assert not isinstance(Image.new("RGB", (1, 1)), Encoder)


def test_progress_can_be_ignored():
    no_progress(1, 2, "nothing")
