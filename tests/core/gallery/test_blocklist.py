"""The blocklist keeps an image and its resaves out, and nothing else of it is kept."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from core.config import BuildConfig
from core.gallery.blocklist import MAX_DISTANCE, BlockedImage, Blocklist
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.images.thumbnails import perceptual_hash
from core.values import Cancelled, GalleryError

SMALL = BuildConfig(batch=4, shard=4, workers=1, thumbnail=64)


def scene(seed: int) -> Image.Image:
    """A picture with structure at every scale, as photographs have."""
    rng = np.random.default_rng(seed)
    cells = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = cells.resize((180, 140), Image.Resampling.BICUBIC)
    return smooth.filter(ImageFilter.GaussianBlur(2))


def resaves(image: Image.Image, folder: Path) -> dict[str, Path]:
    half = image.resize((image.width // 2, image.height // 2))
    made = {
        "copy.png": (image, {}),
        "recompressed.jpg": (image, {"quality": 40}),
        "half.webp": (half, {"quality": 60}),
        "mirrored.jpg": (ImageOps.mirror(half), {"quality": 60}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, (pixels, options) in made.items():
        pixels.save(folder / name, **options)
    return {name: folder / name for name in made}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(6):
        scene(seed).save(folder / f"{seed}.png")
    return folder


def paths(folder: Path) -> list[str]:
    return [record.path for record in Gallery.open(folder).records]


def test_resaves_are_blocked_and_other_images_are_not(tmp_path):
    blocklist = Blocklist(tmp_path)
    blocklist.add([BlockedImage.of(scene(0))])
    files = resaves(scene(0), tmp_path / "a")
    for seed in range(1, 30):
        files[f"{seed}.png"] = tmp_path / "a" / f"{seed}.png"
        scene(seed).save(files[f"{seed}.png"])
    (tmp_path / "a" / "broken.png").write_bytes(b"x")
    files["broken.png"] = tmp_path / "a" / "broken.png"
    wanted = {"copy.png", "recompressed.jpg", "half.webp", "mirrored.jpg"}
    assert blocklist.matching_files(files, workers=1) == wanted


def test_the_distance_decides():
    image = BlockedImage("0" * 16, "f" * 16)
    blocklist = Blocklist(Path("nowhere"))
    blocklist.images = (image,)
    near, far = (1 << MAX_DISTANCE) - 1, (1 << (MAX_DISTANCE + 1)) - 1
    hashes = [f"{bits:016x}" for bits in (0, near, far, 2**64 - 1 - near, 2**64 - 1 - far)]
    assert blocklist.matches(hashes).tolist() == [True, True, False, True, False]
    assert blocklist.matches([]).tolist() == []


def test_an_empty_blocklist_reads_nothing(tmp_path):
    blocklist = Blocklist(tmp_path)
    assert blocklist.matching_files({"gone.png": tmp_path / "gone.png"}, workers=1) == set()
    assert not blocklist.matches(["0" * 16]).any()


def test_a_mirror_image_has_another_hash():
    """The negative control of keeping two hashes: one alone would miss mirrored resaves."""
    image = BlockedImage.of(scene(3))
    assert (int(image.phash, 16) ^ int(image.mirrored, 16)).bit_count() > MAX_DISTANCE
    assert image.mirrored == perceptual_hash(ImageOps.mirror(scene(3)))


def test_only_hashes_are_kept(tmp_path):
    Blocklist(tmp_path).add([BlockedImage.of(scene(1))])
    (file,) = tmp_path.iterdir()
    blocked = json.loads(file.read_text())["blocked"]
    assert blocked == [vars(BlockedImage.of(scene(1)))]
    again = Blocklist(tmp_path)
    again.add([BlockedImage.of(scene(1)), BlockedImage.of(scene(2))])
    assert len(Blocklist(tmp_path).images) == 2


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"tombstones": [{"phash": "0"}]}', '{"tombstones": [{"phash": "' + "0" * 16
     + '", "mirrored": "zzzzzzzzzzzzzzzz"}]}', '{"tombstones": 3}'],
)  # fmt: skip
def test_a_damaged_file_is_said_to_be(tmp_path, text):
    for name, key in (("tombstones.json", "tombstones"), ("blocklist.json", "blocked")):
        (tmp_path / name).write_text(text.replace("tombstones", key))
        with pytest.raises(GalleryError, match="damaged"):
            Blocklist(tmp_path)
        (tmp_path / name).unlink()


def test_the_file_of_an_earlier_version_is_read_and_replaced(tmp_path):
    old, new = BlockedImage.of(scene(1)), BlockedImage.of(scene(2))
    (tmp_path / "tombstones.json").write_text(json.dumps({"tombstones": [vars(old)]}))
    blocklist = Blocklist(tmp_path)
    assert blocklist.images == (old,)
    blocklist.add([new])
    assert [path.name for path in tmp_path.iterdir()] == ["blocklist.json"]
    assert Blocklist(tmp_path).images == (old, new)


def test_removed_for_good_stays_out_of_every_update(images, tmp_path, encoder):
    folder = tmp_path / "g"
    update(folder, Source(images), [encoder], config=SMALL)
    gone = Gallery.open(folder).records[2]
    change = remove(folder, [gone.id], block=True)
    assert (change.images, change.removed) == (5, 1)
    assert not Gallery.open(folder).store.thumbnail(gone.sha256).exists()

    resaves(scene(2), images)
    seen = encoder.seen
    for _ in range(2):
        change = update(folder, Source(images), [encoder], config=SMALL)
        assert change.kept_out == ("2.png", "copy.png", "half.webp", "mirrored.jpg",
                                   "recompressed.jpg")  # fmt: skip
        assert (change.images, change.added, change.skipped) == (5, 0, ())
    assert encoder.seen == seen
    assert paths(folder) == ["0.png", "1.png", "3.png", "4.png", "5.png"]
    assert verify(folder) == []
    kept = {path.stem for path in (folder / "thumbnails").rglob("*.webp")}
    assert kept == {record.sha256 for record in Gallery.open(folder).records}


def test_an_image_that_is_only_removed_comes_back(images, tmp_path, encoder):
    folder = tmp_path / "g"
    update(folder, Source(images), [encoder], config=SMALL)
    remove(folder, [2])
    change = update(folder, Source(images), [encoder], config=SMALL)
    assert (change.images, change.added, change.kept_out) == (6, 1, ())


def test_resaves_that_are_in_the_gallery_go_with_it(images, tmp_path, encoder):
    folder = tmp_path / "g"
    resaves(scene(2), images)
    update(folder, Source(images), [encoder], config=SMALL)
    (number,) = (r.id for r in Gallery.open(folder).records if r.path == "half.webp")
    assert remove(folder, [number], block=True).removed == 5
    assert paths(folder) == ["0.png", "1.png", "3.png", "4.png", "5.png"]


def test_a_file_that_becomes_a_blocked_image_leaves(images, tmp_path, encoder):
    folder = tmp_path / "g"
    update(folder, Source(images), [encoder], config=SMALL)
    remove(folder, [2], block=True)
    (images / "2.png").unlink()
    scene(2).save(images / "4.png")
    change = update(folder, Source(images), [encoder], config=SMALL)
    assert (change.images, change.added, change.removed) == (4, 0, 1)
    assert change.kept_out == ("4.png",)
    assert paths(folder) == ["0.png", "1.png", "3.png", "5.png"]


def test_a_comparison_with_blocked_images_is_stopped_within_it(images, tmp_path, encoder):
    """All new files were decoded to the last, and nothing was told."""
    folder = tmp_path / "g"
    update(folder, Source(images), [encoder], config=SMALL)
    remove(folder, [2], block=True)
    for seed in range(10, 13):
        scene(seed).save(images / f"{seed}.png")
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int, what: str) -> None:
        if "blocked" in what:
            told.append((done, total))
            if done == 1:
                raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        update(folder, Source(images), [encoder], config=SMALL, progress=stop)
    assert told == [(0, 4), (1, 4)]  # the three that are new, and the one that was blocked
    assert not [each for each in threading.enumerate() if each.name.startswith("decode")]


def test_blocking_is_stopped_before_anything_is_written(images, tmp_path, encoder):
    folder = tmp_path / "g"
    update(folder, Source(images), [encoder], config=SMALL)

    def stop(done: int, _total: int, what: str) -> None:
        if "block" in what and done == 1:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        remove(folder, [2, 3], block=True, progress=stop)
    assert not (folder / "blocklist.json").exists()
    assert len(Gallery.open(folder)) == 6


def test_a_gallery_may_be_left_with_nothing(images, tmp_path, encoder):
    folder = tmp_path / "g"
    update(folder, Source(images), [encoder], config=SMALL)
    remove(folder, range(6), block=True)
    change = update(folder, Source(images), [encoder], config=SMALL)
    assert (change.images, len(change.kept_out)) == (0, 6)
