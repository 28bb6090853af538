"""Edges and the palette are views beside a network's own, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig, ScoreConfig, ViewConfig
from core.encoders.backbones import BackboneConfig, build
from core.encoders.baselines import BASELINES
from core.encoders.network import NetworkEncoder
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.remove import remove
from core.gallery.source import Source
from core.heads.head import Head, LinearHead
from core.search.extra_views import EXTRA_VIEWS, with_extra_views
from core.search.prepare import fitted_head, prepare
from core.search.ranking import Collection
from core.values import Encoder

COUNT = 7


@pytest.fixture(scope="module")
def network() -> NetworkEncoder:
    return NetworkEncoder("net", build(BackboneConfig(input_size=64), seed=0))


def picture(seed: int) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (7, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((60, 70), Image.Resampling.BICUBIC)


@pytest.fixture
def gallery(tmp_path: Path, network: NetworkEncoder) -> Gallery:
    folder = tmp_path / "world"
    folder.mkdir()
    for seed in range(COUNT):
        picture(seed).save(folder / f"{seed}.png")
    update(folder / "g", Source(folder), with_extra_views([network, BASELINES["histogram"]()]))
    return Gallery.open(folder / "g")


def test_only_networks_bring_edges_and_a_palette_and_only_once(network: NetworkEncoder):
    plain, edges, palette = BASELINES["histogram"](), EXTRA_VIEWS["edges"], EXTRA_VIEWS["palette"]
    assert with_extra_views([plain]) == [plain]
    assert with_extra_views([plain, network]) == [plain, network, edges, palette]
    assert with_extra_views([palette, network]) == [palette, network, edges]


def prepared(gallery: Gallery, encoder: Encoder) -> Collection:
    head = fitted_head(gallery, encoder, config=HeadConfig(kind="center"))
    return prepare(gallery, encoder, head, config=ScoreConfig())


@pytest.mark.slow
def test_a_recoloured_image_is_nearest_to_itself(gallery: Gallery, network: NetworkEncoder):
    edges = prepared(gallery, network).views[1]
    assert edges.name == "edges"
    for row, record in enumerate(gallery.records):
        image = picture(int(record.path[0])).convert("L").point(lambda v: 255 - v // 2)
        features = EXTRA_VIEWS["edges"].encode([image.convert("RGB")]).features
        cosines = edges.vectors @ edges.head(features, role="query")[0]
        assert cosines.argmax() == row


@pytest.mark.slow
def test_colours_laid_elsewhere_are_nearest_to_their_image(
    gallery: Gallery, network: NetworkEncoder
):
    palette = prepared(gallery, network).views[2]
    assert palette.name == "palette"
    for row, record in enumerate(gallery.records):
        pixels = np.rot90(np.asarray(picture(int(record.path[0]))))
        moved = Image.fromarray(np.roll(pixels, (17, 23), axis=(0, 1))).resize((350, 300))
        features = EXTRA_VIEWS["palette"].encode([moved]).features
        cosines = palette.vectors @ palette.head(features, role="query")[0]
        assert cosines.argmax() == row


@pytest.mark.slow
def test_views_that_are_not_wanted_are_not_there(gallery: Gallery, network: NetworkEncoder):
    head = fitted_head(gallery, network, config=HeadConfig(kind="center"))
    for config, names in (
        (ScoreConfig().without("edges"), ["embedding", "palette"]),
        (ScoreConfig().without("palette"), ["embedding", "edges"]),
        (ScoreConfig(views=()), ["embedding"]),
    ):
        views = prepare(gallery, network, head, config=config).views
        assert [view.name for view in views] == names


@pytest.mark.slow
def test_one_more_view_is_an_encoder_and_its_weight(tmp_path, monkeypatch, network):
    """It touched eleven modules; edges and the palette were flags of their own everywhere."""
    monkeypatch.setitem(EXTRA_VIEWS, "thumbnail", BASELINES["thumbnail"]())
    for seed in range(COUNT):
        picture(seed).save(tmp_path / f"{seed}.png")
    update(tmp_path / "g", Source(tmp_path), with_extra_views([network]))
    more = ViewConfig("thumbnail", weight=2.0, trust=0.5)
    config, gallery = ScoreConfig(views=(*ScoreConfig().views, more)), Gallery.open(tmp_path / "g")
    head = fitted_head(gallery, network, config=HeadConfig(kind="center"))
    *_, view = prepare(gallery, network, head, config=config).views
    assert (view.name, view.weight, view.trust) == ("thumbnail", 2.0, 0.5)


@pytest.mark.slow
def test_what_is_kept_is_what_is_computed(gallery: Gallery, network: NetworkEncoder):
    first, again = (prepared(gallery, network) for _ in range(2))
    for one, two in zip(first.views, again.views, strict=True):
        np.testing.assert_array_equal(one.csls_means, two.csls_means)
        np.testing.assert_array_equal(one.vectors, two.vectors)
    assert len(list(gallery.artefacts.folder.glob("csls-*"))) == 3


@pytest.mark.slow
def test_baselines_single_images_and_galleries_without_them_have_none(
    gallery: Gallery, network: NetworkEncoder, tmp_path: Path
):
    assert len(prepared(gallery, BASELINES["histogram"]()).views) == 1
    update(tmp_path / "bare", Source(gallery.root), [network])
    assert len(prepared(Gallery.open(tmp_path / "bare"), network).views) == 1
    remove(gallery.store.folder, [record.id for record in gallery.records[1:]])
    single = Gallery.open(gallery.store.folder)
    zeros = np.zeros(network.dim, np.float32)
    head = Head(HeadConfig(kind="identity"), (LinearHead(zeros, zeros),))
    assert len(prepare(single, network, head, config=ScoreConfig()).views) == 1
