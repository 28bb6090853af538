"""Edges stand beside networks in a gallery, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.encoders.backbones import BackboneConfig, build
from core.encoders.baselines import BASELINES, EDGE_GRID
from core.encoders.network import NetworkEncoder
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.remove import remove
from core.gallery.source import Source
from core.search.edges import (
    EDGES,
    edge_parts,
    edges_beside,
    with_edges,
)

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
    update(folder / "g", Source(folder), with_edges([network, BASELINES["histogram"]()]))
    return Gallery.open(folder / "g")


def test_only_networks_bring_edges_and_only_once(network: NetworkEncoder):
    plain = BASELINES["histogram"]()
    assert with_edges([plain]) == [plain]
    assert with_edges([plain, network]) == [plain, network, EDGES]
    assert with_edges([EDGES, network]) == [EDGES, network]


def test_a_recoloured_image_is_nearest_to_itself(gallery: Gallery, network: NetworkEncoder):
    edges = edges_beside(gallery, network, groups=np.arange(COUNT))
    assert edges is not None
    for row, record in enumerate(gallery.records):
        image = picture(int(record.path[0])).convert("L").point(lambda v: 255 - v // 2)
        cosines = edges.embedded.embeddings @ edges.of(image.convert("RGB"))
        assert cosines.argmax() == row


def test_what_is_kept_is_what_is_computed(gallery: Gallery, network: NetworkEncoder):
    groups = np.array([0, 1, 1, 3, 4, 5, 6])
    first, again = (edges_beside(gallery, network, groups=groups) for _ in range(2))
    other = edges_beside(gallery, network, groups=np.arange(COUNT))
    assert first is not None and again is not None and other is not None
    np.testing.assert_array_equal(again.embedded.hubness, first.embedded.hubness)
    assert not np.array_equal(other.embedded.hubness, first.embedded.hubness)


def test_baselines_single_images_and_galleries_without_edges_have_none(
    gallery: Gallery, network: NetworkEncoder, tmp_path: Path
):
    groups = np.arange(COUNT)
    assert edges_beside(gallery, BASELINES["histogram"](), groups=groups) is None
    update(tmp_path / "bare", Source(gallery.root), [network])
    assert edges_beside(Gallery.open(tmp_path / "bare"), network, groups=groups) is None
    remove(gallery.store.folder, [record.id for record in gallery.records[1:]])
    single = Gallery.open(gallery.store.folder)
    assert edges_beside(single, network, groups=np.arange(1)) is None


def test_parts_sum_to_the_cosine():
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((2, EDGES.dim)).astype(np.float32)
    parts = edge_parts(one, two)
    assert parts.shape == (EDGE_GRID.size,)
    assert parts.sum() == pytest.approx(one @ two, rel=1e-4)
