"""Heads, views and groups of a gallery: computed once, kept, and never served stale."""

from __future__ import annotations

import dataclasses
import errno
import functools
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import BuildConfig, GroupConfig, HeadConfig, RegistrationConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.narrow import load_array
from core.gallery.opting import opt_in, opt_out
from core.gallery.remove import remove
from core.gallery.source import Source
from core.heads.head import Head
from core.search import carried
from core.search import prepare as module
from core.search.graph import Graph
from core.search.prepare import fitted_head, prepare
from core.search.ranking import Collection
from core.search.updating import compared
from core.values import Cancelled, GalleryError

WHITEN = HeadConfig(kind="whiten", k=5)


@pytest.fixture
def folder(photos, tmp_path, encoder) -> Path:
    update(tmp_path / "g", Source(photos), [encoder], config=BuildConfig(thumbnail=32))
    return tmp_path / "g"


@pytest.fixture
def gallery(folder) -> Gallery:
    return Gallery.open(folder)


def stored(gallery: Gallery, encoder, name: str = "features.npy") -> Path:
    return gallery.folder / encoder_key(encoder) / name


def prepared(gallery: Gallery, encoder, head: Head, **score) -> Collection:
    return prepare(gallery, encoder, head, config=ScoreConfig(**score))


def kept(gallery: Gallery, kind: str) -> Path:
    """The one folder in which a value of a kind is kept."""
    (found,) = gallery.artefacts.folder.glob(f"{kind}-*")
    return found


def test_features_that_are_not_numbers_are_an_error_of_ours(gallery, encoder) -> None:
    """The head's ValueError passed through."""
    path = stored(gallery, encoder)
    features = np.load(path)
    features[4, 2] = np.nan
    np.save(path, features)
    with pytest.raises(GalleryError, match=r"features of fake are damaged .*row 4"):
        fitted_head(gallery, encoder, config=WHITEN)
    features[4, 2] = 0
    np.save(path, features)
    head = fitted_head(gallery, encoder, config=WHITEN)
    features[4, 2] = np.inf
    np.save(path, features)
    with pytest.raises(GalleryError, match="features of fake are damaged"):
        prepared(gallery, encoder, head)


def test_embedding_a_gallery_can_be_stopped(gallery, encoder) -> None:
    head = fitted_head(gallery, encoder, config=WHITEN)

    def stop(_done: int, _total: int, what: str) -> None:
        if what == "embedding images":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        prepare(gallery, encoder, head, config=ScoreConfig(), progress=stop)
    assert not list(gallery.artefacts.folder.glob("vectors-*"))


def test_heads_are_fitted_once_per_setting(gallery, encoder, monkeypatch) -> None:
    synthetic = np.random.default_rng(0).normal(size=(20, 12)).astype(np.float32)
    domain = dataclasses.replace(WHITEN, per_domain=True)
    first = fitted_head(gallery, encoder, config=WHITEN)
    other = fitted_head(gallery, encoder, config=dataclasses.replace(WHITEN, shrinkage=0.2))
    paired = fitted_head(gallery, encoder, config=domain, synthetic=synthetic)
    shifted = fitted_head(gallery, encoder, config=domain, synthetic=synthetic + 1)
    assert len({h.identity for h in (first, other, paired, shifted)}) == 4
    monkeypatch.setattr(module, "fit_head", None)
    assert fitted_head(gallery, encoder, config=WHITEN).identity == first.identity
    assert (
        fitted_head(gallery, encoder, config=domain, synthetic=synthetic).identity
        == paired.identity
    )


def test_vectors_are_those_of_the_head_and_are_kept(gallery, encoder, monkeypatch) -> None:
    head = fitted_head(gallery, encoder, config=WHITEN)
    found = prepared(gallery, encoder, head)
    view = found.views[0]
    meant = head(gallery.features(encoder), role="gallery")
    np.testing.assert_array_equal(view.vectors, meant)
    others = (meant @ meant.T)[~np.eye(12, dtype=bool)].reshape(12, 11)
    nearest = np.sort(others, 1)[:, ::-1][:, :10].mean(1)
    np.testing.assert_allclose(view.csls_means, nearest, atol=1e-5)
    assert found.groups.tolist() == list(range(12))
    assert view.fitted.all()
    monkeypatch.setattr(module, "neighbour_graph", None)
    again = prepared(gallery, encoder, head).views[0]
    assert isinstance(again.vectors, np.memmap)
    np.testing.assert_array_equal(again.vectors, meant)
    with pytest.raises(TypeError):
        prepared(gallery, encoder, fitted_head(gallery, encoder, config=HeadConfig(kind="center")))


@pytest.mark.slow
def test_changed_settings_and_code_are_never_served_stale(gallery, encoder, monkeypatch) -> None:
    """Kept values were named by hand: a changed default was served what an older one had made."""
    head = fitted_head(gallery, encoder, config=WHITEN)
    prepared(gallery, encoder, head)
    count = len(list(gallery.artefacts.folder.iterdir()))
    prepared(gallery, encoder, head)
    assert len(list(gallery.artefacts.folder.iterdir())) == count
    prepared(gallery, encoder, head, neighbours=3)
    assert len(list(gallery.artefacts.folder.glob("csls-*"))) == 2
    prepared(gallery, encoder, head, search="hnsw")  # local scaling may walk too
    assert len(list(gallery.artefacts.folder.glob("csls-*"))) == 3
    loose = GroupConfig(max_hash_distance=9)
    monkeypatch.setattr(module, "GroupConfig", lambda: loose)
    prepared(gallery, encoder, head)
    assert len(list(gallery.artefacts.folder.glob("groups-*"))) == 2
    strict = GroupConfig(crops=RegistrationConfig(agreement=0.95))
    monkeypatch.setattr(module, "GroupConfig", lambda: strict)
    prepared(gallery, encoder, head)
    assert len(list(gallery.artefacts.folder.glob("groups-*"))) == 3
    assert len(list(gallery.artefacts.folder.glob("crops-*"))) == 2
    monkeypatch.setattr("core.gallery.artefacts.code_version", lambda _: "anothers")
    prepared(gallery, encoder, head)
    assert {p.name.split("-")[1] for p in gallery.artefacts.folder.iterdir()} >= {"anothers"}
    assert len(list(gallery.artefacts.folder.glob("groups-*"))) == 1  # older code's are gone


@pytest.mark.slow
def test_a_head_knows_the_gallery_that_it_was_fitted_on(gallery, photos, tmp_path, encoder):
    """A saved head carried no word of it, so its p-values were held against a null too narrow."""
    head = fitted_head(gallery, encoder, config=WHITEN)
    head.save(tmp_path / "head")
    assert prepared(gallery, encoder, Head.load(tmp_path / "head")).views[0].fitted.all()
    update(tmp_path / "few", Source(photos, ("01.png", "02.png", "04.png")), [encoder])
    few = Gallery.open(tmp_path / "few")
    assert prepared(few, encoder, head).views[0].fitted is None
    unknown = dataclasses.replace(head, seen=None)
    assert prepared(gallery, encoder, unknown).views[0].fitted is None


def test_copies_form_one_group(photos, tmp_path, encoder) -> None:
    shutil.copy(photos / "01.png", photos / "99.png")
    update(tmp_path / "twins", Source(photos), [encoder])
    gallery = Gallery.open(tmp_path / "twins")
    head = fitted_head(gallery, encoder, config=WHITEN)
    groups = prepared(gallery, encoder, head).groups
    rows = {r.path: row for row, r in enumerate(gallery.records)}
    assert groups[rows["01.png"]] == groups[rows["99.png"]] == rows["01.png"]
    assert len(set(groups.tolist())) == 12


def test_nothing_is_kept_of_a_read_only_gallery(folder, encoder) -> None:
    before = sorted(folder.rglob("*"))
    gallery = Gallery.open(folder, read_only=True)
    prepared(gallery, encoder, fitted_head(gallery, encoder, config=WHITEN))
    assert sorted(folder.rglob("*")) == before


def test_what_was_kept_damaged_is_computed_again(gallery, encoder, caplog) -> None:
    """The error asked to build the gallery again, which changed nothing."""
    head = fitted_head(gallery, encoder, config=WHITEN)
    whole = np.array(prepared(gallery, encoder, head).views[0].vectors)
    array = kept(gallery, "vectors") / "vectors.npy"
    array.write_bytes(array.read_bytes()[:-5])
    (kept(gallery, "head") / "head.safetensors").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        again = fitted_head(gallery, encoder, config=WHITEN)
        np.testing.assert_array_equal(prepared(gallery, encoder, again).views[0].vectors, whole)
    assert again.identity == head.identity
    assert len([r for r in caplog.records if "computed again" in r.message]) == 2
    np.testing.assert_array_equal(load_array(array), whole)
    caplog.clear()
    prepared(gallery, encoder, fitted_head(gallery, encoder, config=WHITEN))
    assert not caplog.records


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("vectors", "vectors", np.ones((12, 5), np.float32)),
        ("vectors", "vectors", np.full((12, 5), np.nan, np.float32)),
        ("vectors", "vectors", np.zeros((11, 5), np.float32)),
        ("vectors", "vectors", np.zeros((12, 5), np.int64)),
        ("csls", "csls_means", np.full(12, np.inf, np.float32)),
        ("csls", "csls_means", np.zeros(3, np.float32)),
        ("groups", "groups", np.full(12, 99)),
        ("groups", "groups", np.full(12, -1)),
        ("groups", "groups", np.zeros(12)),
    ],
)
@pytest.mark.slow
def test_kept_values_that_cannot_be_right_are_computed_again(
    gallery, encoder, kind: str, name: str, value: np.ndarray
) -> None:
    """Readable arrays of other values were served: NaN scores, rows beyond the end."""
    head = fitted_head(gallery, encoder, config=WHITEN)

    def found() -> list[np.ndarray]:
        world = prepared(gallery, encoder, head)
        return [
            np.array(a) for a in (world.views[0].vectors, world.views[0].csls_means, world.groups)
        ]

    meant = found()
    np.save(kept(gallery, kind) / f"{name}.npy", value)
    for _ in range(2):
        for one, two in zip(found(), meant, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_full_disk_costs_only_what_would_be_kept(gallery, encoder, monkeypatch, caplog) -> None:
    """A reader of a full or read-only disk got the error of the file system."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    monkeypatch.setattr(module, "HEAD_CODEC", dataclasses.replace(module.HEAD_CODEC, save=full))
    head = fitted_head(gallery, encoder, config=WHITEN)
    assert prepared(gallery, encoder, head).views[0].vectors.shape == (12, 5)
    assert len([r for r in caplog.records if "could not be kept" in r.message]) == 6
    monkeypatch.undo()
    assert not list(gallery.folder.rglob("*.part"))
    assert isinstance(fitted_head(gallery, encoder, config=WHITEN), Head)


def test_a_large_gallery_is_walked_and_a_small_one_is_not(gallery, encoder) -> None:
    head = fitted_head(gallery, encoder, config=WHITEN)
    small = prepared(gallery, encoder, head)
    assert small.views[0].walk is None
    assert not list(gallery.artefacts.folder.glob("walk-*"))
    large = prepared(gallery, encoder, head, exact=5)
    assert large.views[0].walk is not None
    assert (large.views[0].vectors.dtype, small.views[0].vectors.dtype) == (np.float16, np.float32)
    graphs = [each.views[0].graph() for each in (small, large)]
    assert [graph.recall[0] for graph in graphs] == [1, 1]
    np.testing.assert_array_equal(graphs[0].rows, graphs[1].rows[:, :11])
    np.testing.assert_allclose(large.views[0].csls_means, small.views[0].csls_means, atol=1e-3)
    assert prepared(gallery, encoder, head, exact=5, search="exact").views[0].walk is None
    assert prepared(gallery, encoder, head, search="hnsw").views[0].walk is not None


def test_neighbours_are_found_once(gallery, encoder, monkeypatch) -> None:
    """CSLS means compared all with all once more, whatever the groups had found."""
    head = fitted_head(gallery, encoder, config=WHITEN)
    calls: list[int] = []

    def counted(vectors, rows, **more):
        calls.append(len(vectors))
        return compared(vectors, rows, **more)

    monkeypatch.setattr("core.search.graph.compared", counted)
    prepared(gallery, encoder, head)
    prepared(gallery, encoder, head, neighbours=3)
    assert calls == [12]


@pytest.mark.slow
def test_damaged_neighbours_are_found_again(gallery, encoder) -> None:
    head = fitted_head(gallery, encoder, config=WHITEN)
    graph = prepared(gallery, encoder, head).views[0].graph()
    meant = {name: np.array(getattr(graph, name)) for name in ("rows", "cosines")}
    damaged = {
        "rows": (np.full((12, 11), 12, np.int32), np.zeros((3, 11), np.int32), np.zeros(12)),
        "cosines": (np.full((12, 11), 2, np.float32), np.zeros((12, 11)), np.zeros((12, 4), "f4")),
    }
    for name, arrays in damaged.items():
        for damage in arrays:
            np.save(kept(gallery, "neighbours") / f"{name}.npy", damage)
            found = prepared(gallery, encoder, head).views[0].graph()
            np.testing.assert_array_equal(getattr(found, name), meant[name])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_crops_after_any_change_are_those_found_from_nothing(
    seed, photos, folder, encoder, write_image, monkeypatch
) -> None:
    """Pairs of images that were there are not looked at again, and none is served stale."""
    looked, fresh, rng = [], [], np.random.default_rng(seed)
    real = carried.crop_links

    @functools.wraps(real)
    def watched(near, patches, *, known, progress, **given):
        found = real(near, patches, known=known, progress=progress, **given)
        alone = real(near, patches, **given)
        np.testing.assert_array_equal(found.pairs, alone.pairs)
        np.testing.assert_array_equal(found.linked, alone.linked)
        looked.append(len(found.pairs))
        fresh.append(looked[-1] if known is None else int((known.of(found.pairs) < 0).sum()))
        return found

    monkeypatch.setattr(carried, "crop_links", watched)

    def prepare_now() -> None:
        gallery = Gallery.open(folder)
        prepared(gallery, encoder, fitted_head(gallery, encoder, config=WHITEN))

    prepare_now()
    assert fresh == looked
    for step in range(6):
        gallery = Gallery.open(folder)
        ids = [record.id for record in gallery.records]
        match rng.integers(4):
            case 0:
                write_image(photos / f"new{step}.png", 100 + step)
                shutil.copy(photos / f"new{step}.png", photos / f"copy{step}.png")
                update(folder, Source(photos), [encoder])
            case 1:
                remove(folder, [int(rng.choice(ids))])
            case 2:
                opt_out(folder, [int(rng.choice(ids))])
            case _:
                opt_in(folder, [record.id for record in gallery.opted_out])
                write_image(photos / gallery.records[0].path, 200 + step)  # another under its name
                update(folder, Source(photos), [encoder])
        prepare_now()
    assert sum(fresh) < sum(looked) / 1.5


def test_images_that_lie_apart_are_not_looked_at_as_crops(gallery, encoder) -> None:
    """They were most of what a large gallery waited for, and hardly one was a crop."""
    found = prepared(gallery, encoder, fitted_head(gallery, encoder, config=WHITEN))
    vectors, limits = found.views[0].vectors, GroupConfig()
    pairs = np.load(kept(gallery, "crops") / "pairs.npy")
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1)[:, : limits.crop_neighbours]
    near = [(i, int(j)) for i, row in enumerate(nearest) for j in row]
    expected = {frozenset(pair) for pair in near if cosines[pair] >= limits.crop_cosine}
    assert 0 < len(expected) < len({*map(frozenset, near)})
    assert len(pairs) == len(expected)
    assert {*map(frozenset, pairs.tolist())} == expected


def test_pairs_whose_thumbnail_was_gone_are_looked_at_again(photos, folder, encoder) -> None:
    shutil.copy(photos / "01.png", photos / "copy.png")
    with Image.open(photos / "copy.png") as image:
        image.save(photos / "copy.png", compress_level=1)  # the same picture in other bytes
    update(folder, Source(photos), [encoder], config=BuildConfig(thumbnail=32))
    gallery = Gallery.open(folder)
    head = fitted_head(gallery, encoder, config=HeadConfig(kind="identity"))
    row = next(r for r, record in enumerate(gallery.records) if record.path == "copy.png")
    thumbnail = gallery.store.thumbnail(gallery.records[row].sha256)
    content = thumbnail.read_bytes()
    thumbnail.unlink()

    def remembered() -> np.ndarray:
        prepared(gallery, encoder, head)
        return (np.load(kept(gallery, "crops") / "pairs.npy") == row).any(axis=1)

    few = remembered()
    thumbnail.write_bytes(content)
    shutil.rmtree(kept(gallery, "groups"))
    every = remembered()
    assert every.any()
    assert len(few) < len(every)


@pytest.mark.slow
def test_a_change_compares_what_it_touches_under_a_head_that_stays(
    photos, folder, encoder, write_image, monkeypatch
) -> None:
    """Neighbours of a head fitted elsewhere; one fitted on the gallery itself changes with it."""
    for number in range(60):
        write_image(photos / f"more{number}.png", 500 + number)
    update(folder, Source(photos), [encoder])
    elsewhere = fitted_head(Gallery.open(folder), encoder, config=WHITEN)
    head = dataclasses.replace(elsewhere, seen=None)
    calls: list[int] = []

    def counted(vectors, rows, **more):
        calls.append(len(rows))
        return compared(vectors, rows, **more)

    def graph_now() -> Graph:
        gallery = Gallery.open(folder)
        found = prepared(gallery, encoder, head).views[0]
        alone = Gallery.open(folder, read_only=True)
        alone.artefacts.folder = alone.artefacts.folder / "none"
        alone.artefacts.earlier = ()
        other = prepared(alone, encoder, head)
        np.testing.assert_array_equal(found.graph().rows, other.views[0].graph().rows)
        np.testing.assert_array_equal(found.graph().cosines, other.views[0].graph().cosines)
        np.testing.assert_array_equal(found.csls_means, other.views[0].csls_means)
        return found.graph()

    graph_now()
    monkeypatch.setattr("core.search.updating.compared", counted)
    write_image(photos / "new.png", 99)
    update(folder, Source(photos), [encoder])
    assert len(graph_now().rows) == 73
    assert calls == [1]
    opt_out(folder, [0])
    assert len(graph_now().rows) == 72
    assert len(calls) == 2
    assert 0 < calls[1] < 72 * 0.75
