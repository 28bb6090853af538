"""Made galleries are whole, and what is measured of them is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scale.store import Meter, drawn, made, read
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.gallery import SHIPPED, Gallery
from core.gallery.source import Source
from core.gallery.verify import verify

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc counts what is written")


def test_a_made_gallery_is_whole_and_goes_on(tmp_path: Path) -> None:
    encoders = [load_encoder("thumbnail"), load_encoder("edges")]
    source, folder = Gallery.open(SHIPPED, read_only=True), tmp_path / "g"
    names = drawn(tmp_path / "photos", 2)
    made(folder, 50, source=source, photos=tmp_path / "photos", encoders=encoders)
    assert verify(folder) == []
    update(folder, Source(tmp_path / "photos", only=names), encoders)
    gallery = Gallery.open(folder)
    assert len(gallery) == len({record.sha256 for record in gallery.records}) == 52
    stored = {row.tobytes() for row in source.features(encoders[0])}
    assert {row.tobytes() for row in gallery.features(encoders[0])[:50]} <= stored
    read(gallery, encoders)
    assert verify(folder) == []


def test_bytes_that_are_written_are_counted(tmp_path: Path) -> None:
    meter = Meter()
    with meter.of("write"):
        np.save(tmp_path / "a.npy", np.zeros(125_000))
    with meter.of("nothing"):
        pass
    assert meter.found["write"]["bytes"] == pytest.approx(1e6, rel=0.05)
    assert meter.found["nothing"]["bytes"] < 10_000
