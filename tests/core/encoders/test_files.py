"""Features of many files are those of a gallery of them, whatever the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.encoders.files import features_of
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.values import EncoderError


@pytest.fixture
def files(tmp_path, write_image):
    names = [tmp_path / "photos" / f"{number}.png" for number in range(5)]
    for number, path in enumerate(names):
        write_image(path, number)
    return names


@pytest.mark.parametrize("batch", [2, 5, 32])
def test_features_are_those_of_a_gallery_of_the_files(files, encoder, tmp_path, batch):
    update(tmp_path / "g", Source(tmp_path / "photos"), [encoder])
    stored = np.asarray(Gallery.open(tmp_path / "g").features(encoder), np.float32)
    order = [3, 0, 4, 1, 2]
    found = features_of(encoder, [files[row] for row in order], batch=batch)
    np.testing.assert_allclose(found.features, stored[order], rtol=2e-3)
    assert not found.refused


def test_files_that_cannot_be_read_are_named_and_have_no_row(files, encoder):
    good = features_of(encoder, files)
    files[2].write_bytes(b"\x89PNG\r\n\x1a\n")
    told: list[tuple[int, int]] = []
    found = features_of(encoder, files, progress=lambda done, total, _: told.append((done, total)))
    np.testing.assert_array_equal(found.features, np.delete(good.features, 2, axis=0))
    assert list(found.refused) == [files[2]]
    assert told[-1] == (5, 5)


def test_the_encoder_gets_what_is_seen_of_an_image(files, encoder):
    turned = features_of(encoder, files[:1], seen=lambda image: image.rotate(90))
    assert not np.allclose(turned.features, features_of(encoder, files[:1]).features)


def test_no_file_has_no_row(encoder):
    assert features_of(encoder, []).features.shape == (0, encoder.dim)


def test_values_that_no_gallery_holds_are_refused(files, encoder):
    class Large(type(encoder)):
        def encode(self, images):
            found = super().encode(images)
            return replace(found, features=found.features + np.float32(1e30))

    with pytest.raises(EncoderError, match="not finite or too large"):
        features_of(Large(), files)
