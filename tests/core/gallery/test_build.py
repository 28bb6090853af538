from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.config import BuildConfig
from core.gallery import shards
from core.gallery.build import update
from core.gallery.gallery import Gallery, encoder_key
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import changed_images, verify
from core.images.files import new_folder
from core.values import Cancelled, GalleryError
from tests.core.images.numbers import cicp, with_chunks

ROOT = Path(__file__).parents[3]
SMALL = BuildConfig(batch=2, shard=2, workers=1, thumbnail=32)


def assert_sound(folder: Path, reference) -> Gallery:
    """Everything in the gallery is what the encoder says of the image at that path."""
    assert verify(folder) == []
    gallery = Gallery.open(folder)
    if len(gallery):
        thumbnails = [gallery.store.thumbnail(r.sha256) for r in gallery.records]
        assert all(path.is_file() for path in thumbnails)
        images = [Image.open(gallery.root / r.path).convert("RGB") for r in gallery.records]
        said = reference.encode(images).features.astype(np.float16)
        np.testing.assert_array_equal(gallery.features(reference), said)
    assert len({record.id for record in gallery.records}) == len(gallery)
    assert all(record.id < gallery.header.next_id for record in gallery.records)
    return gallery


def contents(gallery: Gallery, encoder) -> tuple[object, ...]:
    patches = gallery.patches(encoder)
    assert patches is not None
    return gallery.records, gallery.features(encoder).tobytes(), patches.tobytes()


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The program before it read colours that numbers state; undone, the program as it is."""
    with monkeypatch.context() as patch:
        patch.setattr("core.images.decode.note_code_points", lambda *_, **__: None)
        patch.setattr("core.gallery.build.READING", 0)
        yield patch


@pytest.mark.slow
def test_only_images_whose_colours_numbers_state_are_described_anew(
    photos, tmp_path, encoder, as_before
) -> None:
    """A gallery kept their colours as they are stored, whatever a query under the same name had."""
    still = Image.open(photos / "01.png")
    (photos / "stated.png").write_bytes(with_chunks(still, cicp(9, 8)))
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    old, as_stored = Gallery.open(folder), thumbnails(folder)
    as_before.undo()
    assert [(d.file, "as they are stored" in d.what) for d in changed_images(folder)] == [
        ("stated.png", True)
    ]
    encoder.seen = 0
    change = update(folder, Source(photos), [encoder], config=SMALL)
    assert (change.added, change.removed, encoder.seen) == (0, 0, 1)
    new = Gallery.open(folder)
    update(tmp_path / "anew", Source(photos), [encoder], config=SMALL)
    anew = Gallery.open(tmp_path / "anew")
    assert [r.id for r in new.records] == [r.id for r in old.records]
    assert [r.phash for r in new.records] == [r.phash for r in anew.records]
    assert contents(new, encoder)[1] == contents(anew, encoder)[1] != contents(old, encoder)[1]
    assert thumbnails(folder) == thumbnails(tmp_path / "anew") != as_stored
    assert changed_images(folder) == [] and verify(folder) == []
    encoder.seen = 0
    update(folder, Source(photos), [encoder], config=SMALL)
    assert (encoder.seen, Gallery.open(folder).header) == (0, new.header)


def test_a_gallery_without_such_images_keeps_its_header(photos, tmp_path, encoder) -> None:
    update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert "reading" not in json.loads((tmp_path / "g" / "gallery.json").read_text())


def thumbnails(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("thumbnails/*/*.webp")}


# Building and changing


def test_records_and_features_are_aligned(photos, tmp_path, encoder) -> None:
    change = update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    gallery = assert_sound(tmp_path / "g", encoder)
    names = sorted(p.relative_to(photos).as_posix() for p in photos.rglob("*.png"))
    assert [r.path for r in gallery.records] == names
    assert [r.id for r in gallery.records] == list(range(12))
    assert (change.images, change.added, change.removed, change.skipped) == (12, 12, 0, ())
    assert gallery.name == "g"
    assert not Store(tmp_path / "g").work.exists()


def test_an_unchanged_folder_changes_nothing(photos, tmp_path, encoder) -> None:
    (photos / "broken.png").write_bytes(b"no image")
    update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    header = (tmp_path / "g" / "gallery.json").read_bytes()
    encoder.seen = 0
    change = update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert (change.images, change.added, change.removed, encoder.seen) == (12, 0, 0, 0)
    assert [s.path for s in change.skipped] == ["broken.png"]
    assert (tmp_path / "g" / "gallery.json").read_bytes() == header


def test_new_changed_renamed_and_unchanged_files(photos, tmp_path, encoder, write_image) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    before = {r.path: r for r in Gallery.open(folder).records}
    write_image(photos / "new.png", 100)
    write_image(photos / "01.png", 101)
    shutil.copy(photos / "02.png", photos / "renamed.png")
    encoder.seen = 0
    change = update(folder, Source(photos), [encoder], config=SMALL)
    assert (change.images, change.added, change.removed) == (14, 3, 1)
    assert encoder.seen == 2
    gallery = assert_sound(folder, encoder)
    after = {r.path: r for r in gallery.records}
    assert all(after[path] == before[path] for path in before if path != "01.png")
    assert sorted(after[p].id for p in ("01.png", "new.png", "renamed.png")) == [12, 13, 14]
    assert after["renamed.png"].sha256 == before["02.png"].sha256
    assert not gallery.store.thumbnail(before["01.png"].sha256).exists()


def test_files_that_have_gone_stay_in_the_gallery(photos, tmp_path, encoder) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    (photos / "01.png").unlink()
    assert update(folder, Source(photos), [encoder], config=SMALL).images == 12
    assert verify(folder) == []


def test_removed_ids_are_never_used_again(photos, tmp_path, encoder, write_image) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    gone = Gallery.open(folder).records[-1]
    change = remove(folder, [0, gone.id, gone.id])
    assert (change.images, change.added, change.removed) == (10, 0, 2)
    gallery = assert_sound(folder, encoder)
    assert [r.id for r in gallery.records] == list(range(1, 11))
    assert not gallery.store.thumbnail(gone.sha256).exists()
    (photos / gone.path).unlink()
    write_image(photos / "new.png", 100)
    update(folder, Source(photos), [encoder], config=SMALL)
    assert [r.id for r in assert_sound(folder, encoder).records] == [*range(1, 11), 12, 13]


@pytest.mark.slow
def test_all_images_may_go_and_come_back(photos, tmp_path, encoder) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    remove(folder, range(12))
    assert len(assert_sound(folder, encoder)) == 0
    update(folder, Source(photos), [encoder], config=SMALL)
    assert [r.id for r in assert_sound(folder, encoder).records] == list(range(12, 24))


def test_an_unknown_id_removes_nothing(photos, tmp_path, encoder) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    with pytest.raises(GalleryError, match="id 99"):
        remove(folder, [0, 99])
    assert len(Gallery.open(folder)) == 12
    with pytest.raises(GalleryError, match="not a gallery"):
        remove(tmp_path / "nowhere", [0])
    assert not (tmp_path / "nowhere").exists()


def test_equal_files_are_encoded_once_and_removed_one_by_one(
    photos, tmp_path, encoder, make_encoder
) -> None:
    shutil.copy(photos / "01.png", photos / "copy.png")
    plain = make_encoder(space=False)
    folder = tmp_path / "g"
    update(folder, Source(photos), [plain], config=SMALL)
    assert plain.seen == 12 + SMALL.batch  # the first batch tells that it has no patches
    gallery = assert_sound(folder, encoder)
    assert len(gallery) == 13
    ids = {r.path: r.id for r in gallery.records}
    remove(folder, [ids["01.png"]])
    assert len(assert_sound(folder, encoder)) == 12


@pytest.mark.slow
def test_an_encoder_may_come_later(photos, tmp_path, encoder, make_encoder, write_image) -> None:
    folder, second = tmp_path / "g", make_encoder("second", seed=1)
    update(folder, Source(photos), [encoder], config=SMALL)
    before = contents(Gallery.open(folder), encoder)
    encoder.seen = 0
    change = update(folder, Source(photos), [second], config=SMALL)
    assert (change.images, change.added, encoder.seen) == (12, 0, 0)
    assert contents(assert_sound(folder, second), encoder) == before
    assert Gallery.open(folder).encoder_names == ("fake", "second")
    write_image(photos / "new.png", 100)
    with pytest.raises(GalleryError, match="also holds features of fake@"):
        update(folder, Source(photos), [second], config=SMALL)
    update(folder, Source(photos), [second, encoder], config=SMALL)
    assert len(assert_sound(folder, encoder)) == len(assert_sound(folder, second)) == 13


@pytest.mark.slow
def test_an_encoder_cannot_come_when_the_images_are_gone(
    photos, tmp_path, encoder, make_encoder
) -> None:
    """Where none was left, the gallery silently stayed without the encoder."""
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    images = sorted(photos.rglob("*.png"))
    for lost in (images[:1], images[1:]):
        for path in lost:
            path.unlink()
        with pytest.raises(GalleryError, match=r"could not be read again"):
            update(folder, Source(photos), [make_encoder("b", seed=1)], config=SMALL)
    assert Gallery.open(folder).encoder_names == ("fake",)


def test_only_some_images_may_be_indexed(photos, tmp_path, encoder) -> None:
    only = ("01.png", "trip/03.png", "../out.png")
    change = update(tmp_path / "g", Source(photos, only), [encoder], config=SMALL)
    assert [r.path for r in Gallery.open(tmp_path / "g").records] == ["01.png", "trip/03.png"]
    assert [s.path for s in change.skipped] == ["../out.png"]


def test_metadata_goes_to_its_images_and_is_brought_up_to_date(photos, tmp_path, encoder) -> None:
    """A changed metadata file had no effect on images that were there already."""
    csv = photos / "metadata.csv"
    csv.write_text("file_name,license,mood\n01.png,CC0,calm\ntrip/03.png,CC-BY,\n")
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    found = {r.path: r for r in Gallery.open(folder).records}
    assert (found["01.png"].licence, found["01.png"].extra) == ("CC0", {"mood": "calm"})
    assert (found["trip/03.png"].licence, found["02.png"].licence) == ("CC-BY", "")
    csv.write_text("file_name,license,mood\n01.png,CC0,wild\n")
    encoder.seen = 0
    assert update(folder, Source(photos), [encoder], config=SMALL).added == 0
    found = {r.path: r for r in assert_sound(folder, make_like(encoder)).records}
    assert found["01.png"].extra == {"mood": "wild"}
    assert found["trip/03.png"].licence == "CC-BY"
    assert encoder.seen == 0


def make_like(encoder):
    return type(encoder)()


def test_broken_metadata_stops_a_build_before_any_work(photos, tmp_path, encoder) -> None:
    (photos / "metadata.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(GalleryError, match="file_name is missing; it is empty"):
        update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert encoder.seen == 0
    assert not (tmp_path / "g").exists()


# Bad input


def test_unreadable_images_are_left_out_with_reasons(photos, tmp_path, encoder) -> None:
    bad = {
        "empty.png": b"",
        "text.jpg": b"this is text",
        "same-text.jpg": b"this is text",
        "cut.png": (photos / "01.png").read_bytes()[:60],
    }
    for name, data in bad.items():
        (photos / name).write_bytes(data)
    (photos / "loop.png").symlink_to("loop.png")
    (photos / "dangling.png").symlink_to("nowhere")
    os.mkfifo(photos / "pipe.png")
    (photos / "folder.png").mkdir()
    (photos / "round").symlink_to(photos)
    shutil.copy(photos / "01.png", os.fsencode(photos) + b"/\xff.png")
    change = update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert_sound(tmp_path / "g", encoder)
    assert (change.images, change.added) == (12, 12)
    reasons = {s.path: s.reason for s in change.skipped}
    assert set(reasons) == {*bad, "loop.png", "dangling.png", "pipe.png", "\udcff.png"}
    assert "empty" in reasons["empty.png"]
    assert all(f"'{name}'" in reasons[name] for name in bad)  # of two with the same bytes as well
    assert "Unicode" in reasons["\udcff.png"]
    assert all(reasons.values())


def test_any_name_that_is_unicode_is_taken(photos, tmp_path, encoder, write_image) -> None:
    names = ["new\nline.png", "größe/日本語 🎨.png", "[/bold].png", "-n.png", "a'\"`$;.png"]
    for number, name in enumerate(names):
        write_image(photos / name, 200 + number)
    update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    gallery = assert_sound(tmp_path / "g", encoder)
    assert set(names) <= {r.path for r in gallery.records}


@pytest.mark.parametrize("kind", ["empty", "file", "missing", "unreadable"])
@pytest.mark.slow
def test_a_source_without_images_is_refused_and_does_not_spoil_the_folder(
    photos, tmp_path, encoder, kind: str
) -> None:
    source = tmp_path / "source"
    if kind == "file":
        source.write_text("x")
    elif kind != "missing":
        source.mkdir()
    if kind == "unreadable":
        (source / "a.png").write_bytes(b"x")
    with pytest.raises(GalleryError, match=r"folder of images|no image that can be read"):
        update(tmp_path / "g", Source(source), [encoder], config=SMALL)
    update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
    assert assert_sound(tmp_path / "g", encoder).root == photos


def test_a_gallery_needs_an_encoder(photos, tmp_path) -> None:
    with pytest.raises(GalleryError, match="needs an encoder"):
        update(tmp_path / "g", Source(photos), [])
    assert not (tmp_path / "g").exists()


def test_other_folders_are_not_built_upon(photos, tmp_path, encoder) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for folder in (photos, file):
        with pytest.raises(GalleryError, match="not empty and not a gallery"):
            update(folder, Source(photos), [encoder], config=SMALL)
    assert not list(photos.glob("*lock*"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "gallery.json").write_text('{"format": 99}')
    for attempt in (
        lambda: update(other, Source(photos), [encoder], config=SMALL),
        lambda: remove(other, [0]),
    ):
        with pytest.raises(GalleryError, match="format 99"):
            attempt()
    assert (other / "gallery.json").read_text() == '{"format": 99}'


def test_a_gallery_within_the_images_does_not_index_its_own_thumbnails(
    photos, tmp_path, encoder
) -> None:
    """The second call took the thumbnails for new images."""
    folder = photos / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    change = update(folder, Source(photos), [encoder], config=SMALL)
    assert (change.images, change.added) == (12, 0)


def test_a_gallery_with_its_images_inside_can_be_moved(photos, tmp_path, encoder) -> None:
    folder = tmp_path / "g"
    shutil.move(photos, folder / "images")
    update(folder, Source(folder / "images"), [encoder], config=SMALL)
    moved = folder.rename(tmp_path / "moved")
    assert_sound(moved, encoder)


@pytest.mark.parametrize("name", ["features.npy", "patches.npy"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "fewer rows"])
@pytest.mark.slow
def test_a_damaged_array_is_not_carried_into_the_next_generation(
    photos, tmp_path, encoder, name: str, damage: str
) -> None:
    """The readers of numpy raised whatever they raise."""
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    path = Gallery.open(folder).folder / encoder_key(encoder) / name
    whole = path.read_bytes()
    if damage == "fewer rows":
        np.save(path, np.load(path)[:3])
    else:
        path.write_bytes({"truncated": whole[:-9], "empty": b"", "text": b"text"}[damage])
    with pytest.raises(GalleryError, match="damaged"):
        remove(folder, [0])
    path.write_bytes(whole)
    assert len(assert_sound(folder, encoder)) == 12


# Cancelling, several at once


def test_comparing_the_files_can_be_stopped_too(photos, tmp_path, encoder) -> None:
    """Nothing was said, and nothing could be stopped, until the first image was encoded."""

    def stop(_done: int, total: int, what: str) -> None:
        assert (total, what) == (12, "comparing files")
        raise Cancelled

    with pytest.raises(Cancelled):
        update(tmp_path / "g", Source(photos), [encoder], config=SMALL, progress=stop)
    assert encoder.seen == 0


def test_cancel_keeps_finished_shards_and_the_same_call_goes_on(
    photos, tmp_path, make_encoder
) -> None:
    folder, plain = tmp_path / "g", make_encoder(space=False)

    def stop(done: int, total: int, what: str) -> None:
        if what.startswith("reading") and done >= 7:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        update(folder, Source(photos), [plain], config=SMALL, progress=stop)
    assert len(Gallery.open(folder)) == 0
    plain.seen = 0
    update(folder, Source(photos), [plain], config=SMALL)
    assert plain.seen == 12 - 6 + SMALL.batch  # the first batch tells that it has no patches
    assert len(assert_sound(folder, make_encoder())) == 12


@pytest.mark.slow
def test_a_second_writer_is_refused_at_once(photos, tmp_path, encoder, make_encoder) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos, ("01.png",)), [encoder], config=SMALL)
    waits: list[float] = []

    def meanwhile(done: int, total: int, what: str) -> None:
        for attempt in (
            lambda: update(folder, Source(photos), [make_encoder()], config=SMALL),
            lambda: remove(folder, [0]),
        ):
            start = time.monotonic()
            with pytest.raises(GalleryError, match="being changed by another"):
                attempt()
            waits.append(time.monotonic() - start)

    update(folder, Source(photos), [encoder], config=SMALL, progress=meanwhile)
    assert max(waits) < 2
    assert len(assert_sound(folder, encoder)) == 12


def test_a_reader_keeps_its_generation_through_a_change(photos, tmp_path, encoder) -> None:
    """Its folder was removed at once: arrays it had not opened yet were gone."""
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    early, late = Gallery.open(folder), Gallery.open(folder)
    features, patches = np.array(early.features(encoder)), early.patches(encoder)
    remove(folder, [0, 3])
    np.testing.assert_array_equal(late.features(encoder), features)
    np.testing.assert_array_equal(late.patches(encoder), patches)
    assert late.patch_head(encoder) is not None
    assert [r.id for r in late.records] == list(range(12))
    np.testing.assert_array_equal(
        Gallery.open(folder).features(encoder), np.delete(features, [0, 3], 0)
    )


@pytest.mark.slow
def test_readers_during_changes_see_one_state_whole(photos, tmp_path, encoder) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    whole = Gallery.open(folder)
    truth = dict(
        zip((r.sha256 for r in whole.records), np.array(whole.features(encoder)), strict=True)
    )
    names = {record.id: record.path for record in whole.records}
    stop, seen, faults = threading.Event(), set[int](), []

    def read() -> None:
        while not stop.is_set():
            try:
                gallery = Gallery.open(folder)
                rows = np.array(gallery.features(encoder))
                meant = np.array([truth[r.sha256] for r in gallery.records])
                np.testing.assert_array_equal(rows, meant)
                seen.add(len(gallery))
            except Exception as error:
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for image_id in range(6):
        remove(folder, [image_id])
        update(folder, Source(photos, (names[image_id],)), [encoder], config=SMALL)
    stop.set()
    for reader in readers:
        reader.join(10)
    assert not faults
    assert seen <= {11, 12}


# Real processes: killed at every step, and with a full disk


SERVER = '''
import errno, json, os, resource, runpy, sys, time
from pathlib import Path
from core.gallery.build import update
from core.gallery.source import Source
from core.config import BuildConfig
FakeEncoder = runpy.run_path(sys.argv[1])["FakeEncoder"]
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"}
job, steps = {}, 0


class Slow(FakeEncoder):
    def encode(self, images):
        time.sleep(job["delay"] * len(images))
        return super().encode(images)


def watch(event, args):
    """Count what changes the gallery's folder, and strike at one of these steps."""
    global steps
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if not job or not (writes or event in CHANGES) or job["gallery"] not in str(args[0]):
        return
    steps += 1
    if steps == job["step"]:
        if job["fault"] == "kill":
            os.kill(os.getpid(), 9)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def tell(**facts):
    print(json.dumps({"number": order["number"], **facts}), flush=True)


sys.addaudithook(watch)
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid:
        tell(pid=pid)
        tell(status=os.waitpid(pid, 0)[1])
        continue
    said = "done"
    if order["limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], -1))
    config = BuildConfig(batch=2, shard=2, workers=1, thumbnail=32)
    job = order
    try:
        update(Path(job["gallery"]), Source(Path(job["photos"])), [Slow()], config=config)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    tell(said=said, steps=steps)
    os._exit(0)
'''


@dataclass
class Server:
    """A process that builds galleries in children of its own."""

    process: subprocess.Popen[str]
    orders: int = 0

    def build(
        self,
        gallery: Path,
        photos: Path,
        *,
        fault: str = "",
        at: float = 0,
        delay: float = 0,
    ) -> tuple[str, int]:
        """What a build said, and how many steps it took; ``killed`` when it was.

        A fault ``kill`` or ``full`` strikes at step ``at``, ``late`` kills after ``at`` seconds,
        and ``limit`` lets no file grow beyond ``at`` bytes.
        """
        order = {"gallery": str(gallery), "photos": str(photos), "fault": fault, "delay": delay}
        limit, step = (at, 0) if fault == "limit" else (0, 0 if fault == "late" else at)
        self.orders += 1
        order |= {"number": self.orders, "limit": limit, "step": step}
        self._say(json.dumps(order))
        heard = self._hear()
        if fault == "late":
            time.sleep(at)
            with contextlib.suppress(ProcessLookupError):
                os.kill(heard["pid"], signal.SIGKILL)
        while "status" not in heard:
            heard |= self._hear()
        if heard["status"] == signal.SIGKILL:
            return "killed", 0
        return heard["said"], heard["steps"]

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while True:  # an order that a test gave up may still be answered
            heard = json.loads(self.process.stdout.readline())
            if heard["number"] == self.orders:
                return heard


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    script = [sys.executable, "-c", SERVER, str(Path(__file__).parents[1] / "conftest.py")]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        script, stdin=pipe, stdout=pipe, text=True, env=environ, cwd=ROOT
    ) as process:
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def some(tmp_path, write_image) -> Path:
    """Six images: three shards."""
    for number in range(6):
        write_image(tmp_path / "some" / f"{number}.png", number)
    return tmp_path / "some"


def drawn(steps: int, count: int) -> list[int]:
    """Steps to strike at: always the same, the first and the last among them."""
    return sorted({1, steps, *random.Random(0).sample(range(1, steps + 1), min(count, steps))})


def finished(folder: Path, encoder) -> tuple[int, bool]:
    """Images in finished shards, and whether the patch head is there."""
    shards = list(folder.glob("work/*/shard-*"))
    head = bool(list(folder.glob(f"work/*/patch_heads/{encoder_key(encoder)}")))
    return sum(len(np.load(next(s.glob("*/features.npy")))) for s in shards), head


def assert_resumes(folder: Path, photos: Path, encoder, whole: tuple[object, ...]) -> None:
    """The same call encodes only what is missing, and ends as if nothing had happened."""
    done, head = finished(folder, encoder)
    committed = Store(folder).exists and len(Gallery.open(folder)) > 0
    missing = 0 if committed else 6 - done
    encoder.seen = 0
    update(folder, Source(photos), [encoder], config=SMALL)
    assert encoder.seen == missing + (6 if missing and not head else 0)
    assert contents(assert_sound(folder, make_like(encoder)), encoder) == whole
    assert not Store(folder).work.exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_build_killed_at_any_step_is_finished_by_the_same_call(
    server, some, tmp_path, encoder
) -> None:
    said, steps = server.build(tmp_path / "whole", some)
    assert said == "done"
    assert steps > 60
    whole = contents(assert_sound(tmp_path / "whole", encoder), encoder)
    for step in drawn(steps, 12):
        folder = tmp_path / f"g{step}"
        assert server.build(folder, some, fault="kill", at=step) == ("killed", 0), step
        if Store(folder).exists:
            assert len(Gallery.open(folder)) in (0, 6)
        assert_resumes(folder, some, encoder, whole)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_slow_build_killed_at_random_moments_is_finished_by_the_same_call(
    server, some, tmp_path, encoder
) -> None:
    server.build(tmp_path / "whole", some)
    whole = contents(Gallery.open(tmp_path / "whole"), encoder)
    rng, folder, killed = random.Random(1), tmp_path / "g", 0
    for _ in range(5):
        said, _ = server.build(folder, some, fault="late", at=rng.uniform(0.05, 0.4), delay=0.03)
        killed += said == "killed"
    assert killed >= 2
    assert_resumes(folder, some, encoder, whole)


@pytest.fixture
def changed(some, tmp_path, encoder, write_image) -> Path:
    """A gallery of six images, two of which have changed since and two of which are new."""
    update(tmp_path / "old", Source(some), [encoder], config=SMALL)
    for number in (1, 2, 6, 7):
        write_image(some / f"{number}.png", 50 + number)
    return tmp_path / "old"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_change_killed_at_any_step_shows_old_or_new_and_can_be_finished(
    server, some, changed, tmp_path, encoder
) -> None:
    old = contents(Gallery.open(changed), encoder)
    shutil.copytree(changed, tmp_path / "new")
    _, steps = server.build(tmp_path / "new", some)
    new = contents(assert_sound(tmp_path / "new", encoder), encoder)
    states = []
    for step in drawn(steps, 8):
        folder = tmp_path / f"g{step}"
        shutil.copytree(changed, folder)
        assert server.build(folder, some, fault="kill", at=step) == ("killed", 0), step
        states.append(contents(Gallery.open(folder), encoder))
        assert verify(folder) == []
        update(folder, Source(some), [encoder], config=SMALL)
        assert contents(assert_sound(folder, encoder), encoder) == new
    assert states[0] == old
    assert states[-1] == new
    assert all(state in (old, new) for state in states)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_a_full_disk_at_any_step_leaves_the_gallery_as_it_was(
    server, some, changed, tmp_path, encoder
) -> None:
    shutil.copytree(changed, tmp_path / "new")
    _, steps = server.build(tmp_path / "new", some)
    old = contents(Gallery.open(changed), encoder)
    new = contents(Gallery.open(tmp_path / "new"), encoder)
    refused = 0
    for step in drawn(steps, 8):
        folder = tmp_path / f"g{step}"
        shutil.copytree(changed, folder)
        said, _ = server.build(folder, some, fault="full", at=step)
        assert said == "done" or said.startswith("GalleryError: "), (step, said)
        refused += said != "done"
        assert contents(Gallery.open(folder), encoder) == (new if said == "done" else old)
        assert verify(folder) == []
    assert refused > 4


@pytest.mark.parametrize("limit", [20, 300, 1200])
@pytest.mark.slow
def test_a_disk_that_fills_up_within_a_file_leaves_no_gallery_damaged(
    server, some, changed, tmp_path, encoder, limit: int
) -> None:
    old = contents(Gallery.open(changed), encoder)
    said, _ = server.build(changed, some, fault="limit", at=limit)
    assert said.startswith("GalleryError: ")
    assert contents(Gallery.open(changed), encoder) == old
    assert verify(changed) == []
    fresh = tmp_path / "fresh"
    said, _ = server.build(fresh, some, fault="limit", at=limit)
    assert said.startswith("GalleryError: ")
    assert server.build(fresh, some)[0] == "done"
    assert len(assert_sound(fresh, encoder)) == 8


@pytest.mark.slow
def test_another_folder_is_refused_though_its_files_have_the_same_names(
    photos, tmp_path, encoder, write_image
) -> None:
    """Adding it took the first folder's images out, and the paths led to files of other contents.

    A folder that holds images of one that is gone is the same folder, moved.
    """
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    other = tmp_path / "other"
    for number in range(3):
        write_image(other / f"{number + 1:02d}.png", 100 + number)
    with pytest.raises(GalleryError, match=r"other: put the new ones there, or index"):
        update(folder, Source(other), [encoder], config=SMALL)
    assert assert_sound(folder, encoder).root == photos
    photos.rename(tmp_path / "moved")
    with pytest.raises(GalleryError, match="put the new ones there"):
        update(folder, Source(other), [encoder], config=SMALL)
    change = update(folder, Source(tmp_path / "moved"), [encoder], config=SMALL)
    assert (change.images, change.added, change.removed) == (12, 0, 0)
    assert assert_sound(folder, encoder).root == tmp_path / "moved"
    remove(folder, range(12))
    update(folder, Source(other), [encoder], config=SMALL)
    assert assert_sound(folder, encoder).root == other


@pytest.mark.slow
def test_a_moved_folder_that_lacks_some_images_names_them_and_goes_on(
    photos, tmp_path, encoder, make_encoder
) -> None:
    """It was refused as if it were another folder."""
    folder, moved = tmp_path / "g", tmp_path / "moved"
    update(folder, Source(photos), [encoder], config=SMALL)
    photos.rename(moved)
    (moved / "01.png").unlink()
    (moved / "02.png").rename(moved / "trip" / "renamed.png")
    change = update(folder, Source(moved), [encoder], config=SMALL)
    assert (change.images, change.moved, change.gone) == (12, 1, ("01.png",))
    gallery = Gallery.open(folder)
    assert gallery.root == moved
    paths = {record.path for record in gallery.records}
    assert {"01.png", "trip/renamed.png"} <= paths and "02.png" not in paths
    other = make_encoder("other", seed=1)
    with pytest.raises(GalleryError, match=r"'01\.png' first, could not be read again"):
        update(folder, Source(moved), [encoder, other], config=SMALL)
    change = update(folder, Source(moved, prune=True), [encoder, other], config=SMALL)
    assert (change.images, change.removed, change.gone) == (11, 1, ())
    assert len(assert_sound(folder, other)) == 11


def test_a_moved_file_is_the_same_image_under_its_new_path(photos, tmp_path, encoder) -> None:
    """It was added a second time, and the first stayed with a path that led nowhere."""
    folder = tmp_path / "g"
    (photos / "metadata.csv").write_text("file_name,title\n01.png,One\n04.png,Four\n")
    update(folder, Source(photos), [encoder], config=SMALL)
    before = {record.sha256: record.id for record in Gallery.open(folder).records}
    (photos / "01.png").rename(photos / "trip" / "1st.png")
    (photos / "02.png").rename(photos / "2nd.png")
    (photos / "2nd.png").write_bytes((photos / "2nd.png").read_bytes())
    shutil.copy(photos / "2nd.png", photos / "another.png")
    encoder.seen = 0
    change = update(folder, Source(photos, prune=True), [encoder], config=SMALL)
    assert (change.images, change.added, change.moved, change.removed) == (13, 1, 2, 0)
    assert encoder.seen == 0
    records = assert_sound(folder, encoder).records
    by_path = {record.path: record for record in records}
    assert by_path["trip/1st.png"].id == before[by_path["trip/1st.png"].sha256]
    assert by_path["trip/1st.png"].title == "One"
    assert {"01.png", "02.png"}.isdisjoint(by_path)


@pytest.mark.slow
def test_an_encoder_is_added_from_any_copy_of_a_content(
    photos, tmp_path, encoder, make_encoder
) -> None:
    folder = tmp_path / "g"
    shutil.copy(photos / "01.png", photos / "copy.png")
    update(folder, Source(photos), [encoder], config=SMALL)
    (photos / "01.png").unlink()
    other = make_encoder("other", seed=1)
    assert update(folder, Source(photos), [encoder, other], config=SMALL).gone == ("01.png",)
    gallery = Gallery.open(folder)
    assert gallery.encoder_names == ("fake", "other") and len(gallery.features(other)) == 13


@pytest.mark.slow
def test_an_encoder_that_reads_otherwise_takes_the_place_of_its_namesake(
    photos, tmp_path, encoder, make_encoder, write_image
) -> None:
    """New images were refused for ever: the old encoder could not be named any more."""
    folder, renewed = tmp_path / "g", make_encoder(encoder.name, seed=1)
    update(folder, Source(photos), [encoder], config=SMALL)
    before = Gallery.open(folder)
    thumbnail = before.store.thumbnail(before.records[0].sha256)
    made = thumbnail.read_bytes()
    thumbnail.write_bytes(before.store.thumbnail(before.records[1].sha256).read_bytes())
    write_image(photos / "new.png", 100)
    update(folder, Source(photos), [renewed], config=SMALL)
    gallery = assert_sound(folder, renewed)
    assert len(gallery) == 13 and gallery.encoder_keys == (encoder_key(renewed),)
    assert thumbnail.read_bytes() == made


def test_a_file_that_is_no_picture_any_more_takes_its_image_out(photos, tmp_path, encoder) -> None:
    """It was said to be removed, and stayed."""
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    (photos / "01.png").write_text("no picture")
    change = update(folder, Source(photos), [encoder], config=SMALL)
    assert (change.images, change.removed, [each.path for each in change.skipped]) == (
        11,
        1,
        ["01.png"],
    )
    assert len(Gallery.open(folder)) == 11


def test_touched_files_make_no_new_generation(photos, tmp_path, encoder) -> None:
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    for path in photos.rglob("*.png"):
        os.utime(path)
    update(folder, Source(photos), [encoder], config=SMALL)
    assert Gallery.open(folder).header.generation == 1


def cancelled(photos: Path, folder: Path, encoder: object) -> list[Path]:
    """Two finished shards of a build that was cancelled."""

    def stop(done: int, total: int, what: str) -> None:
        if what.startswith("reading") and done > 9:
            raise Cancelled

    config = dataclasses.replace(SMALL, batch=2, shard=4)
    with pytest.raises(Cancelled):
        update(folder, Source(photos), [encoder], config=config, progress=stop)
    shards = sorted(folder.glob("work/*/shard-*"))
    assert len(shards) == 2
    return shards


@pytest.mark.parametrize("damage", ["manifest", "features", "patches", "lost", "head", "gone"])
@pytest.mark.slow
def test_damaged_unfinished_work_is_done_again(photos, tmp_path, encoder, damage: str) -> None:
    """A damaged shard failed every later build; one that was deleted lost its images silently."""
    folder = tmp_path / "g"
    first, _ = cancelled(photos, folder, encoder)
    key = encoder_key(encoder)
    files = {
        "manifest": first / "manifest.parquet",
        "features": first / key / "features.npy",
        "patches": first / key / "patches.npy",
        "head": first.parent / "patch_heads" / key / "head.json",
    }
    if damage == "gone":
        shutil.rmtree(first)
    elif damage == "lost":
        files["patches"].unlink()
    else:
        files[damage].write_bytes(b"")
    config = dataclasses.replace(SMALL, batch=2, shard=4)
    assert update(folder, Source(photos), [encoder], config=config).added == 12
    assert len(assert_sound(folder, encoder)) == 12
    assert verify(folder) == []


@pytest.mark.slow
def test_features_that_cannot_be_read_back_are_not_left_out(
    photos, tmp_path, encoder, make_encoder, monkeypatch
) -> None:
    """The call was done, and the encoder that it was to add was not there."""
    folder, other = tmp_path / "g", make_encoder("other", seed=1)
    update(folder, Source(photos), [encoder], config=SMALL)
    real, broken = shards.load_array, list[Path]()

    def load(path: Path) -> np.ndarray:
        if encoder_key(other) in path.parts and not broken:
            broken.append(path)
            raise GalleryError("it cannot be read")
        return real(path)

    monkeypatch.setattr(shards, "load_array", load)
    with pytest.raises(GalleryError, match="the same command reads them again"):
        update(folder, Source(photos), [encoder, other], config=SMALL)
    assert Gallery.open(folder).encoder_names == ("fake",)
    update(folder, Source(photos), [encoder, other], config=SMALL)
    assert Gallery.open(folder).encoder_names == ("fake", "other")
    assert verify(folder) == []


def test_what_killed_calls_left_is_swept_away(photos, tmp_path, encoder) -> None:
    """Half-written files stayed for good."""
    folder = tmp_path / "g"
    update(folder, Source(photos), [encoder], config=SMALL)
    thumbnails = next(folder.glob("thumbnails/*"))
    left = [folder / ".gallery.json.1.part", thumbnails / ".a.webp.2.part"]
    left += [thumbnails / f"{'0' * 64}.webp"]
    derived = Gallery.open(folder).artefacts.folder
    Store(folder).work.mkdir()  # there until a call has come to its end
    for path in (*left, derived / ".x.3.part" / "a.npy", folder / ".images.4.part" / "a.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with new_folder(derived / "y") as fresh:  # a reader is writing it
        update(folder, Source(photos), [encoder], config=SMALL)
        assert fresh.is_dir()
    assert not any(path.exists() for path in left)
    assert [path.name for path in derived.iterdir()] == ["y"]
    assert not list(folder.glob(".*"))


@pytest.mark.slow
def test_a_full_disk_is_told_whoever_notices_it(photos, tmp_path, encoder, monkeypatch) -> None:
    """NumPy tells of a full disk in counts of what it wrote, and so did the message."""

    def full(*_: object, **__: object) -> None:
        raise OSError("144 requested and 0 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(GalleryError, match="No space left on device"):
        update(tmp_path / "g", Source(photos), [encoder], config=SMALL)
