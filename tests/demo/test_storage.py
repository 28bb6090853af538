"""A gallery that ships small: small images are their own thumbnails, features take 8 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig
from core.encoders.baselines import BASELINES
from core.encoders.load import load_encoder
from core.evidence.null import fit_null
from core.explain.projection import fit_map
from core.gallery.build import update
from core.gallery.gallery import SHIPPED, Gallery
from core.gallery.narrow import load_array, narrow_array
from core.gallery.remove import narrow, remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.search.prepare import fitted_head
from core.service.heads import choose_head
from core.service.workspace import Workspace
from core.values import GalleryError
from demo.pack import ENCODERS, pack

PLAIN = BASELINES["thumbnail"]()


def draw(folder: Path, count: int, *, suffix: str = ".webp", side: int = 64) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(side)
    for number in range(count):
        cells = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        picture = Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)
        picture.save(folder / f"{side}-{number}{suffix}")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery in whose own folder eight small WebP files lie."""
    images = draw(tmp_path / "g" / "images", 8)
    update(tmp_path / "g", Source(images), [PLAIN])
    return tmp_path / "g"


def test_small_webp_files_of_the_gallery_are_their_own_thumbnails(folder: Path):
    gallery = Gallery.open(folder)
    shown = {gallery.store.thumbnail(record.sha256) for record in gallery.records}
    assert shown == set((folder / "images").iterdir())
    assert not list(folder.glob("thumbnails/*/*"))
    assert verify(folder) == []


def test_large_ones_other_formats_and_those_from_elsewhere_have_thumbnails(tmp_path: Path):
    inside = tmp_path / "g" / "images"
    draw(inside, 1, suffix=".png")
    draw(inside, 1, side=300)
    update(tmp_path / "g", Source(inside), [PLAIN])
    outside = draw(tmp_path / "photos", 1)
    update(tmp_path / "h", Source(outside), [PLAIN])
    for name, count in (("g", 2), ("h", 1)):
        gallery = Gallery.open(tmp_path / name)
        shown = {gallery.store.thumbnail(record.sha256) for record in gallery.records}
        assert shown == set((tmp_path / name / "thumbnails").glob("*/*.webp"))
        assert len(shown) == count


def test_taking_an_image_out_of_the_gallery_leaves_its_file(folder: Path):
    gallery = Gallery.open(folder)
    remove(folder, [gallery.records[0].id])
    assert (folder / "images" / gallery.records[0].path).is_file()
    assert len(Gallery.open(folder)) == 7


def test_a_damaged_file_is_found(folder: Path):
    record = Gallery.open(folder).records[0]
    (folder / "images" / record.path).write_bytes(b"RIFF")
    assert [damage.file for damage in verify(folder)] == [f"images/{record.path}"]


def test_narrowed_features_are_near_and_rank_alike(folder: Path):
    before = np.array(Gallery.open(folder).features(PLAIN), np.float32)
    narrow(folder)
    gallery = Gallery.open(folder)
    after = gallery.features(PLAIN)
    step = np.ptp(before, axis=0) / 255
    assert (np.abs(after.astype(np.float32) - before) <= 0.51 * step + 1e-3).all()
    assert np.load(gallery.folder / f"thumbnail@{PLAIN.identity}" / "features.npy").dtype == "uint8"
    head = fitted_head(gallery, PLAIN, config=HeadConfig(kind="center"))
    wide, narrowed = (head(rows.astype(np.float32), role="gallery") for rows in (before, after))
    assert (np.argsort(wide @ wide.T) == np.argsort(narrowed @ narrowed.T)).mean() > 0.9
    assert verify(folder) == []


def test_a_narrowed_gallery_takes_new_images_and_keeps_the_old_values(folder: Path):
    narrow(folder)
    before = np.array(Gallery.open(folder).features(PLAIN))
    change = update(folder, Source(draw(folder / "images", 2, side=40)), [PLAIN])
    assert change.added == 2
    gallery = Gallery.open(folder)
    rows = [row for row, record in enumerate(gallery.records) if record.path.startswith("64")]
    assert np.array_equal(gallery.features(PLAIN)[rows], before)


def test_a_constant_column_is_kept(tmp_path: Path):
    np.save(tmp_path / "features.npy", np.array([[1, 0.25], [3, 0.25]], np.float16))
    narrow_array(tmp_path / "features.npy")
    assert load_array(tmp_path / "features.npy").tolist() == [[1, 0.25], [3, 0.25]]


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_lost_or_short_range_is_an_error(tmp_path: Path, damage: str):
    path = tmp_path / "features.npy"
    np.save(path, np.ones((4, 3), np.float16))
    narrow_array(path)
    (tmp_path / "features-range.npy").unlink()
    if damage == "short":
        np.save(tmp_path / "features-range.npy", np.ones((2, 2), np.float32))
    with pytest.raises(GalleryError, match="damaged"):
        load_array(path)


def test_an_empty_gallery_cannot_be_narrowed(tmp_path: Path):
    Store(tmp_path / "g").create("g", root="images")
    with pytest.raises(GalleryError, match="no image"):
        narrow(tmp_path / "g")


def test_packing_ships_groups_nulls_and_maps_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first visitor of the map had waited for its layout, half a minute long."""
    monkeypatch.setattr("demo.pack.ENCODERS", (PLAIN.name,))
    pack(folder)
    gallery = Gallery.open(folder, read_only=True)
    kinds = sorted(path.name.partition("-")[0] for path in gallery.artefacts.folder.iterdir())
    assert kinds == ["groups", "map", "null"]
    with monkeypatch.context() as patched:
        patched.setattr("core.service.kept.fit_null", not_again(fit_null))
        patched.setattr("core.service.kept.fit_map", not_again(fit_map))
        workspace = Workspace(gallery, PLAIN, choose_head(gallery, PLAIN, "default"))
        assert len(workspace.layout().points) == len(gallery)


def test_packing_leaves_one_generation_and_counts_bytes(folder: Path):
    sizes = pack(folder)
    assert [path.name for path in (folder / "generations").iterdir()] == ["2"]
    assert sizes["images"] == sum(path.stat().st_size for path in (folder / "images").iterdir())
    assert verify(folder) == []


def not_again(function):
    """A function of the same code that must not be called."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    refuse.__module__ = function.__module__
    return refuse


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_the_shipped_nulls_and_maps_are_those_of_this_code(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    """Else the first answer waits for them: ``python -m demo.pack --artefacts`` makes them anew."""
    gallery = Gallery.open(SHIPPED, read_only=True)
    encoder = load_encoder(name)
    monkeypatch.setattr("core.service.kept.fit_null", not_again(fit_null))
    monkeypatch.setattr("core.service.kept.fit_map", not_again(fit_map))
    workspace = Workspace(gallery, encoder, choose_head(gallery, encoder, "default"))
    assert len(workspace.null.margins) == len(gallery)
    assert len(workspace.layout().points) == len(gallery)
