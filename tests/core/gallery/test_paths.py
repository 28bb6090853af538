"""Galleries that a stranger made: nothing in them leads out of their folder."""

from __future__ import annotations

import json
import ntpath
import posixpath
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import BuildConfig
from core.gallery.blocklist import Blocklist
from core.gallery.build import update
from core.gallery.examples import read_examples
from core.gallery.gallery import Gallery
from core.gallery.manifest import from_parquet, to_parquet
from core.gallery.paths import (
    check_links,
    check_phash,
    check_phashes,
    check_relative_path,
    check_relative_paths,
    check_sha256,
    check_sha256s,
    delete_inside,
    is_relative_path,
    lies_inside,
)
from core.gallery.remove import narrow, remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.values import GalleryError, ImageRecord

SMALL = BuildConfig(batch=2, shard=2, workers=1, thumbnail=32)
RECORD = ImageRecord(0, "a.png", "ab" * 32, "cd" * 8, 9, 9)
OUTSIDE = [
    "../x.png",
    "../../x.png",
    "trip/../../x.png",
    "/etc/hostname",
    "//server/share/x.png",
    "\\x.png",
    "..\\x.png",
    "trip\\..\\..\\x.png",
    "C:x.png",
    "C:\\x.png",
    "trip/.. /x.png",
    "trip//x.png",
    "trip/",
    "a\0b.png",
    "..",
    ".",
    "",
]


def refused(check, text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return True
    return False


@given(st.lists(st.text("a0./\\:\0\n é", max_size=6), max_size=4))
def test_columns_are_checked_as_each_text_is(texts: list[str]) -> None:
    """Arrow's engine for regular expressions is another one."""
    column = pa.chunked_array([pa.array(texts, pa.string())])
    meant = any(refused(check_relative_path, text) for text in texts)
    assert refused(check_relative_paths, column) == meant


@pytest.mark.parametrize("more", ["", "\n", "\0", "g", "A", " "])
def test_hashes_in_a_column_are_checked_whole(more: str) -> None:
    for check, one, length in ((check_sha256s, check_sha256, 64), (check_phashes, check_phash, 16)):
        for text in ("a" * length + more, more + "a" * length, "a" * (length - 1) + more):
            column = pa.chunked_array([["b" * length, text]])
            assert refused(check, column) == refused(one, text), text


@pytest.fixture
def folder(photos, tmp_path, encoder) -> Path:
    """A gallery that keeps its images in its own folder."""
    shutil.copytree(photos, tmp_path / "g" / "images")
    update(tmp_path / "g", Source(tmp_path / "g" / "images"), [encoder], config=SMALL)
    return tmp_path / "g"


@pytest.fixture
def victim(tmp_path) -> Path:
    """Something of the user's, outside the gallery."""
    (tmp_path / "victim" / "1").mkdir(parents=True)
    (tmp_path / "victim" / "1" / "letter.txt").write_text("dear")
    return tmp_path / "victim"


def manifest(folder: Path) -> Path:
    return next(iter(folder.glob("generations/*/manifest.parquet")))


def forge(folder: Path, column: str, value: str) -> None:
    """Give the first image of a gallery another value in its table."""
    path = manifest(folder)
    rows = pq.read_table(path).to_pylist()
    rows[0][column] = value
    schema = pq.read_schema(path)
    pq.write_table(pq.read_table(path).from_pylist(rows, schema=schema), path)


# The words of a manifest


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.slow
def test_a_manifest_that_names_an_image_outside_is_refused(folder, path: str) -> None:
    """Removing such an image in the app deleted the file that its path led to."""
    forge(folder, "path", path)
    with pytest.raises(GalleryError, match="not a path inside the gallery"):
        Gallery.open(folder)
    for change in (lambda: remove(folder, [0]), lambda: narrow(folder)):
        with pytest.raises(GalleryError, match="not a path inside the gallery"):
            change()
    assert verify(folder)


@pytest.mark.parametrize(
    "sha256", ["../../../victim", "AB" * 32, "ab" * 31, "ab" * 32 + "\n", "/" * 64, ""]
)
@pytest.mark.slow
def test_a_manifest_whose_hash_is_no_name_of_a_file_is_refused(folder, sha256: str) -> None:
    """The hash is the name of the thumbnail, which is shown, written and deleted."""
    forge(folder, "sha256", sha256)
    with pytest.raises(GalleryError, match="is not a SHA-256"):
        Gallery.open(folder)


@pytest.mark.parametrize("phash", ["", "0x" + "0" * 14, "+" + "0" * 15, " " + "0" * 15, "0_" * 8])
@pytest.mark.slow
def test_a_manifest_whose_perceptual_hash_is_none_is_refused(folder, phash: str) -> None:
    """Python takes some of these for numbers in base 16."""
    forge(folder, "phash", phash)
    with pytest.raises(GalleryError, match="perceptual hash has 16"):
        Gallery.open(folder)


@pytest.mark.parametrize("path", ["a.png", "trip/a b.png", "...x/..y.png", "é/\n.png", "a\\b.png"])
def test_ordinary_paths_are_read(tmp_path, path: str) -> None:
    record = ImageRecord(**{**vars(RECORD), "path": path})
    (tmp_path / "m").write_bytes(to_parquet([record]))
    assert from_parquet(tmp_path / "m") == (record,)


@given(st.text(st.sampled_from("ab./\\: \0C"), max_size=9))
def test_an_accepted_path_stays_below_its_folder_on_every_system(text: str) -> None:
    if not is_relative_path(text):
        return
    for system, root in ((posixpath, "/r/q"), (ntpath, "D:\\r\\q")):
        joined = system.normpath(system.join(root, text))
        assert joined.startswith(root + system.sep)
        assert "\0" not in joined


def test_a_file_whose_name_is_a_path_elsewhere_is_left_out(photos, tmp_path, encoder) -> None:
    """Its gallery could not have been opened again."""
    shutil.copy(photos / "01.png", photos / "C:x.png")
    change = update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert [skipped.path for skipped in change.skipped] == ["C:x.png"]
    assert len(Gallery.open(tmp_path / "g")) == 12


# The root


@pytest.mark.parametrize("root", ["..", "../victim", "images/../../victim", "a\0b", "C:victim"])
@pytest.mark.slow
def test_a_root_that_climbs_is_refused(folder, root: str) -> None:
    header = json.loads((folder / "gallery.json").read_text())
    (folder / "gallery.json").write_text(json.dumps({**header, "root": root}))
    with pytest.raises(GalleryError, match=r"gallery\.json of g is damaged"):
        Gallery.open(folder)


@pytest.mark.parametrize("root", ["/somewhere/else", "D:\\pictures"])
@pytest.mark.slow
def test_an_absolute_root_is_a_place_to_read_from_alone(folder, root: str) -> None:
    header = json.loads((folder / "gallery.json").read_text())
    (folder / "gallery.json").write_text(json.dumps({**header, "root": root}))
    assert not Gallery.open(folder).keeps_images


def test_a_root_that_is_a_link_is_a_place_to_read_from_alone(folder, tmp_path) -> None:
    (folder / "images").rename(tmp_path / "elsewhere")
    assert Gallery.open(folder).keeps_images
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert not Gallery.open(folder).keeps_images


# Links


@pytest.mark.parametrize(
    "name",
    [
        "generations",
        "thumbnails",
        "work",
        "lock",
        "blocklist.json",
        "tombstones.json",
        "gallery.json",
    ],
)
@pytest.mark.slow
def test_a_link_that_leads_out_is_refused_and_what_it_leads_to_is_left_alone(
    folder, victim, encoder, name: str
) -> None:
    """The generations before the last two were deleted wherever the link led."""
    if (folder / name).is_dir():
        shutil.copytree(folder / name, victim, dirs_exist_ok=True)
        shutil.rmtree(folder / name)
    elif (folder / name).exists():
        shutil.move(folder / name, victim / name)
    target = victim / name if (victim / name).exists() else victim
    target = target if name != "lock" else victim / "1" / "letter.txt"
    (folder / name).symlink_to(target)
    before = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}
    for change in (
        lambda: Gallery.open(folder),
        lambda: remove(folder, [0]),
        lambda: narrow(folder),
        lambda: update(folder, Source(folder / "images"), [encoder], config=SMALL),
    ):
        with pytest.raises(GalleryError, match="is a link that leads out of the gallery"):
            change()
    assert {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()} == before


def test_links_below_are_found_too(folder, victim) -> None:
    for path in (manifest(folder).parent / "x", folder / "thumbnails" / "zz"):
        path.symlink_to(victim)
        with pytest.raises(GalleryError, match="leads out"):
            Gallery.open(folder)
        path.unlink()
    (folder / "work" / "w").mkdir(parents=True)
    (folder / "work" / "w" / "shard-0").symlink_to(victim)
    with pytest.raises(GalleryError, match="leads out"):
        Gallery.open(folder)


def test_links_that_stay_inside_are_as_good_as_what_they_lead_to(folder, encoder) -> None:
    (folder / "thumbnails").rename(folder / "images" / "small")
    (folder / "thumbnails").symlink_to(folder / "images" / "small")
    assert len(Gallery.open(folder)) == 12
    loop = folder / "loop"
    loop.symlink_to(loop)
    with pytest.raises(GalleryError, match="leads out"):
        check_links([loop], folder)


def test_a_picture_that_is_a_link_out_of_the_gallery_is_not_shown(folder, victim) -> None:
    gallery = Gallery.open(folder)
    thumbnail = gallery.store.thumbnail(gallery.records[0].sha256)
    thumbnail.unlink()
    thumbnail.symlink_to(victim / "1" / "letter.txt")
    with pytest.raises(GalleryError, match="leads out"):
        gallery.store.thumbnail(gallery.records[0].sha256)
    assert [damage.what for damage in verify(folder) if "leads out" in damage.what]


def test_a_small_image_that_is_a_link_out_of_the_gallery_is_not_shown(tmp_path, victim) -> None:
    (tmp_path / "g" / "images").mkdir(parents=True)
    small = tmp_path / "g" / "images" / "a.webp"
    small.symlink_to(victim / "1" / "letter.txt")
    store = Store(tmp_path / "g", small={RECORD.sha256: small})
    assert store.thumbnail(RECORD.sha256) == store.made_thumbnail(RECORD.sha256)
    small.unlink()
    small.write_bytes(b"x")
    assert store.thumbnail(RECORD.sha256) == small


def test_only_what_lies_inside_is_deleted(tmp_path, victim) -> None:
    home = tmp_path / "home"
    (home / "images").mkdir(parents=True)
    (home / "images" / "own.png").write_bytes(b"x")
    (home / "link").symlink_to(victim)
    (home / "file").symlink_to(victim / "1" / "letter.txt")
    for path in ("../victim/1/letter.txt", "link/1/letter.txt"):
        assert not lies_inside(home / path, home)
        assert not delete_inside(home / path, home)
    assert delete_inside(home / "file", home)  # the link, which is its own
    assert delete_inside(home / "images" / "own.png", home)
    assert (victim / "1" / "letter.txt").read_text() == "dear"
    assert sorted(path.name for path in home.iterdir()) == ["images", "link"]


# The other files of a gallery


@pytest.mark.parametrize("name", [*OUTSIDE, "link.webp"])
def test_examples_are_files_beside_their_list(tmp_path, name: str) -> None:
    (tmp_path / "queries").mkdir()
    (tmp_path / "x.png").write_bytes(b"x")
    (tmp_path / "queries" / "link.webp").symlink_to(tmp_path / "x.png")
    listing = tmp_path / "queries" / "queries.json"
    listing.write_text(json.dumps({"queries": [{"file": name, "sources": []}]}))
    with pytest.raises(GalleryError, match=r"queries\.json is damaged"):
        read_examples(tmp_path)


@pytest.mark.parametrize("phash", ["0x" + "0" * 14, "+" + "0" * 15, "0_" * 8, "0" * 15])
def test_a_blocklist_holds_hashes_alone(tmp_path, phash: str) -> None:
    row = {"phash": phash, "mirrored": "0" * 16}
    (tmp_path / "tombstones.json").write_text(json.dumps({"tombstones": [row]}))
    with pytest.raises(GalleryError, match="damaged"):
        Blocklist(tmp_path)


def test_a_listing_that_names_files_elsewhere_is_damaged(folder, victim) -> None:
    """They were read, and whether they had a given content was told."""
    listing = manifest(folder).parent / "files.json"
    names = json.loads(listing.read_text())
    listing.write_text(json.dumps({**names, "../../../victim/1/letter.txt": "0"}))
    assert [(Path(d.file).name, d.what) for d in verify(folder)] == [
        ("files.json", "missing or damaged")
    ]
