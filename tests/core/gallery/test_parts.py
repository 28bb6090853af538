"""Parts of a generation: which stay, how their files are shared, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.gallery import parts as module
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.manifest import from_parquet, to_parquet
from core.gallery.opting import opt_out
from core.gallery.parts import PARTS, Part, kept_parts, read_parts, write_parts
from core.gallery.remove import narrow, remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.images.files import read_json, write_json
from core.values import GalleryError


@pytest.fixture
def folder(photos, tmp_path, encoder, write_image, monkeypatch) -> Path:
    """Twelve images and, as a part of their own, three that came."""
    monkeypatch.setattr(module, "SMALL", 0)
    update(tmp_path / "g", Source(photos), [encoder])
    for number in range(3):
        write_image(photos / f"new-{number}.png", 50 + number)
    update(tmp_path / "g", Source(photos), [encoder])
    return tmp_path / "g"


def truth(folder: Path, encoder) -> dict[str, tuple[bytes, bytes]]:
    """What is stored of every image, by its content."""
    gallery = Gallery.open(folder, whole=True)
    features, patches = gallery.features(encoder), gallery.patches(encoder)
    assert patches is not None and len(features) == len(patches) == len(gallery)
    rows = enumerate(gallery.records.texts("sha256"))
    return {sha: (features[row].tobytes(), patches[row].tobytes()) for row, sha in rows}


def names(folder: Path) -> list[str]:
    return [part.name for part in Gallery.open(folder).contents.parts]


def inodes(folder: Path) -> dict[str, int]:
    """Files of the current generation's features by their paths there."""
    generation = Gallery.open(folder).folder
    files = [*generation.rglob("*.npy"), *generation.rglob("manifest.parquet")]
    return {path.relative_to(generation).as_posix(): path.stat().st_ino for path in files}


def test_what_comes_is_a_part_and_the_others_are_shared(folder, encoder, photos, tmp_path) -> None:
    assert names(folder) == [".", "parts/2"]
    first = Gallery.open(folder).store.generation(1)
    for name in (
        "manifest.parquet",
        *(f"{encoder_key(encoder)}/{a}.npy" for a in ("features", "patches")),
    ):
        assert (first / name).samefile(first.with_name("2") / name)
    update(tmp_path / "again", Source(photos), [encoder])
    one, other = truth(folder, encoder), truth(tmp_path / "again", encoder)
    assert one.keys() == other.keys()
    assert {sha: rows[0] for sha, rows in one.items()} == {s: r[0] for s, r in other.items()}
    assert verify(folder) == []


def test_what_goes_is_only_noted(folder, encoder) -> None:
    before, known = inodes(folder), truth(folder, encoder)
    gone = Gallery.open(folder).records[4]
    remove(folder, [gone.id])
    assert inodes(folder) == before
    assert truth(folder, encoder) == {s: rows for s, rows in known.items() if s != gone.sha256}
    assert Gallery.open(folder).contents.parts[0].gone == (4,)
    assert verify(folder) == []


def test_a_part_that_is_mostly_gone_is_written_anew_with_all_after_it(folder, encoder) -> None:
    known = truth(folder, encoder)
    remove(folder, [12, 13])
    assert names(folder) == [".", "parts/3"]
    left = {r.sha256 for r in Gallery.open(folder).records}
    remove(folder, range(7))
    assert names(folder) == ["."]
    assert Gallery.open(folder).contents.parts == (Part("."),)
    assert left > set(truth(folder, encoder)) and truth(folder, encoder).items() <= known.items()
    assert verify(folder) == []


def test_a_reader_keeps_its_generation(folder, encoder) -> None:
    reader = Gallery.open(folder)
    before = np.array(reader.features(encoder))
    remove(folder, [0, 12])
    again = Gallery(reader.store, reader.header, reader.contents, read_only=True)
    np.testing.assert_array_equal(again.features(encoder), before)
    assert len(again.patches(encoder)) == 15


def test_a_reader_whose_generation_is_gone_is_told_so(folder, encoder) -> None:
    """It was told that the gallery lacks the encoder, and that no image has local descriptors."""
    reader = Gallery.open(folder)
    remove(folder, [0])
    remove(folder, [1])
    for ask in (reader.features, reader.patches, reader.patch_head, reader.digest):
        with pytest.raises(GalleryError, match="open it again"):
            ask(encoder)
    assert len(Gallery.open(folder).features(encoder)) == 13


def test_what_is_known_of_an_image_changes_without_its_features(folder, encoder, photos) -> None:
    before, known = inodes(folder), truth(folder, encoder)
    (photos / "01.png").rename(photos / "other.png")
    (photos / "metadata.csv").write_text("file_name,title\nnew-1.png,a title\n")
    update(folder, Source(photos), [encoder])
    gallery = Gallery.open(folder)
    assert {record.path for record in gallery.records} >= {"other.png", "new-1.png"}
    assert [r.title for r in gallery.records if r.title] == ["a title"]
    assert truth(folder, encoder) == known
    after = inodes(folder)
    assert {name for name in after if after[name] != before[name]} == {
        "manifest.parquet",
        "parts/2/manifest.parquet",
    }
    assert verify(folder) == []


@pytest.mark.slow
def test_another_encoder_and_narrowing_write_all_anew(
    folder, encoder, photos, make_encoder
) -> None:
    for record in Gallery.open(folder).records[2:14:11]:
        remove(folder, [record.id])
        (photos / record.path).unlink()
    known = truth(folder, encoder)
    update(folder, Source(photos), [encoder, make_encoder("other", seed=3)])
    assert names(folder) == ["."]
    assert truth(folder, encoder) == known
    narrow(folder)
    assert names(folder) == ["."] and verify(folder) == []


def test_opting_out_and_keys_follow_parts(folder, encoder) -> None:
    digests = {Gallery.open(folder).digest(encoder)}
    opt_out(folder, [3, 14])
    gallery = Gallery.open(folder)
    digests.add(gallery.digest(encoder))
    assert len(gallery.features(encoder)) == len(gallery) == 13
    whole = Gallery.open(folder, whole=True).features(encoder)
    np.testing.assert_array_equal(gallery.features(encoder), np.delete(whole, [3, 14], axis=0))
    remove(folder, [0])
    digests.add(Gallery.open(folder).digest(encoder))
    assert Gallery.open(folder).header.opted_out == (3, 14)
    assert len(digests) == 3


def test_damage_of_a_shared_file_is_not_signed_by_the_next_change(folder) -> None:
    """A change copied and hashed all files, so that rows which had rotted were whole from then."""
    path = next(Gallery.open(folder).folder.glob("*/features.npy"))
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    remove(folder, [14])
    assert [Path(damage.file).name for damage in verify(folder)] == ["features.npy"]


@pytest.mark.parametrize(
    "name", ["{key}/features.npy", "{key}/patches.npy", "{key}/patch_head/head.json", "files.json"]
)
@pytest.mark.slow
def test_a_change_refuses_a_gallery_that_lacks_a_file(folder, encoder, name: str) -> None:
    """As one copied in part: a change went on without, and from then on it was signed as whole."""
    lost = Gallery.open(folder).folder / name.format(key=encoder_key(encoder))
    lost.unlink()
    before = verify(folder)
    with pytest.raises(GalleryError, match=f"{lost.name} is damaged: missing") as raised:
        remove(folder, [14])
    assert raised.value.command
    assert verify(folder) == before and before[0].file.endswith(lost.name)
    assert len(Gallery.open(folder)) == 15


def test_an_array_that_is_lost_in_one_part_is_missed_by_the_next_change(folder) -> None:
    next(Gallery.open(folder).folder.glob("parts/2/*/patches.npy")).unlink()
    with pytest.raises(GalleryError, match=r"parts/2/.*/patches.npy is damaged: missing"):
        remove(folder, [0])


def test_what_is_written_anew_is_not_signed_where_it_has_changed(
    folder, encoder, photos, write_image
) -> None:
    path = next(Gallery.open(folder).folder.glob("parts/2/*/features.npy"))
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    for number in range(6):
        write_image(photos / f"more-{number}.png", 70 + number)
    with pytest.raises(
        GalleryError, match=r"features.npy is damaged: changed since it was written"
    ):
        update(folder, Source(photos), [encoder])
    assert [Path(damage.file).name for damage in verify(folder)] == ["features.npy"]


@pytest.mark.slow
def test_features_that_are_lost_are_made_again_by_the_command_that_indexes(
    folder, encoder, photos, make_encoder
) -> None:
    other, known = make_encoder("other", seed=3), truth(folder, encoder)
    update(folder, Source(photos), [encoder, other])
    (Gallery.open(folder).folder / encoder_key(encoder) / "features.npy").unlink()
    update(folder, Source(photos), [encoder, other])
    assert truth(folder, encoder).keys() == known.keys() and verify(folder) == []


def test_a_disk_without_hard_links_gets_copies(folder, encoder, monkeypatch) -> None:
    def refused(self: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    known, before = truth(folder, encoder), inodes(folder)
    monkeypatch.setattr(Path, "hardlink_to", refused)
    remove(folder, [14])
    assert truth(folder, encoder).items() < known.items()
    assert not {*before.values()} & {*inodes(folder).values()}
    assert verify(folder) == []


def test_a_gallery_of_the_version_before_is_read_and_goes_on(
    photos, tmp_path, encoder, monkeypatch
) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder])
    known = truth(folder, encoder)
    header = read_json(folder / "gallery.json")
    (folder / "generations" / "1" / PARTS).unlink()
    listing = folder / "generations" / "1" / "files.json"
    write_json(listing, {k: v for k, v in read_json(listing).items() if k != PARTS})
    write_json(folder / "gallery.json", {**header, "format": 1})
    assert truth(folder, encoder) == known and verify(folder) == []
    monkeypatch.setattr(module, "SMALL", 0)
    remove(folder, [3])
    assert read_json(folder / "gallery.json")["format"] == header["format"] == 2
    assert len(Gallery.open(folder).contents.parts[0].gone) == 1
    assert truth(folder, encoder).items() < known.items() and verify(folder) == []


@pytest.mark.parametrize(
    "parts",
    [
        None,
        [],
        [{"name": "parts/1", "gone": []}],
        [{"name": ".", "gone": []}, {"name": ".", "gone": []}],
        [{"name": ".", "gone": []}, {"name": "parts/../../x", "gone": []}],
        [{"name": ".", "gone": []}, {"name": "/etc", "gone": []}],
        [{"name": ".", "gone": [True]}],
        [{"name": ".", "gone": [-1]}],
        [{"name": ".", "gone": [12]}],
        [{"name": ".", "gone": [2, 1]}],
        [{"name": ".", "gone": "1"}],
        [{"name": 3, "gone": []}],
        [{"name": "."}],
        {"name": "."},
    ],
)
@pytest.mark.slow
def test_other_parts_are_refused_in_words(folder, parts: object) -> None:
    generation = Gallery.open(folder).folder
    if parts is None:
        (generation / PARTS).unlink()
    else:
        write_json(generation / PARTS, {"parts": parts})
    with pytest.raises(GalleryError, match="damaged") as raised:
        Gallery.open(folder)
    assert raised.value.command
    assert f"generations/2/{PARTS}" in [damage.file for damage in verify(folder)]


def test_ids_that_do_not_tell_images_apart_are_refused(folder) -> None:
    """An image of which another had the id could not be named, nor taken out."""
    path = Gallery.open(folder).folder / "parts/2/manifest.parquet"
    known = from_parquet(path)
    for number in (3, -1):
        path.write_bytes(to_parquet(known.replaced({0: replace(known[0], id=number)})))
        with pytest.raises(GalleryError, match="share an id") as raised:
            Gallery.open(folder)
        assert raised.value.command


@pytest.mark.parametrize("number", [2**63 - 1, 10**30])
@pytest.mark.slow
def test_a_next_id_that_no_table_holds_is_refused_in_words(
    folder, encoder, photos, write_image, number: int
) -> None:
    """Adding an image ended in an ``OverflowError``."""
    header = read_json(folder / "gallery.json")
    write_json(folder / "gallery.json", {**header, "next_id": number})
    write_image(photos / "more.png", 70)
    with pytest.raises(GalleryError, match=r"gallery.json is damaged") as raised:
        update(folder, Source(photos), [encoder])
    assert raised.value.command


def test_parts_come_back_as_they_were(tmp_path) -> None:
    parts = (Part(".", (1, 4)), Part("parts/12"))
    write_parts(tmp_path, parts)
    assert read_parts(tmp_path) == parts
    assert parts[0].left(6).tolist() == [0, 2, 3, 5]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-60, 60).filter(bool), min_size=5, max_size=80))
def test_parts_are_few_and_rows_are_copied_seldom(changes: list[int]) -> None:
    """Of changes that add and take images, however they come."""
    images, gone, copied, came = [1_000], [0], 0, 1_000
    for change in changes:
        new = max(change, 0)
        if change < 0:  # of the last part that has so many, or of the first
            place = next((i for i in range(len(images) - 1, -1, -1) if images[i] >= -change), 0)
            taken = min(images[place], -change)
            images[place], gone[place] = images[place] - taken, gone[place] + taken
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(module, "SMALL", 0)
            kept = kept_parts(images, gone, new=new)
        rest = sum(images[kept:])
        copied, came = copied + rest, came + new
        images, gone = [*images[:kept], rest + new], [*gone[:kept], 0]
        if not images[-1] and len(images) > 1:
            images.pop()
            gone.pop()
        assert all(one >= taken for one, taken in zip(images, gone, strict=True))
    assert len(images) <= 2 + np.log2(came)
    assert copied <= came * (2 + np.log2(came))
