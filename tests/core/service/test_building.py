"""One door to build: what every caller gets, and that nothing is left to the first reader."""

from __future__ import annotations

import logging
import shutil
import zipfile
from pathlib import Path

import pytest

from core.encoders.load import load_encoder
from core.gallery.artefacts import Artefacts, Codec, Key
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.gallery.verify import verify
from core.service import building
from core.service.building import bring_up, build, finish
from core.service.choice import Choice
from core.service.session import Session
from core.values import Cancelled, GalleryError


@pytest.fixture(scope="module")
def network():
    return load_encoder("random")


def kinds(folder: Path) -> set[str]:
    """Kinds of values that are kept with a gallery."""
    found = Gallery.open(folder).artefacts.folder.glob("[!.]*")
    return {path.name.partition("-")[0] for path in found}


def answered_from_what_is_kept(
    folder: Path, photos: Path, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first answer, which is to compute nothing."""
    before = sorted(folder.rglob("*"))

    def read_only(self: Artefacts, key: Key, _compute: object, *, codec: Codec[object]) -> object:
        return codec.load(self.folder / str(key))

    monkeypatch.setattr(Artefacts, "get", read_only)
    answer = Session().attribute(photos / "01.png", Choice(encoder, gallery=str(folder)))
    assert answer.matches[0].image.path == "01.png"
    assert sorted(folder.rglob("*")) == before
    assert verify(folder) == []


@pytest.mark.slow
def test_a_built_gallery_leaves_nothing_to_its_first_reader(
    photos, tmp_path, network, monkeypatch
) -> None:
    """Whoever asked first waited for the embeddings, the groups and the null of every encoder."""
    build(str(photos), tmp_path / "g", [network])
    assert {"head", "vectors", "groups", "null", "csls"} <= kinds(tmp_path / "g")
    answered_from_what_is_kept(tmp_path / "g", photos, "random", monkeypatch)


@pytest.mark.slow
def test_what_is_added_is_finished_too(photos, tmp_path, network, write_image) -> None:
    build(str(photos), tmp_path / "g", [network])
    write_image(photos / "new.png", 99)
    folder = tmp_path / "g"
    encoders = [load_encoder(name) for name in Gallery.open(folder).encoder_names]
    assert bring_up(folder, Source(photos), encoders).added == 1
    assert "null" in kinds(folder)


@pytest.mark.slow
def test_neighbours_are_found_though_what_follows_from_them_is_there(
    photos, tmp_path, network
) -> None:
    """Where the disk was full just for them, every later reader had to find them again."""
    build(str(photos), tmp_path / "g", [network])
    for path in Gallery.open(tmp_path / "g").artefacts.folder.glob("neighbours-*"):
        shutil.rmtree(path)
    finish(tmp_path / "g", [network])
    assert "neighbours" in kinds(tmp_path / "g")


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.slow
def test_a_gallery_too_small_for_a_null_is_built_all_the_same(
    tmp_path, network, write_image, count: int
) -> None:
    for seed in range(count):
        write_image(tmp_path / "photos" / f"{seed}.png", seed)
    change = build(str(tmp_path / "photos"), tmp_path / "g", [network])
    assert change.images == count


@pytest.mark.slow
def test_what_cannot_be_computed_ahead_is_left_to_the_reader(
    photos, tmp_path, network, monkeypatch, caplog
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise GalleryError("too small")

    monkeypatch.setattr(building, "Workspace", refuse)
    with caplog.at_level(logging.INFO, "core.service.building"):
        assert build(str(photos), tmp_path / "g", [network]).images == 12
    assert "too small" in caplog.text


@pytest.mark.slow
def test_finishing_stops_when_asked_and_goes_on(photos, tmp_path, network) -> None:
    def stop(_done: int, _total: int, what: str) -> None:
        if what == "comparing all images with all":
            raise Cancelled

    folder = tmp_path / "g"
    with pytest.raises(Cancelled):
        build(str(photos), folder, [network], progress=stop)
    assert len(Gallery.open(folder)) == 12
    assert "null" not in kinds(folder)
    finish(folder, [network])
    assert "null" in kinds(folder)


@pytest.mark.slow
def test_the_builtin_gallery_is_not_written_to(photos, tmp_path, network, monkeypatch) -> None:
    build(str(photos), tmp_path / "g", [network])
    monkeypatch.setattr("core.gallery.gallery.SHIPPED", tmp_path / "g")
    monkeypatch.setattr(building, "Workspace", None)
    finish(tmp_path / "g", [network])


@pytest.mark.parametrize("name", ["thumbnail", "phash", "edges"])
@pytest.mark.slow
def test_galleries_of_baselines_are_finished_too(photos, tmp_path, monkeypatch, name: str) -> None:
    """Whoever asked one first waited for its null: only networks were looked at."""
    build(str(photos), tmp_path / "g", [load_encoder(name)])
    assert {"head", "vectors", "groups", "null", "csls"} <= kinds(tmp_path / "g")
    answered_from_what_is_kept(tmp_path / "g", photos, name, monkeypatch)


@pytest.mark.slow
def test_what_only_serves_networks_is_not_finished_by_itself(photos, tmp_path, network) -> None:
    build(str(photos), tmp_path / "g", [network])
    found = Gallery.open(tmp_path / "g")
    assert {"edges", "palette", "random"} == set(found.encoder_names)
    assert len([*found.artefacts.folder.glob("null-*")]) == 1


@pytest.mark.slow
def test_a_folder_a_zip_and_its_images_give_one_gallery(photos, tmp_path, encoder) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for path in photos.rglob("*.png"):
            packed.write(path, path.relative_to(photos).as_posix())
    for number, source in enumerate([photos, str(tmp_path / "a.zip"), tmp_path / "a.zip"]):
        assert build(source, tmp_path / f"g{number}", [encoder]).images == 12
    one, *others = (Gallery.open(tmp_path / f"g{number}") for number in range(3))
    assert all(other.identity == one.identity for other in others)
