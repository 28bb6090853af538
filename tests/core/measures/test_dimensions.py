"""Dimensions that come back are told from those that do not, and keep their factors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.heads.fit import fit_head
from core.measures.dimensions import (
    STABLE,
    Dimensions,
    stability,
)
from core.service.disentanglement import dimensions
from core.service.workspace import Workspace
from core.values import Encoder


def test_spread_directions_are_stable_and_equal_ones_are_not():
    """Whitening fixes directions by their variances; where those are equal, any basis will do."""
    rng = np.random.default_rng(0)
    scales = np.array([16.0, 8, 4, *[1] * 12])
    features = (rng.standard_normal((400, 15)) * scales).astype(np.float32)
    head = fit_head(features, config=HeadConfig(k=15, shrinkage=0.0))
    found = stability(features, head, refits=4)
    assert found.shape == (15,)
    assert found[:3].min() > 0.95
    assert found[3:].mean() < STABLE
    assert (found == stability(features, head, refits=4)).all()


def test_a_head_without_a_fit_is_stable():
    features = np.random.default_rng(1).standard_normal((50, 4)).astype(np.float32)
    head = fit_head(features, config=HeadConfig(kind="identity"))
    np.testing.assert_allclose(stability(features, head, refits=2), 1)


def test_a_head_of_other_data_is_less_stable():
    rng = np.random.default_rng(2)
    scales = np.array([8.0, 4, 2, 1])
    here = (rng.standard_normal((400, 4)) * scales).astype(np.float32)
    turn = np.linalg.qr(rng.standard_normal((4, 4)))[0].astype(np.float32)
    config = HeadConfig(k=4, shrinkage=0.0)
    own, other = (fit_head(rows, config=config) for rows in (here, here @ turn))
    assert stability(here, own, refits=2).min() > 0.95
    assert stability(here, other, refits=2).mean() < 0.9


def test_no_refits_are_refused():
    head = fit_head(np.zeros((3, 2), np.float32), config=HeadConfig(kind="identity"))
    with pytest.raises(ValueError, match="got 0"):
        stability(np.zeros((3, 2), np.float32), head, refits=0)


@pytest.fixture
def gallery(tmp_path: Path, encoder: Encoder) -> Gallery:
    """Thirty flat pictures, whose colour is the only thing that differs."""
    rows = ["file_name,colour"]
    folder = tmp_path / "world"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(30):
        colour = ("red", "green", "blue")[i % 3]
        pixels = np.asarray(Image.new("RGB", (16, 16), colour), np.int64)
        noisy = np.clip(pixels + rng.integers(-20, 20, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:02d}.png")
        rows.append(f"{i:02d}.png,{colour}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    update(tmp_path / "g", Source(folder), [encoder])
    return Gallery.open(tmp_path / "g")


def test_a_gallery_keeps_what_was_found(gallery, encoder, monkeypatch):
    head = gallery.fit(encoder, config=HeadConfig(k=4))
    workspace = Workspace(gallery, encoder, head)
    seen: list[int] = []
    found = dimensions(workspace, refits=3, progress=lambda done, _total, _what: seen.append(done))
    assert seen == [1, 2, 3]
    assert found.factors == ("colour",)
    assert found.shares.shape == (4, 1)
    named = found.followed(0)
    assert named is not None
    assert (named[0], named[1] > 0.8) == ("colour", True)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("core.service.disentanglement.stability", never)
    again = dimensions(workspace, refits=3)
    np.testing.assert_array_equal(again.similarity, found.similarity)
    np.testing.assert_array_equal(again.shares, found.shares)


def test_what_is_followed():
    shares = np.array([[0.3, 0.6], [0.05, 0.09]])
    found = Dimensions(np.array([0.9, 0.7]), ("colour", "shape"), shares)
    assert found.followed(0) == ("shape", 0.6)
    assert found.followed(1) is None
    assert found.stable.tolist() == [True, False]
    assert Dimensions(np.ones(2), (), np.zeros((2, 0))).followed(1) is None
    with pytest.raises(ValueError, match=r"0\.\.1, got 2"):
        found.followed(2)
