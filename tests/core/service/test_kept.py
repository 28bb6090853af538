"""A large gallery's null survives a small change, and no other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import core.service.kept
from core.config import BuildConfig, GroupConfig, HeadConfig, NullConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.manifest import hash_of
from core.gallery.remove import remove
from core.gallery.source import Source
from core.heads.head import Head, LinearHead
from core.service.kept import count_changed
from core.service.workspace import Workspace
from tests.core.made import draw_noise

DIM = 12
LARGE = ScoreConfig(exact=10)
"""Settings under which a small gallery is taken as a large one is."""


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    draw_noise(tmp_path / "photos", range(60))
    return tmp_path / "photos"


@pytest.fixture
def asked(monkeypatch) -> list[int]:
    """Images of the galleries in which nulls are fitted."""
    found, real = list[int](), core.service.kept.fit_null

    def watched(collection, **how):
        found.append(len(collection))
        return real(collection, **how)

    watched.__module__ = real.__module__
    monkeypatch.setattr(core.service.kept, "fit_null", watched)
    monkeypatch.setattr(core.service.kept, "MOST", 0.05)  # three images of these
    return found


def head_times(scale: float) -> Head:
    """A head that was fitted elsewhere, so that vectors stay as they are."""
    linear = LinearHead(np.zeros(DIM, np.float32), np.full(DIM, scale, np.float32))
    return Head(HeadConfig(kind="identity"), (linear,))


def null_in(folder: Path, encoder, *, score: ScoreConfig = LARGE, scale: float = 1, seed: int = 0):
    config = NullConfig(queries=30, seed=seed)
    gallery = Gallery.open(folder)
    return Workspace(gallery, encoder, head_times(scale), score=score, null=config).null


def build(photos: Path, encoder) -> Path:
    folder = photos.parent / "g"
    update(folder, Source(photos), [encoder], config=BuildConfig(thumbnail=32))
    return folder


def test_a_null_is_kept_through_few_changes_and_fitted_anew_after_more(photos, encoder, asked):
    first = null_in(build(photos, encoder), encoder)
    draw_noise(photos, range(60, 62))
    folder = build(photos, encoder)
    assert null_in(folder, encoder).identity == first.identity
    remove(folder, {Gallery.open(folder).records[0].id})
    (photos / "000.png").unlink()
    assert null_in(folder, encoder).identity == first.identity
    assert asked == [60]
    draw_noise(photos, range(62, 63))  # the fourth, and one went of the first two
    again = null_in(build(photos, encoder), encoder)
    assert asked == [60, 62] and again.identity != first.identity
    draw_noise(photos, range(63, 66))
    assert null_in(build(photos, encoder), encoder).identity == again.identity


def test_it_is_of_one_head_and_one_scoring(photos, encoder, asked):
    null_in(build(photos, encoder), encoder)
    draw_noise(photos, range(60, 61))
    folder = build(photos, encoder)
    null_in(folder, encoder, scale=2)
    null_in(folder, encoder, score=ScoreConfig(exact=10, candidates=30))
    null_in(folder, encoder, seed=1)
    assert asked == [60, 61, 61, 61]


def test_a_small_gallery_has_its_own(photos, encoder, asked):
    null_in(build(photos, encoder), encoder, score=ScoreConfig())
    draw_noise(photos, range(60, 61))
    null_in(build(photos, encoder), encoder, score=ScoreConfig())
    assert asked == [60, 61]


def test_one_that_is_damaged_is_fitted_anew(photos, encoder, asked):
    folder = build(photos, encoder)
    null_in(folder, encoder)
    for path in folder.rglob("nulls-*/margins.npy"):
        np.save(path, np.load(path)[::-1])
    draw_noise(photos, range(60, 61))
    null_in(build(photos, encoder), encoder)
    assert asked == [60, 61]


def test_other_ways_to_group_copies_are_other_nulls(photos, encoder, asked, monkeypatch):
    null_in(build(photos, encoder), encoder)
    draw_noise(photos, range(60, 61))
    folder = build(photos, encoder)
    monkeypatch.setattr("core.service.kept.GroupConfig", lambda: GroupConfig(neighbours=3))
    null_in(folder, encoder)
    assert asked == [60, 61]


def test_nothing_names_an_image_that_went(photos, encoder, asked):
    folder = build(photos, encoder)
    null_in(folder, encoder)
    gone = Gallery.open(folder).records[0]
    remove(folder, {gone.id})
    null_in(folder, encoder)
    assert asked == [60]
    current = max(folder.glob("generations/*"), key=lambda path: int(path.name))
    kept = [np.load(path) for path in current.rglob("nulls-*/images.npy")]
    assert kept and not any(np.isin(hash_of(gone.sha256), images) for images in kept)


def test_the_very_same_file_twice_is_no_change():
    images = np.array([5, 5, 7, 9])
    assert count_changed(images, images[::-1]) == 0
    assert count_changed(images, np.array([5, 7, 9, 9, 11])) == 3
