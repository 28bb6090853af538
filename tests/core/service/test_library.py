from __future__ import annotations

import errno
import itertools
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import ServerConfig
from core.gallery.checksums import LISTING, write_listing
from core.gallery.gallery import Gallery
from core.gallery.manifest import to_parquet
from core.images.files import folder_size
from core.service import building as module
from core.service.library import Library
from core.service.visitors import Visitors
from core.values import (
    Cancelled,
    GalleryError,
    ImageError,
    Progress,
    no_progress,
)

ANN = "ann-visits"
QUOTA = ServerConfig(hosted=True, max_images=5, max_unpacked_bytes=200_000)


@pytest.fixture
def make(tmp_path, encoder) -> Callable[..., Library]:
    def made(server: ServerConfig | None = None) -> Library:
        server = server or ServerConfig()
        visitors = Visitors(server)
        return Library(server, visitors, encoder=lambda _: encoder, home=tmp_path / "home")

    return made


@pytest.fixture
def photos(tmp_path, write_image) -> Path:
    for seed in range(4):
        write_image(tmp_path / "photos" / f"{seed}.png", seed)
    return tmp_path / "photos"


@pytest.fixture
def archive(photos, tmp_path) -> Path:
    with zipfile.ZipFile(tmp_path / "my trip.zip", "w") as packed:
        for path in sorted(photos.iterdir()):
            packed.write(path, path.name)
    return tmp_path / "my trip.zip"


def stop(*_: object, **__: object) -> None:
    raise Cancelled


def test_a_zip_becomes_a_gallery_that_is_kept_by_its_name(make, archive) -> None:
    library = make()
    name, change = library.build(archive, ["fake"])
    assert change.images == 4
    assert Path(name).name.startswith("my-trip-")
    assert library.kept() == [Path(name)]
    assert library.build(archive, ["fake"])[1].added == 0


@pytest.mark.slow
def test_a_gallery_is_called_as_its_zip_unless_another_one_is(make, archive, photos) -> None:
    """Its title was the name of its folder: the zip's, and a part of a hash."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    assert library.title(name) == archive.stem
    library.rename(name, "Ours")
    library.build(archive, ["fake"])
    assert library.title(name) == "Ours"
    (first := photos / "more").mkdir()
    (second := photos / "two" / "more").mkdir(parents=True)
    image = next(photos.glob("*.*")).read_bytes()
    for folder in (first, second):
        (folder / "a.png").write_bytes(image)
    titles = [library.title(library.build(str(each), ["fake"])[0]) for each in (first, second)]
    assert titles[0] == "more"
    assert titles[1].startswith("more-")


def test_other_zips_of_the_same_name_do_not_meet(make, archive, photos) -> None:
    library = make()
    first, _ = library.build(archive, ["fake"])
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(photos / "0.png", "0.png")
    second, change = library.build(archive, ["fake"])
    assert first != second
    assert change.images == 1


@pytest.mark.slow
def test_a_folder_is_indexed_where_it_lies_and_looked_at_again(make, photos, write_image) -> None:
    library = make()
    name, _ = library.build(str(photos), ["fake"])
    facts = library.facts(Gallery.open(Path(name)))
    assert not facts.keeps_images
    assert facts.storage == folder_size(Path(name)) > 0
    new = write_image(photos / "new.png", 9)
    assert library.refresh(name, progress=no_progress).added == 1
    with pytest.raises(GalleryError, match="put new ones there"):
        library.add(name, [new], progress=no_progress)
    library.remove(name, [0], progress=no_progress)
    assert (photos / "0.png").exists()


def test_a_cancelled_build_goes_on_with_what_was_done(make, archive, encoder, monkeypatch) -> None:
    library = make()
    calls = itertools.count()

    def stop_late(_done: int, _total: int, what: str) -> None:
        if what.startswith("reading") and next(calls) > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        library.build(archive, ["fake"], progress=stop)
    name, change = library.build(archive, ["fake"])
    assert change.images == 4
    assert len(Gallery.open(Path(name))) == 4


@pytest.mark.slow
def test_uploads_are_added_and_removed_with_their_files(make, archive, tmp_path, write_image):
    library = make()
    name, _ = library.build(archive, ["fake"])
    same_name = write_image(tmp_path / "more" / "0.png", 7)
    odd_name = write_image(tmp_path / "more" / "a b;c.png", 8)
    assert library.add(name, [same_name, odd_name], progress=no_progress).images == 6
    gallery = Gallery.open(Path(name))
    added = gallery.records[4:]
    assert added[0].path.startswith("0-")
    assert added[1].path == "a-b-c.png"
    library.remove(name, [added[1].id], progress=no_progress)
    assert not (gallery.root / "a-b-c.png").exists()
    assert library.refresh(name, progress=no_progress).images == 5


def test_removing_deletes_nothing_outside_the_gallery(make, archive, tmp_path) -> None:
    """A manifest made elsewhere could name any file, and removing that image deleted it."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    letter = tmp_path / "letter.png"
    letter.write_text("dear")
    table = next(Path(name).glob("generations/*/manifest.parquet"))
    whole = table.read_bytes()
    climbing = os.path.relpath(letter, Gallery.open(Path(name)).root)
    for path in (climbing, str(letter)):
        first, *rest = Gallery.open(Path(name)).records
        table.write_bytes(to_parquet([replace(first, path=path), *rest]))
        with pytest.raises(GalleryError, match="not a path inside the gallery"):
            library.remove(name, [0], progress=no_progress)
        assert letter.read_text() == "dear"
        table.write_bytes(whole)


def test_removing_deletes_nothing_where_a_link_leads(make, archive, tmp_path, write_image) -> None:
    """A folder of the gallery that is a link led to the user's own pictures."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    gallery = Gallery.open(Path(name))
    own = write_image(tmp_path / "own" / "mine.png", 30)
    (gallery.root / "more").symlink_to(own.parent)
    table = next(Path(name).glob("generations/*/manifest.parquet"))
    first, *rest = gallery.records
    table.write_bytes(to_parquet([replace(first, path="more/mine.png"), *rest]))
    (table.parent / LISTING).unlink()
    write_listing(table.parent)  # as its maker would
    assert library.remove(name, [first.id], progress=no_progress).images == 3
    assert own.exists()


@pytest.mark.slow
def test_uploads_are_written_into_the_gallery_alone(make, archive, tmp_path, write_image) -> None:
    """They went through links: to a folder elsewhere, or over the file that one led to."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    root = Gallery.open(Path(name)).root
    (tmp_path / "letter").write_text("dear")
    (root / ".new.png.part").symlink_to(tmp_path / "letter")
    new = write_image(tmp_path / "new.png", 31)
    assert library.add(name, [new], progress=no_progress).images == 5
    assert (tmp_path / "letter").read_text() == "dear"
    root.rename(tmp_path / "elsewhere")
    root.symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").iterdir())
    with pytest.raises(GalleryError, match="put new ones there"):
        library.add(name, [write_image(tmp_path / "other.png", 32)], progress=no_progress)
    assert sorted((tmp_path / "elsewhere").iterdir()) == before


@pytest.mark.slow
def test_a_bad_upload_is_named_and_costs_the_others_nothing(
    make, archive, tmp_path, write_image
) -> None:
    """One bad file of many refused them all."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    (tmp_path / "bad.png").write_text("no image")
    good = write_image(tmp_path / "good.png", 8)
    change = library.add(name, [tmp_path / "bad.png", good], progress=no_progress)
    assert (change.images, change.added) == (5, 1)
    assert [each.path for each in change.skipped] == ["bad.png"]
    assert not (Gallery.open(Path(name)).root / "bad.png").exists()
    with pytest.raises(ImageError, match="not an image"):
        library.add(name, [tmp_path / "bad.png"], progress=no_progress)
    assert len(Gallery.open(Path(name))) == 5


def stop_at(step: str, number: int) -> Progress:
    """Progress that stops the work when a step is told of for the so manieth time."""
    told = list[str]()

    def report(_done: int, _total: int, what: str) -> None:
        told.append(what)
        if sum(each.startswith(step) for each in told) == number:
            raise Cancelled("stopped")

    return report


@pytest.mark.parametrize(
    ("step", "number"), [("looking", 2), ("copying", 2), ("comparing files", 1), ("reading", 1)]
)
@pytest.mark.slow
def test_a_stopped_addition_leaves_no_file(
    make, archive, tmp_path, write_image, step: str, number: int
) -> None:
    """All uploads were looked at and copied whatever was asked, and their copies stayed."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    root = Gallery.open(Path(name)).root
    before = sorted(root.iterdir())
    more = [write_image(tmp_path / "more" / f"{seed}.png", seed) for seed in (0, 7, 8)]
    with pytest.raises(Cancelled):
        library.add(name, more, progress=stop_at(step, number))
    assert sorted(root.iterdir()) == before
    assert library.refresh(name, progress=no_progress).added == 0
    assert library.add(name, more, progress=no_progress).images == 6


def test_what_was_added_stays_when_what_follows_is_stopped(
    make, archive, tmp_path, write_image, monkeypatch
) -> None:
    """Its files must not go with a stop of what is computed ahead."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    monkeypatch.setattr(module, "finish", stop)
    with pytest.raises(Cancelled):
        library.add(name, [write_image(tmp_path / "new.png", 8)], progress=no_progress)
    gallery = Gallery.open(Path(name))
    assert len(gallery) == 5
    assert (gallery.root / "new.png").exists()


def test_a_stopped_removal_removes_nothing(make, archive) -> None:
    """Nothing asked whether to go on."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    with pytest.raises(Cancelled):
        library.remove(name, [0, 1], progress=stop)
    gallery = Gallery.open(Path(name))
    assert len(gallery) == 4
    assert all((gallery.root / record.path).exists() for record in gallery.records)


def test_the_embedded_gallery_is_never_changed(make) -> None:
    for server in (None, QUOTA):
        with pytest.raises(GalleryError, match="build one of your own"):
            make(server).remove("builtin", [0], visitor=ANN, progress=no_progress)


def test_the_embedded_gallery_is_not_changed_by_its_folder_either(make, archive, monkeypatch):
    """Named by its folder it could be."""
    library = make()
    name, _ = library.build(archive, ["fake"])
    monkeypatch.setattr("core.gallery.gallery.SHIPPED", Path(name))
    for change in (
        library.refresh,
        library.finish,
        lambda name, progress: library.remove(name, [0], progress=progress),
        lambda name, **_: library.opt_out(name, [0]),
        lambda name, **_: library.rename(name, "mine"),
    ):
        with pytest.raises(GalleryError, match="build one of your own"):
            change(name, progress=no_progress)


def test_no_encoder_is_refused(make, archive) -> None:
    with pytest.raises(GalleryError, match="choose at least one"):
        make().build(archive, [])


def test_a_full_disk_is_told_with_what_to_do(make, archive, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "materialise", full)
    with pytest.raises(GalleryError, match="free some space and try again"):
        make().build(archive, ["fake"])


# Hosted


@pytest.mark.slow
def test_a_visitor_builds_from_a_zip_and_stays_within_the_quota(
    make, archive, tmp_path, write_image
) -> None:
    library = make(QUOTA)
    name, change = library.build(archive, ["fake"], visitor=ANN)
    assert (len(name), change.images) == (32, 4)
    more = [write_image(tmp_path / f"n{seed}.png", seed) for seed in (7, 8)]
    with pytest.raises(GalleryError, match="exceed 5 images"):
        library.add(name, more, visitor=ANN, progress=no_progress)
    assert library.add(name, more[:1], visitor=ANN, progress=no_progress).images == 5
    with pytest.raises(GalleryError, match="not here"):
        library.remove(name, [0], visitor="somebody-else", progress=no_progress)
    assert library.kept() == []


@pytest.mark.parametrize(
    "source", ["/etc", "hf:/etc", "hf:../../etc", "hf:a/b/c", "photos", "hf:a/b:../c", "hf:"]
)
def test_a_hosted_server_takes_no_folders(make, source: str) -> None:
    with pytest.raises(GalleryError, match="not a dataset named as hf:user/name"):
        make(QUOTA).build(source, ["fake"], visitor=ANN)


def test_a_hosted_dataset_is_never_a_folder_of_the_server(make, tmp_path, monkeypatch) -> None:
    pytest.importorskip("datasets")
    (tmp_path / "user" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GalleryError, match="cannot be opened"):
        make(QUOTA).build("hf:user/name", ["fake"], visitor=ANN)


def test_a_hosted_dataset_is_cut_at_the_quota(make, photos, monkeypatch) -> None:
    rows = [{"image": {"bytes": path.read_bytes()}, "n": 1} for path in sorted(photos.iterdir())]
    monkeypatch.setattr(
        "core.gallery.datasets.open_dataset", lambda *_, **__: (itertools.cycle(rows), "image")
    )
    library = make(QUOTA)
    name, change = library.build("hf:user/name", ["fake"], visitor=ANN)
    assert change.images == QUOTA.max_images
    assert Gallery.open(library.folder(name, visitor=ANN)).records[0].extra == {"n": "1"}
    small = ServerConfig(hosted=True, max_unpacked_bytes=100)
    with pytest.raises(GalleryError, match="exceed the accepted 100 bytes"):
        make(small).build("hf:user/name", ["fake"], visitor=ANN)


def test_a_hosted_dataset_reads_no_file_of_the_server(make, monkeypatch) -> None:
    rows = [{"image": {"bytes": None, "path": "/etc/hostname"}}]
    monkeypatch.setattr("core.gallery.datasets.open_dataset", lambda *_, **__: (rows, "image"))
    with pytest.raises(GalleryError, match="not its own"):
        make(QUOTA).build("hf:user/name", ["fake"], visitor=ANN)


def test_a_link_names_no_folder_of_the_machine(make, photos, tmp_path):
    library = make()
    built, _ = library.build(photos, encoders=["small"])
    elsewhere = tmp_path / "elsewhere" / "mine"
    shutil.copytree(built, elsewhere)
    for name in (built, str(elsewhere), "builtin"):
        link = library.link_of(name)
        assert str(tmp_path) not in link
        assert "/" not in link
        assert library.linked(link) == name
    assert make().linked(library.link_of(built)) == built  # another start of the program
    assert library.linked("nowhere") == "nowhere"


@pytest.mark.parametrize("server", [ServerConfig(), QUOTA], ids=["own", "hosted"])
def test_a_zip_can_be_stopped_while_it_is_looked_at(make, archive, server) -> None:
    """Its digest was computed to the end before anything was told."""
    library = make(server)
    told: list[str] = []

    def stopped(_done: int, _total: int, what: str) -> None:
        told.append(what)
        raise Cancelled

    with pytest.raises(Cancelled):
        library.build(archive, ["fake"], visitor=ANN, progress=stopped)
    assert told == ["megabytes of the file read"]
    assert not library.kept()
    assert library.build(archive, ["fake"], visitor=ANN)[1].images == 4
