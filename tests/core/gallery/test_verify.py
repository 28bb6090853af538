from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import BuildConfig, HeadConfig, ScoreConfig
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import changed_images, verify, without_digest
from core.images.files import file_digest
from core.images.thumbnails import thumbnail
from core.search.prepare import fitted_head, prepare
from core.values import Cancelled, GalleryError


@pytest.fixture
def folder(photos, tmp_path, encoder) -> Path:
    update(tmp_path / "g", Source(photos), [encoder], config=BuildConfig(thumbnail=32))
    return tmp_path / "g"


@pytest.fixture
def inside(folder, encoder) -> Callable[[str], Path]:
    """A file of the current generation, ``*`` for the encoder's folder."""
    gallery = Gallery.open(folder)
    return lambda name: gallery.folder / name.replace("*", encoder_key(encoder))


FILES = [
    "manifest.parquet",
    "*/features.npy",
    "*/patches.npy",
    "*/patch_head/head.json",
    "*/patch_head/head.safetensors",
]


def test_a_whole_gallery_has_no_damage(folder, encoder) -> None:
    assert verify(folder) == []
    gallery = Gallery.open(folder)
    assert gallery.patch_head(encoder)
    remove(folder, [0])
    assert verify(folder) == []
    remove(folder, range(1, 12))
    assert verify(folder) == []


def test_a_gallery_that_was_only_begun_has_no_damage(tmp_path) -> None:
    store = Store(tmp_path / "g")
    store.create("g", root="")
    assert verify(store.folder) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
@pytest.mark.slow
def test_every_damaged_file_is_named(folder, inside, name: str, damage: str) -> None:
    path = inside(name)
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    else:
        path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    assert [d.file for d in verify(folder)] == [path.relative_to(folder).as_posix()]


def test_all_damages_are_named_together(folder, inside) -> None:
    gallery = Gallery.open(folder)
    lost, broken = (gallery.store.thumbnail(r.sha256) for r in gallery.records[:2])
    lost.unlink()
    broken.write_bytes(b"RIFF")
    inside("*/patches.npy").write_bytes(b"")
    found = {Path(d.file).name: d.what for d in verify(folder)}
    assert set(found) == {"patches.npy", lost.name, broken.name}
    assert "changed" in found["patches.npy"]
    assert all(found.values())
    inside("manifest.parquet").write_bytes(b"")
    assert [Path(d.file).name for d in verify(folder)] == ["patches.npy", "manifest.parquet"]


def test_bits_of_a_thumbnail_that_still_decode_are_named(folder) -> None:
    """Whatever could be opened was called whole, the picture of another image too."""
    gallery = Gallery.open(folder)
    flipped, other, tag, old = (gallery.store.thumbnail(r.sha256) for r in gallery.records[:4])
    assert without_digest(folder) == 0
    content = bytearray(flipped.read_bytes())
    places = range(60, len(content) - 40)
    place = next(at for at in places if opens(bytes(content[:at] + b"\xff" + content[at + 1 :])))
    content[place] = 0xFF
    flipped.write_bytes(content)
    other.write_bytes(old.read_bytes())
    tag.write_bytes(tag.read_bytes()[:-40] + b"SEAX" + tag.read_bytes()[-36:])
    for path in (flipped, other, tag):
        assert opens(path.read_bytes())
    earlier = thumbnail(Image.open(old), side=32)
    old.write_bytes(earlier)
    found = {Path(each.file).name: each.what for each in verify(folder)}
    assert found == {each.name: "changed since it was written" for each in (flipped, other, tag)}
    assert without_digest(folder) == 1


def test_bits_of_an_image_that_is_its_own_thumbnail_are_named(photos, tmp_path, encoder) -> None:
    """It was compared by its size and time alone, which a flipped bit leaves as they are."""
    folder, own = tmp_path / "own", tmp_path / "own" / "images"
    own.mkdir(parents=True)
    for path in sorted(photos.glob("*.png"))[:4]:
        Image.open(path).convert("RGB").save(own / f"{path.stem}.webp", quality=80)
    update(folder, Source(own), [encoder])
    assert verify(folder) == changed_images(folder) == []
    assert not list(folder.glob("thumbnails/*/*.webp"))
    path = min(own.iterdir())
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    (found,) = changed_images(folder)
    assert (found.file, found.what) == (path.name, "its file has changed since it was indexed")


def opens(content: bytes) -> bool:
    try:
        return bool(Image.open(io.BytesIO(content)).convert("RGB").size)
    except (OSError, EOFError):
        return False


def relist(path: Path, listing: Path) -> None:
    """Have the listing of a generation agree with a changed file."""
    digests = json.loads(listing.read_text())
    name = path.relative_to(listing.parent).as_posix()
    listing.write_text(json.dumps(digests | {name: file_digest(path)}))


@pytest.mark.parametrize("damage", ["nan", "rows", "scalar"])
def test_features_are_looked_at_beyond_their_digest(folder, inside, damage: str) -> None:
    path = inside("*/features.npy")
    features = np.load(path)
    features[3, 1] = np.nan if damage == "nan" else 0
    np.save(path, {"nan": features, "rows": features[:4], "scalar": np.float16(1)}[damage])
    relist(path, inside("files.json"))
    (found,) = verify(folder)
    assert found.file.endswith("features.npy")
    assert (
        found.what
        == {
            "nan": "values that are not finite",
            "rows": "an array (4, 12) for 12 images",
            "scalar": "features.npy is missing or damaged; build the gallery again",
        }[damage]
    )


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "null", None])
@pytest.mark.slow
def test_a_damaged_listing_is_named(folder, inside, text: str | None) -> None:
    listing = inside("files.json")
    listing.unlink() if text is None else listing.write_text(text)
    assert [d.file for d in verify(folder)] == [listing.relative_to(folder).as_posix()]


@pytest.mark.parametrize("text", [None, "{", '{"format": 99}'])
def test_what_is_no_gallery_of_ours_is_an_error(folder, text: str | None) -> None:
    header = folder / "gallery.json"
    header.unlink() if text is None else header.write_text(text)
    with pytest.raises(GalleryError):
        verify(folder)


def test_names_of_formats_mislead_nobody(photos, tmp_path, encoder) -> None:
    """A gallery with "format" in its name and a damaged table ended in an error."""
    folder = tmp_path / "large format"
    update(folder, Source(photos), [encoder])
    (Gallery.open(folder).folder / "manifest.parquet").write_bytes(b"")
    assert [Path(d.file).name for d in verify(folder)] == ["manifest.parquet"]


def test_damage_in_what_follows_from_the_features_is_named(folder, encoder) -> None:
    """Changed vectors, groups and fitted heads were called whole: nothing listed them."""
    gallery = Gallery.open(folder)
    head = fitted_head(gallery, encoder, config=HeadConfig(k=4))
    prepare(gallery, encoder, head, config=ScoreConfig())
    assert verify(folder) == []
    names = ("vectors-*/vectors.npy", "groups-*/groups.npy", "head-*/head.json")
    changed = [next(gallery.artefacts.folder.glob(name)) for name in names]
    for path in changed:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    gone = next(gallery.artefacts.folder.glob("csls-*/csls_means.npy"))
    gone.unlink()
    found = {folder / damage.file for damage in verify(folder)}
    assert found == {*changed, gone}


@pytest.mark.parametrize("name", ["blocklist.json", "tombstones.json"])
@pytest.mark.parametrize("text", ["", "[]", '{"tombstones": [{"phash": "x", "mirrored": "y"}]}'])
@pytest.mark.slow
def test_a_damaged_blocklist_is_named(folder, name: str, text: str) -> None:
    """One that no later build could read was called whole."""
    (folder / name).write_text(text)
    assert [d.file for d in verify(folder)] == [name]


def test_images_whose_files_have_changed_are_named_with_what_to_do(folder, photos, encoder) -> None:
    assert changed_images(folder) == []
    for path in photos.rglob("*.png"):
        os.utime(path)
    assert changed_images(folder) == []
    (photos / "01.png").unlink()
    (photos / "02.png").write_bytes((photos / "04.png").read_bytes())
    found = {damage.file: damage.mend for damage in changed_images(folder)}
    assert set(found) == {"01.png", "02.png"}
    assert "`index --prune`" in found["01.png"] and "takes it in anew" in found["02.png"]
    update(folder, Source(photos, prune=True), [encoder])
    assert changed_images(folder) == []
    for path in photos.rglob("*.png"):
        path.unlink()
    assert {"`remove`" in damage.mend for damage in changed_images(folder)} == {True}
    photos.rename(photos.parent / "elsewhere")
    assert [damage.file for damage in changed_images(folder)] == [str(photos)]


def test_a_folder_of_images_that_no_system_can_have_is_not_there(folder: Path) -> None:
    """A gallery that named a folder too long for any disk ended ``verify`` in an OSError."""
    header = folder / "gallery.json"
    said = json.loads(header.read_text(encoding="utf-8"))
    root = "/" + "9" * 5_000
    header.write_text(json.dumps({**said, "root": root}), encoding="utf-8")
    assert [damage.file for damage in changed_images(folder)] == [root]
    gallery = Gallery.open(folder)
    assert all(gallery.is_gone(record) for record in gallery.records)
    with pytest.raises(GalleryError, match="not a folder"):
        Source(gallery.root).look()


def test_a_check_tells_of_every_kind_of_file_and_stops_at_each(folder) -> None:
    """Digests were compared, and numbers looked at, unheard."""
    told: dict[str, list[tuple[int, int]]] = {}

    def tell(done: int, total: int, what: str) -> None:
        told.setdefault(what, []).append((done, total))

    assert verify(folder, progress=tell) == []
    assert told["checking thumbnails"] == [(n, 12) for n in range(1, 13)]
    kinds = {
        "megabytes of files compared with their digests",
        "looking at what describes the images",
        "checking thumbnails",
    }
    assert kinds == {*told}
    for kind in kinds:

        def stop(_done: int, _total: int, what: str, kind: str = kind) -> None:
            if what == kind:
                raise Cancelled

        with pytest.raises(Cancelled):
            verify(folder, progress=stop)
