from __future__ import annotations

import dataclasses
import errno
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.config import BuildConfig, HeadConfig
from core.gallery import gallery as module
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key, load_array
from core.gallery.source import Source
from core.values import GalleryError

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


def test_keys_are_names_and_identities_fit_for_folders(make_encoder) -> None:
    assert encoder_key(make_encoder("moco", seed=5)) == "moco@0000000000000005"
    assert encoder_key(make_encoder("/runs/a b/../c")) == "-runs-a-b-..-c@0000000000000000"
    assert len(encoder_key(make_encoder("x" * 500))) == 57


def test_a_gallery_knows_its_images(gallery, encoder) -> None:
    assert len(gallery) == 12
    assert all(gallery.records[gallery.row_of[r.id]] is r for r in gallery.records)
    assert gallery.features(encoder).dtype == np.float16
    assert gallery.patches(encoder).shape == (12, 16, gallery.patch_head(encoder).dim)
    assert (gallery.name, gallery.encoder_names) == ("g", ("fake",))


def test_the_identity_follows_ids_and_contents(gallery, folder, photos, tmp_path, encoder) -> None:
    assert Gallery.open(folder).identity == gallery.identity
    update(tmp_path / "same", Source(photos), [encoder])
    assert Gallery.open(tmp_path / "same").identity == gallery.identity
    update(tmp_path / "less", Source(photos, ("01.png",)), [encoder])
    assert Gallery.open(tmp_path / "less").identity != gallery.identity


def test_another_encoder_is_refused_with_what_there_is(gallery, make_encoder) -> None:
    for other in (make_encoder("other", seed=9), make_encoder(seed=9)):
        with pytest.raises(GalleryError, match=r"has no features of encoder .* fake@0000"):
            gallery.features(other)
        with pytest.raises(GalleryError, match="no features"):
            gallery.fit(other, config=WHITEN)


def test_an_encoder_of_another_width_is_refused(gallery, encoder) -> None:
    encoder.dim = 13
    with pytest.raises(GalleryError, match=r"have shape \(12, 12\), expected \(12, 13\)"):
        gallery.features(encoder)


@pytest.mark.parametrize("name", ["features.npy", "patches.npy"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "text", "pickled", "fewer"])
def test_damaged_arrays_are_refused(gallery, encoder, name: str, damage: str) -> None:
    path = stored(gallery, encoder, name)
    whole = path.read_bytes()
    path.unlink()
    if damage == "pickled":
        np.save(path, np.array([{}], object), allow_pickle=True)
    elif damage == "fewer":
        np.save(path, np.zeros((3, 12), np.float16))
    elif damage != "missing":
        path.write_bytes({"truncated": whole[:-9], "empty": b"", "text": b"text"}[damage])
    read = gallery.features if name == "features.npy" else gallery.patches
    with pytest.raises(GalleryError, match=r"build the gallery again"):
        read(encoder)


def test_a_lost_or_damaged_patch_head_is_refused(gallery, encoder) -> None:
    """Without it the gallery silently answered without re-ranking."""
    head = stored(gallery, encoder, "patch_head")
    (head / "head.json").write_text("{")
    with pytest.raises(GalleryError):
        gallery.patch_head(encoder)
    shutil.rmtree(head)
    with pytest.raises(GalleryError):
        gallery.patch_head(encoder)


def test_an_encoder_without_space_has_neither_patches_nor_their_head(
    photos, tmp_path, make_encoder
) -> None:
    plain = make_encoder(space=False)
    update(tmp_path / "plain", Source(photos), [plain])
    gallery = Gallery.open(tmp_path / "plain")
    assert gallery.patches(plain) is None
    assert gallery.patch_head(plain) is None


def test_a_damaged_table_is_refused(folder, gallery) -> None:
    table = gallery.folder / "manifest.parquet"
    whole = table.read_bytes()
    for data in (whole[:-20], b"", None):
        table.write_bytes(data) if data is not None else table.unlink()
        with pytest.raises(GalleryError, match=r"manifest\.parquet is missing or damaged"):
            Gallery.open(folder)


def test_a_generation_that_is_not_there_is_refused(folder) -> None:
    header = json.loads((folder / "gallery.json").read_text())
    (folder / "gallery.json").write_text(json.dumps(header | {"generation": 7}))
    with pytest.raises(GalleryError, match="missing or damaged"):
        Gallery.open(folder)


def test_a_reader_that_meets_a_commit_opens_the_newer_generation(
    folder, gallery, encoder, photos, write_image, monkeypatch
) -> None:
    old = gallery.header
    write_image(photos / "new.png", 100)
    update(folder, Source(photos), [encoder])
    shutil.rmtree(gallery.folder)
    new, asked = Gallery.open(folder).header, []

    def header(_: object) -> object:
        asked.append(1)
        return old if len(asked) == 1 else new

    monkeypatch.setattr(module.Store, "header", header)
    assert len(Gallery.open(folder)) == 13


def test_features_that_are_not_numbers_are_an_error_of_ours(gallery, encoder) -> None:
    """The head's ValueError passed through."""
    path = stored(gallery, encoder)
    features = np.load(path)
    features[4, 2] = np.nan
    np.save(path, features)
    with pytest.raises(GalleryError, match=r"features of fake are damaged .*row 4"):
        gallery.fit(encoder, config=WHITEN)
    features[4, 2] = 0
    np.save(path, features)
    head = gallery.fit(encoder, config=WHITEN)
    features[4, 2] = np.inf
    np.save(path, features)
    with pytest.raises(GalleryError, match="features of fake are damaged"):
        gallery.embedded(encoder, head)


def test_heads_are_fitted_once_per_setting(gallery, encoder, monkeypatch) -> None:
    synthetic = np.random.default_rng(0).normal(size=(20, 12)).astype(np.float32)
    domain = dataclasses.replace(WHITEN, per_domain=True)
    first = gallery.fit(encoder, config=WHITEN)
    other = gallery.fit(encoder, config=dataclasses.replace(WHITEN, shrinkage=0.2))
    paired = gallery.fit(encoder, config=domain, synthetic=synthetic)
    shifted = gallery.fit(encoder, config=domain, synthetic=synthetic + 1)
    assert len({h.identity for h in (first, other, paired, shifted)}) == 4
    monkeypatch.setattr(module, "fit_head", None)
    assert gallery.fit(encoder, config=WHITEN).identity == first.identity
    assert gallery.fit(encoder, config=domain, synthetic=synthetic).identity == paired.identity


def test_embeddings_are_those_of_the_head_and_are_kept(gallery, encoder, monkeypatch) -> None:
    head = gallery.fit(encoder, config=WHITEN)
    found = gallery.embedded(encoder, head)
    meant = head(gallery.features(encoder), role="gallery")
    np.testing.assert_array_equal(found.embeddings, meant)
    others = (meant @ meant.T)[~np.eye(12, dtype=bool)].reshape(12, 11)
    np.testing.assert_allclose(
        found.hubness, np.sort(others, 1)[:, ::-1][:, :10].mean(1), atol=1e-5
    )
    assert found.groups.tolist() == list(range(12))
    monkeypatch.setattr(module, "neighbours", None)
    again = gallery.embedded(encoder, head)
    assert isinstance(again.embeddings, np.memmap)
    np.testing.assert_array_equal(again.embeddings, meant)
    with pytest.raises(TypeError):
        gallery.embedded(encoder, gallery.fit(encoder, config=HeadConfig(kind="center")))


def test_copies_form_one_group(photos, tmp_path, encoder) -> None:
    shutil.copy(photos / "01.png", photos / "99.png")
    update(tmp_path / "twins", Source(photos), [encoder])
    gallery = Gallery.open(tmp_path / "twins")
    groups = gallery.embedded(encoder, gallery.fit(encoder, config=WHITEN)).groups
    rows = {r.path: row for row, r in enumerate(gallery.records)}
    assert groups[rows["01.png"]] == groups[rows["99.png"]] == rows["01.png"]
    assert len(set(groups.tolist())) == 12


def test_two_names_of_the_same_weights_are_one_encoder(folder, gallery, make_encoder, photos):
    """Features were looked for by name, so that another name of the same weights found none."""
    other = make_encoder("runs/fake/encoder")
    assert gallery.key_of(other) == "fake@0000000000000000"
    np.testing.assert_array_equal(gallery.features(other), gallery.features(make_encoder()))
    assert update(folder, Source(photos), [other]).added == 0
    assert Gallery.open(folder).encoder_keys == ("fake@0000000000000000",)
    assert gallery.key_of(make_encoder(seed=3)) == "fake@0000000000000003"


def test_nothing_is_kept_of_a_read_only_gallery(folder, encoder) -> None:
    before = sorted(folder.rglob("*"))
    gallery = Gallery.open(folder, read_only=True)
    gallery.embedded(encoder, gallery.fit(encoder, config=WHITEN))
    assert sorted(folder.rglob("*")) == before


def test_what_was_kept_damaged_is_computed_again(gallery, encoder, caplog) -> None:
    """The error asked to build the gallery again, which changed nothing."""
    head = gallery.fit(encoder, config=WHITEN)
    whole = np.array(gallery.embedded(encoder, head).embeddings)
    array = gallery.head_folder(encoder, head) / "embedded-3" / "embeddings.npy"
    array.write_bytes(array.read_bytes()[:-5])
    (fitted,) = stored(gallery, encoder, "fitted").iterdir()
    (fitted / "head.safetensors").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        again = gallery.fit(encoder, config=WHITEN)
        np.testing.assert_array_equal(gallery.embedded(encoder, again).embeddings, whole)
    assert again.identity == head.identity
    assert len([r for r in caplog.records if "computed again" in r.message]) == 2
    np.testing.assert_array_equal(load_array(array), whole)
    caplog.clear()
    gallery.embedded(encoder, gallery.fit(encoder, config=WHITEN))
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("embeddings", np.ones((12, 5), np.float32)),
        ("embeddings", np.full((12, 5), np.nan, np.float32)),
        ("embeddings", np.zeros((11, 5), np.float32)),
        ("embeddings", np.zeros((12, 5), np.int64)),
        ("hubness", np.full(12, np.inf, np.float32)),
        ("hubness", np.zeros(3, np.float32)),
        ("groups", np.full(12, 99)),
        ("groups", np.full(12, -1)),
        ("groups", np.zeros(12)),
    ],
)
def test_kept_values_that_cannot_be_right_are_computed_again(
    gallery, encoder, name: str, value: np.ndarray
) -> None:
    """Readable arrays of other values were served: NaN scores, rows beyond the end."""
    head = gallery.fit(encoder, config=WHITEN)
    whole = gallery.embedded(encoder, head)
    meant = {
        field: np.array(getattr(whole, field)) for field in ("embeddings", "hubness", "groups")
    }
    np.save(gallery.head_folder(encoder, head) / "embedded-3" / f"{name}.npy", value)
    for _ in range(2):
        again = gallery.embedded(encoder, head)
        for field, array in meant.items():
            np.testing.assert_array_equal(getattr(again, field), array)


def test_a_full_disk_costs_only_what_would_be_kept(gallery, encoder, monkeypatch, caplog) -> None:
    """A reader of a full or read-only disk got the error of the file system."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    monkeypatch.setattr(module.Head, "save", full)
    head = gallery.fit(encoder, config=WHITEN)
    assert gallery.embedded(encoder, head).embeddings.shape == (12, 5)
    assert len([r for r in caplog.records if "could not be kept" in r.message]) == 2
    monkeypatch.undo()
    assert not list(gallery.folder.rglob("*.part"))
    assert isinstance(gallery.fit(encoder, config=WHITEN), module.Head)


def test_an_array_is_never_unpickled(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(GalleryError, match=r"a\.npy is missing or damaged"):
        load_array(tmp_path / "a.npy")
