"""Heads fitted to known pairs of a gallery: which pairs count, and what stands behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig
from core.encoders.baselines import BASELINES
from core.encoders.load import ShippedHeads
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.heads.fit import fit_head
from core.search.prepare import image_hashes
from core.service import pairs as service
from core.service.choice import Choice
from core.service.pairs import known_pairs, paired_head
from core.service.session import Session
from core.values import GalleryError
from tests.core.cli.calls import call, failed, said

PLAIN = BASELINES["thumbnail"]()
RIDGE = HeadConfig(kind="ridge", shrinkage=0.1)


def _pixels(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return Image.fromarray(noise).resize((70, 60), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Sixty photographs, a gallery of them, and two darker images of each of the first twelve."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "photos").mkdir()
    (folder / "made").mkdir()
    rows = []
    for i in range(60):
        _pixels(i).save(folder / "photos" / f"{i}.png")
    for i in range(24):
        dark = (np.asarray(_pixels(i // 2)) * (0.5 + 0.01 * i)).astype(np.uint8)
        Image.fromarray(dark).save(folder / "made" / f"{i}.png")
        names = {"exemplars": [f"photos/{i // 2}.png"], "generated": f"made/{i}.png"}
        rows.append({"source": "dark", "generator": "g"} | names)
    (folder / "pairs.json").write_text(json.dumps(rows))
    update(folder / "gallery", Source(folder / "photos"), [PLAIN])
    return folder


def _fitted(world, *, pairs="pairs.json"):
    gallery = Gallery.open(world / "gallery")
    return paired_head(
        gallery, PLAIN, known_pairs(gallery, world / pairs), folder=world, config=RIDGE
    )


def _pairs(world, name, rows):
    (world / name).write_text(json.dumps(rows))
    return world / name


def _rows(world):
    return json.loads((world / "pairs.json").read_text())


@pytest.mark.parametrize("kind", ["ridge", "infonce"])
@pytest.mark.slow
def test_a_head_of_pairs_is_fitted_saved_and_asked(world, tmp_path, kind):
    where = ("--encoder", "thumbnail", "--out", tmp_path / "head", "--json")
    arguments = ("fit-head", world / "gallery", "--kind", kind, *where)
    found = said(call(*arguments, "--pairs", world / "pairs.json"))
    assert found["name"].startswith(f"{kind}-")
    assert said(call(*arguments, "--pairs", world / "pairs.json")) == found  # the seed decides
    choice = Choice("thumbnail", str(tmp_path / "head"), str(world / "gallery"))
    session = Session()
    answer = session.attribute(world / "made" / "3.png", choice)
    assert answer.matches[0].image.path == "1.png"
    assert answer.p_value is not None
    workspace = session.workspace(choice)
    assert workspace.collection.views[0].fitted is None  # the null holds the head fixed


@pytest.mark.slow
def test_only_pairs_of_the_gallery_count_and_files_are_known_by_their_contents(world):
    rows = _rows(world)
    stranger = {**rows[0], "exemplars": ["made/0.png"]}
    path = _pairs(world, "more.json", [*rows, stranger])
    gallery = Gallery.open(world / "gallery")
    assert known_pairs(gallery, path) == known_pairs(gallery, world / "pairs.json")
    assert _fitted(world, pairs="more.json").identity == _fitted(world).identity
    none = _pairs(world, "none.json", [stranger])
    with pytest.raises(GalleryError, match=r"no exemplar of none.json is an image of the gallery"):
        known_pairs(gallery, none)


@pytest.mark.slow
def test_too_many_and_too_few_exemplars_are_refused(world):
    rows = _rows(world)
    many = [{**rows[0], "exemplars": [f"photos/{i}.png"]} for i in range(13)]
    _pairs(world, "many.json", many)
    with pytest.raises(GalleryError, match="13 of the gallery's 60 images are exemplars"):
        _fitted(world, pairs="many.json")
    _pairs(world, "few.json", rows[:8])
    with pytest.raises(GalleryError, match="at least 10 different exemplars, got 4"):
        _fitted(world, pairs="few.json")


@pytest.mark.slow
def test_a_generated_image_that_cannot_be_read_is_named(world):
    (world / "made" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    _pairs(
        world, "broken.json", [*_rows(world), {**_rows(world)[0], "generated": "made/broken.png"}]
    )
    with pytest.raises(GalleryError, match=r"broken\.png cannot be taken"):
        _fitted(world, pairs="broken.json")


@pytest.mark.slow
def test_equal_generated_images_count_twice(world):
    (world / "made" / "again.png").write_bytes((world / "made" / "0.png").read_bytes())
    _pairs(world, "again.json", [*_rows(world), {**_rows(world)[0], "generated": "made/again.png"}])
    assert _fitted(world, pairs="again.json").width == PLAIN.dim


@pytest.mark.slow
def test_what_stands_behind_was_never_fitted_on_the_gallery(world, monkeypatch):
    """A head that the gallery's images were fitted to would make its p-values too small."""
    gallery = Gallery.open(world / "gallery")
    features = np.asarray(gallery.features(PLAIN), np.float32)
    elsewhere = fit_head(features[::-1] ** 2, config=HeadConfig(k=20))
    here = elsewhere.with_images(image_hashes(gallery.records))
    for shipped, dim in ((elsewhere, 20), (here, 35)):
        monkeypatch.setattr(service, "shipped_heads", lambda _, head=shipped: ShippedHeads(head))
        assert _fitted(world).dim == dim  # 35: the pairs' 36 images whiten one dimension less


def test_pairs_and_their_kinds_are_asked_for_together(world):
    arguments = ("fit-head", world / "gallery", "--out", world / "head")
    for more in [("--kind", "ridge"), ("--kind", "whiten", "--pairs", world / "pairs.json")]:
        failed(call(*arguments, *more), "are used together", code=2)
    domains = ("--pairs", world / "pairs.json", "--per-domain", "--synthetic", world / "made")
    failed(call(*arguments, "--kind", "ridge", *domains), "leave --per-domain out", code=2)
