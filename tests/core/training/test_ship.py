"""Heads as they are shipped: rounded, and stored in half the space."""

from __future__ import annotations

import pytest

from core.config import HeadConfig
from core.encoders.load import load_encoder
from core.gallery.gallery import Gallery
from core.heads.fit import fit_head
from core.heads.head import Head
from core.training import ship
from tests.app import small
from tests.core.heads.made import ill_conditioned


def test_numbers_that_half_precision_holds_take_half_the_space(tmp_path):
    head = fit_head(ill_conditioned(), config=HeadConfig(k=6))
    for name, stored in (("whole", head), ("half", ship.halved(head))):
        stored.save(tmp_path / name)
        assert Head.load(tmp_path / name).identity == stored.identity
    sizes = [(tmp_path / n / "head.safetensors").stat().st_size for n in ("whole", "half")]
    assert sizes[1] < 0.7 * sizes[0]
    rows = ill_conditioned()
    cosines = (head(rows, role="query") * ship.halved(head)(rows, role="query")).sum(axis=1)
    assert cosines.min() > 0.999


@pytest.mark.slow
def test_heads_lie_beside_the_weights(tmp_path, monkeypatch: pytest.MonkeyPatch):
    gallery = Gallery.open(small.make(tmp_path / "made"))
    monkeypatch.setattr(ship, "bundled_folder", lambda name: tmp_path / name)
    ship.ship(gallery, "random")
    encoder = load_encoder("random")
    head = Head.load(tmp_path / "random" / "head")
    assert head.width == encoder.dim
    assert head.fitted_on(ship.image_hashes(gallery.records)).all()
    assert (tmp_path / "random" / "patch_head").is_dir()
