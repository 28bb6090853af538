from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.config import BuildConfig, HeadConfig
from core.gallery import gallery as module
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
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
            gallery.digest(other)


def test_an_encoder_of_another_width_is_refused(gallery, encoder) -> None:
    encoder.dim = 13
    with pytest.raises(GalleryError, match=r"have shape \(12, 12\), expected \(12, 13\)"):
        gallery.features(encoder)


@pytest.mark.parametrize("name", ["features.npy", "patches.npy"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "text", "pickled", "fewer"])
@pytest.mark.slow
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
        with pytest.raises(GalleryError, match=r"manifest\.parquet is missing") as raised:
            Gallery.open(folder)
        assert raised.value.command[0] == "index"
        assert raised.value.command[2:] == ("--out", f"{folder}-again")


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


def test_two_names_of_the_same_weights_are_one_encoder(folder, gallery, make_encoder, photos):
    """Features were looked for by name, so that another name of the same weights found none."""
    other = make_encoder("runs/fake/encoder")
    assert gallery.key_of(other) == "fake@0000000000000000"
    np.testing.assert_array_equal(gallery.features(other), gallery.features(make_encoder()))
    assert update(folder, Source(photos), [other]).added == 0
    assert Gallery.open(folder).encoder_keys == ("fake@0000000000000000",)
    assert gallery.key_of(make_encoder(seed=3)) == "fake@0000000000000003"


def test_the_digest_of_an_encoder_is_the_same_where_the_list_cannot_be_read(
    folder, photos, encoder, write_image, monkeypatch
) -> None:
    """What followed from the features was computed again under another name."""
    monkeypatch.setattr("core.gallery.parts.SMALL", 0)
    write_image(photos / "new.png", 99)
    update(folder, Source(photos), [encoder], config=BuildConfig(thumbnail=32))
    gallery = Gallery.open(folder)
    assert len(gallery.contents.parts) == 2
    known = gallery.digest(encoder)
    (gallery.folder / "files.json").write_bytes(b"")
    assert Gallery.open(folder).digest(encoder) == known
