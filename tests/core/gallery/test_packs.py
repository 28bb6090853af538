from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.config import BuildConfig
from core.gallery import packs, shards, store
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.packs import Packs
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.images.arrays import save_array
from core.images.thumbnails import thumbnail
from core.values import GalleryError

SMALL = BuildConfig(batch=2, shard=4, workers=1, thumbnail=32)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def own(tmp_path: Path) -> Packs:
    return Packs(tmp_path / "g" / "thumbnails" / "packs", gallery=tmp_path / "g")


def put(own: Packs, **thumbnails: str) -> list[Path]:
    """Pack thumbnails; the files that they lay in."""
    files = [own.folder.parent / sha(name)[:2] / f"{sha(name)}.webp" for name in thumbnails]
    for path, content in zip(files, thumbnails.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    own.add(files)
    return files


def test_what_is_packed_is_found_and_lies_alone_no_more(own: Packs) -> None:
    files = put(own, a="one", b="", c="three" * 1_000)
    assert not any(path.exists() for path in files)
    assert (own.get(sha("a")), own.get(sha("c"))) == (b"one", b"three" * 1_000)
    assert own.get(sha("b")) is own.get(sha("d")) is None  # an empty file shows nothing
    assert own.shas() == {sha("a"), sha("c")}
    assert [*own.damaged()] == []


def test_of_two_the_newer_counts_also_after_the_older_pack_was_written_anew(own: Packs) -> None:
    put(own, a="old", b="two", c="three")
    put(own, a="new", d="four")
    assert own.get(sha("a")) == b"new"
    assert b"old" not in b"".join(path.read_bytes() for path in own.folder.rglob("content.npy"))
    own.drop({sha("b")})
    assert own.get(sha("a")) == Packs(own.folder, gallery=own.folder.parents[1]).get(sha("a"))
    assert own.get(sha("a")) == b"new"
    assert own.shas() == {sha("a"), sha("c"), sha("d")}
    own.drop({sha("a"), sha("c"), sha("d")})
    assert own.shas() == set() and not [*own.folder.iterdir()]


def test_a_reader_finds_what_another_packed_since(own: Packs) -> None:
    reader = Packs(own.folder, gallery=own.folder.parents[1])
    put(own, a="one")
    assert reader.get(sha("a")) == b"one"
    put(own, b="two")
    own.drop({sha("a")})
    assert reader.get(sha("b")) == b"two"
    own.drop({sha("b")})  # no pack is left: the next one had the number of the first
    put(own, c="three")
    assert reader.get(sha("c")) == b"three"


def _longer(pack: Path) -> None:
    save_array(pack / "ends.npy", np.array([3, 1_000], np.int64))


def _back(pack: Path) -> None:
    save_array(pack / "ends.npy", np.array([7, 6], np.int64))


def _fewer(pack: Path) -> None:
    save_array(pack / "shas.npy", np.zeros((1, 32), np.uint8))


def _words(pack: Path) -> None:
    (pack / "content.npy").write_text("no array")


def _gone(pack: Path) -> None:
    (pack / "content.npy").unlink()


def _link(pack: Path) -> None:
    content = pack / "content.npy"
    content.rename(pack.parents[2] / "elsewhere.npy")
    content.symlink_to(pack.parents[2] / "elsewhere.npy")


@pytest.mark.parametrize("harm", [_longer, _back, _fewer, _words, _gone, _link])
def test_a_damaged_pack_is_named_and_nothing_of_it_is_shown(
    own: Packs, harm: Callable[[Path], None]
) -> None:
    put(own, a="one", b="two")
    put(own, c="three")
    first = min(own.folder.iterdir())
    harm(first)
    again = Packs(own.folder, gallery=own.folder.parents[1])
    assert (again.get(sha("a")), again.get(sha("c"))) == (None, b"three")
    assert [path for path, _ in again.damaged()] == [first]


def test_packs_behind_a_link_are_refused(own: Packs, tmp_path: Path) -> None:
    put(own, a="one")
    own.folder.rename(tmp_path / "elsewhere")
    own.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(GalleryError, match="link that leads out"):
        Packs(own.folder, gallery=tmp_path / "g").get(sha("a"))
    with pytest.raises(GalleryError, match="link that leads out"):
        Store(tmp_path / "g").check_links()


@pytest.fixture
def folder(photos: Path, tmp_path: Path, encoder: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery of twelve images, whose thumbnails lie in packs of five, and two alone."""
    monkeypatch.setattr(store, "PACKED", 5)
    update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert len([*tmp_path.glob("g/thumbnails/packs/*")]) == 2
    assert len(Store(tmp_path / "g").single_thumbnails()) == 2
    return tmp_path / "g"


def pictures(folder: Path) -> dict[str, bytes]:
    """What is shown of every image, by its path."""
    gallery = Gallery.open(folder)
    return {r.path: gallery.thumbnail(row).tobytes() for row, r in enumerate(gallery.records)}


def test_packed_images_are_shown_as_those_that_lie_alone(
    folder: Path, photos: Path, tmp_path: Path, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PACKED", 100)
    update(tmp_path / "alone", Source(photos), [encoder], config=SMALL)
    assert len(Store(tmp_path / "alone").single_thumbnails()) == 12
    assert pictures(folder) == pictures(tmp_path / "alone")
    assert verify(folder) == []


def test_thumbnails_of_images_that_go_are_in_no_pack(folder: Path) -> None:
    before, shown = Gallery.open(folder), pictures(folder)
    gone, *_ = (record for record in before.records if before.store.packs.get(record.sha256))
    remove(folder, [gone.id])
    content = b"".join(path.read_bytes() for path in folder.rglob("content.npy"))
    thumbnail = before.store.packs.get(gone.sha256)  # a reader of the state before still sees it
    assert thumbnail and thumbnail not in content
    assert pictures(folder) == {path: shown[path] for path in shown if path != gone.path}
    assert verify(folder) == []
    remove(folder, Gallery.open(folder).records.ids)
    assert not [*folder.glob("thumbnails/packs/*")]


def test_a_blocked_image_that_is_packed_is_kept_out(
    folder: Path, photos: Path, encoder: Any
) -> None:
    gallery = Gallery.open(folder)
    gone, *_ = (record for record in gallery.records if gallery.store.packs.get(record.sha256))
    remove(folder, [gone.id], block=True)
    assert update(folder, Source(photos), [encoder], config=SMALL).kept_out == (gone.path,)


def test_bits_that_flip_in_a_pack_are_named(folder: Path) -> None:
    path, *_ = folder.glob("thumbnails/packs/*/content.npy")
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    (damage,) = verify(folder)
    assert damage.file.endswith(".webp") and damage.what == "changed since it was written"


def test_what_is_read_otherwise_takes_the_place_of_what_is_packed(
    folder: Path, photos: Path, make_encoder: Any, encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pictures(folder)
    monkeypatch.setattr(
        shards, "thumbnail", lambda image, *, side: thumbnail(image, side=side // 2)
    )
    update(folder, Source(photos), [make_encoder(encoder.name, seed=1)], config=SMALL)
    smaller = pictures(folder)
    assert all(3 * len(smaller[path]) < len(pixels) for path, pixels in shown.items())
    stored = sum(len(np.load(path)) for path in folder.rglob("shas.npy"))
    assert stored == len(Store(folder).packs.shas())  # none twice
    assert verify(folder) == []


@pytest.mark.parametrize("name", ["delete_inside", "remove_folder", "new_folder"])
@pytest.mark.slow
def test_a_change_that_is_killed_while_it_packs_loses_nothing(
    folder: Path,
    photos: Path,
    encoder: Any,
    monkeypatch: pytest.MonkeyPatch,
    write_image: Any,
    name: str,
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def change() -> None:
        write_image(photos / "new.png", 100)
        write_image(photos / "newer.png", 101)
        write_image(photos / "newest.png", 102)
        (photos / "01.png").unlink(missing_ok=True)
        update(folder, Source(photos, prune=True), [encoder], config=SMALL)

    with monkeypatch.context() as patched:
        patched.setattr(packs, name, killed)
        with pytest.raises(KeyboardInterrupt):
            change()
    assert verify(folder) == []
    change()
    gallery = Gallery.open(folder)
    assert len(gallery) == 14 and verify(folder) == []
    alone = {path.stem for path in gallery.store.single_thumbnails()}
    assert alone | gallery.store.packs.shas() == {record.sha256 for record in gallery.records}
    assert not [*folder.glob("thumbnails/packs/.*")]
