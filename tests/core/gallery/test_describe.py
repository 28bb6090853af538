"""Descriptions beside a gallery: aligned, resumed by shard, never stale, and nothing inside it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.describe import describe, described_already
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.values import Cancelled, GalleryError, UndescribedError

SMALL = BuildConfig(batch=2, shard=4, patch_sample=3)
SAMPLED = SMALL.patch_sample


@pytest.fixture
def folder(photos: Path, encoder, tmp_path: Path) -> Path:
    update(tmp_path / "gallery", Source(photos), [encoder])
    return tmp_path / "gallery"


@pytest.fixture
def opened(folder: Path, tmp_path: Path) -> Callable[[], Gallery]:
    return lambda: Gallery.open(folder, read_only=True, descriptions=tmp_path / "beside")


def files_of(folder: Path) -> dict[Path, int]:
    kept = (path for path in folder.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in kept}


def test_the_description_is_that_of_indexing_and_lies_beside(
    opened, folder, photos, make_encoder, tmp_path
) -> None:
    other, before = make_encoder("other", seed=5), files_of(folder)
    gallery = opened()
    with pytest.raises(UndescribedError, match="no features of encoder 'other'"):
        gallery.features(other)
    describe(gallery, other, config=SMALL)
    assert files_of(folder) == before
    assert gallery.encoder_names == ("fake", "other")
    update(tmp_path / "indexed", Source(photos), [other], config=SMALL)
    indexed = Gallery.open(tmp_path / "indexed")
    assert [r.sha256 for r in indexed.records] == [r.sha256 for r in gallery.records]
    np.testing.assert_array_equal(gallery.features(other), indexed.features(other))
    assert gallery.patches(other).shape == indexed.patches(other).shape
    assert gallery.patch_head(other) is not None
    assert gallery.digest(other) != gallery.digest(make_encoder())
    assert Gallery.open(folder).encoder_names == ("fake",)


def test_a_stop_keeps_whole_shards_and_the_next_call_goes_on(opened, make_encoder) -> None:
    first, gallery = make_encoder("other", seed=5), opened()

    def stop(done: int, _total: int, what: str) -> None:
        if what.startswith("reading") and done == 10:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        describe(gallery, first, config=SMALL, progress=stop)
    assert "other" not in gallery.encoder_names
    assert described_already(gallery, "other") == 8
    again = make_encoder("other", seed=5)
    describe(gallery, again, config=SMALL)
    assert again.seen == 4  # the patch head was there too
    whole = make_encoder("whole", seed=5)
    describe(gallery, whole, config=SMALL)
    assert whole.seen == 12 + SAMPLED
    np.testing.assert_array_equal(gallery.features(again), gallery.features(whole))
    assert described_already(gallery, "other") == 0


def test_a_kill_in_the_middle_of_a_shard_leaves_no_half_description(opened, make_encoder) -> None:
    class Killed(BaseException):
        """As a signal ends a call, with no chance to tidy up by name."""

    dying, gallery = make_encoder("other", seed=5), opened()
    encode = dying.encode

    def die(images):
        if dying.seen >= SAMPLED + 6:
            raise Killed
        return encode(images)

    dying.encode = die
    with pytest.raises(Killed):
        describe(gallery, dying, config=SMALL)
    assert "other" not in opened().encoder_names
    again = make_encoder("other", seed=5)
    describe(opened(), again, config=SMALL)
    assert again.seen == 8


_SLOWLY = """
import sys, time
from pathlib import Path
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.describe import describe
from core.gallery.gallery import Gallery
gallery = Gallery.open(Path(sys.argv[1]), read_only=True, descriptions=Path(sys.argv[2]))
config = BuildConfig(batch=2, shard=4, patch_sample=3)
describe(gallery, load_encoder("random"), config=config, progress=lambda *_: time.sleep(0.3))
"""


@pytest.mark.slow
def test_a_killed_process_leaves_whole_shards_and_no_lock(opened, folder, tmp_path) -> None:
    dying = subprocess.Popen([sys.executable, "-c", _SLOWLY, str(folder), str(tmp_path / "beside")])
    until = time.monotonic() + 100
    while not [*opened().descriptions.glob("work/random@*/shard-000000")]:
        assert dying.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    dying.kill()
    dying.wait()
    gallery, told = opened(), []
    left = len(gallery) - described_already(gallery, "random")
    assert 0 < left <= 8
    describe(
        gallery, load_encoder("random"), config=SMALL, progress=lambda *step: told.append(step)
    )
    assert {total for _, total, what in told if what.startswith("reading")} == {left}
    assert gallery.encoder_names == ("fake", "random")


def test_another_state_of_the_gallery_is_described_anew_but_for_known_images(
    opened, folder, photos, make_encoder, write_image, encoder
) -> None:
    other = make_encoder("other", seed=5)
    describe(opened(), other, config=SMALL)
    write_image(photos / "new.png", 77)
    update(folder, Source(photos), [encoder])
    changed = opened()
    assert changed.encoder_names == ("fake",)
    again = make_encoder("other", seed=5)
    describe(changed, again, config=SMALL)
    assert again.seen == 1
    assert len(changed.features(again)) == 13
    assert len([*changed.descriptions.parent.glob("*/other@*")]) == 1  # the old state is gone


def test_another_encoder_of_the_same_name_takes_its_place(opened, make_encoder) -> None:
    gallery = opened()
    for seed in (5, 6):
        describe(gallery, make_encoder("other", seed=seed), config=SMALL)
    assert gallery.encoder_names == ("fake", "other")
    with pytest.raises(UndescribedError):
        gallery.features(make_encoder("other", seed=5))


def _cut(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:60])


def _of_fewer(folder: Path) -> None:
    np.save(folder / "features.npy", np.load(folder / "features.npy")[1:])


def _of_8_bits(folder: Path) -> None:
    np.save(folder / "features.npy", np.zeros((12, 3), np.uint8))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut features": lambda folder: _cut(folder, "features.npy"),
    "cut patches": lambda folder: _cut(folder, "patches.npy"),
    "no patches": lambda folder: (folder / "patches.npy").unlink(),
    "one number": lambda folder: np.save(folder / "features.npy", np.float32(3)),
    "of fewer images": _of_fewer,
    "narrowed without a range": _of_8_bits,
    "cut head": lambda folder: _cut(folder, "patch_head/head.json"),
    "no list of its files": lambda folder: (folder / "files.json").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.slow
def test_a_damaged_description_is_offered_again(opened, make_encoder, damage) -> None:
    """Who only read it removed it."""
    other, gallery = make_encoder("other", seed=5), opened()
    describe(gallery, other, config=SMALL)
    (folder,) = gallery.descriptions.glob("other@*")
    DAMAGES[damage](folder)
    left = files_of(folder)
    assert gallery.encoder_names == opened().encoder_names == ("fake",)
    if damage in ("cut features", "one number", "of fewer images", "narrowed without a range"):
        with pytest.raises(UndescribedError):
            gallery.features(other)
    assert files_of(folder) == left
    describe(gallery, other, config=SMALL)
    assert gallery.encoder_names == opened().encoder_names == ("fake", "other")
    assert len(gallery.features(other)) == len(gallery.patches(other)) == 12
    assert gallery.patch_head(other)


def test_a_damaged_description_of_an_earlier_state_is_not_built_on(
    folder, opened, photos, make_encoder, encoder, write_image
) -> None:
    other, gallery = make_encoder("other", seed=5), opened()
    describe(gallery, other, config=SMALL)
    (file,) = gallery.descriptions.glob("other@*/features.npy")
    file.write_bytes(file.read_bytes()[:60])
    write_image(photos / "new.png", 77)
    update(folder, Source(photos), [encoder])
    describe(opened(), other, config=SMALL)
    assert len(opened().features(other)) == 13


def test_images_that_have_changed_are_named(opened, photos, make_encoder, write_image) -> None:
    write_image(photos / "01.png", 99)
    with pytest.raises(GalleryError, match=r"1 images of the gallery, '01\.png' first"):
        describe(opened(), make_encoder("other", seed=5), config=SMALL)


def test_what_follows_is_kept_beside_a_gallery_that_is_only_read(opened, make_encoder) -> None:
    gallery = opened()
    assert gallery.artefacts.kept_in == gallery.descriptions / "artefacts"
    assert not gallery.descriptions.exists()
    describe(gallery, make_encoder("other", seed=5), config=SMALL)
    assert gallery.descriptions.is_dir()
