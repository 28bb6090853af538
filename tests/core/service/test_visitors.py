from __future__ import annotations

import gc
import os
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import ServerConfig
from core.gallery.commit import Change
from core.gallery.gallery import Gallery
from core.images.files import folder_size
from core.service.library import Library
from core.service.visitors import Visitors
from core.values import (
    Cancelled,
    Encoder,
    GalleryError,
    ImageError,
    Progress,
    no_progress,
)

ANN, BOB = "ann-visits", "bob_visits"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def visitors(clock) -> Visitors:
    config = ServerConfig(
        hosted=True,
        max_upload_bytes=100_000,
        max_unpacked_bytes=200_000,
        max_images=5,
        session_seconds=60,
        max_builds=6,
    )
    return Visitors(config, clock=clock)


@pytest.fixture
def pack(tmp_path, write_image) -> Callable[..., Path]:
    def make(name: str, seeds: range, *, more: dict[str, bytes] | None = None) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for seed in seeds:
                archive.write(write_image(tmp_path / f"{seed}.png", seed), f"{seed}.png")
            for path, data in (more or {}).items():
                archive.writestr(path, data)
        return tmp_path / name

    return make


def create(
    visitors: Visitors,
    visitor: str,
    archive: Path,
    encoders: list[Encoder],
    *,
    progress: Progress = no_progress,
) -> tuple[str, Change]:
    """Build a visitor's gallery from a zip."""
    library = Library(visitors.config, visitors, encoder=lambda _: encoders[0])
    return library.build(archive, ["fake"], visitor=visitor, progress=progress)


def left(visitors: Visitors) -> list[str]:
    """Everything that visitors keep on the disk, folders of visitors aside."""
    return sorted(str(p) for p in visitors.root().glob("*/galleries/*"))


@pytest.mark.slow
def test_a_visitor_gets_a_gallery_that_nobody_can_guess(visitors, pack, encoder) -> None:
    name, change = create(visitors, ANN, pack("a.zip", range(3)), [encoder])
    assert len(name) == 32
    assert int(name, 16) >= 0
    assert (change.images, change.skipped) == (3, ())
    gallery = Gallery.open(visitors.gallery(ANN, name))
    assert [r.path for r in gallery.records] == ["0.png", "1.png", "2.png"]
    other, _ = create(visitors, BOB, pack("a.zip", range(3)), [encoder])
    assert other != name


def test_no_visitor_sees_what_is_another_s(visitors, pack, encoder) -> None:
    name, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])
    for visitor, asked in [
        (BOB, name),
        (BOB, f"../../{ANN}/galleries/{name}"),
        (ANN, f"../galleries/{name}"),
        (ANN, name.upper() if name != name.upper() else "x"),
        (ANN, ""),
        (ANN, "/etc"),
        (ANN, name + "\n"),
    ]:
        with pytest.raises(GalleryError, match="not here, or has expired"):
            visitors.gallery(visitor, asked)


@pytest.mark.parametrize(
    "visitor", ["", "short", "x" * 65, "../../../etc", "a/b/c/d/e", "ann visits", "ann-visits\n"]
)
def test_visitors_need_a_name_that_is_one(visitors, pack, encoder, visitor: str) -> None:
    with pytest.raises(GalleryError, match="need a session"):
        create(visitors, visitor, pack("a.zip", range(2)), [encoder])
    with pytest.raises(GalleryError, match="need a session"):
        visitors.gallery(visitor, "0" * 32)


def test_a_visit_begins_when_something_is_kept(visitors, pack, encoder) -> None:
    """Asking for a gallery that is not there made a folder, for every name that was made up."""
    for number in range(20):
        with pytest.raises(GalleryError, match="not here, or has expired"):
            visitors.gallery(f"visitor-{number}", "0" * 32)
    for seeds in (range(0), range(6)):  # no image, and one too many
        with pytest.raises((GalleryError, ImageError)):
            create(visitors, ANN, pack("refused.zip", seeds), [encoder])
    assert visitors.usage()[0] == 0
    assert [each for each in visitors.root().iterdir() if each.is_dir()] == []


def test_a_new_gallery_takes_the_place_of_the_earlier_one(visitors, pack, encoder) -> None:
    first, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])
    second, _ = create(visitors, ANN, pack("b.zip", range(2, 4)), [encoder])
    assert [Path(p).name for p in left(visitors)] == [second]
    with pytest.raises(GalleryError):
        visitors.gallery(ANN, first)


@pytest.mark.parametrize(
    ("seeds", "more", "what"),
    [
        (range(6), {}, "6 images; at most 5"),
        (range(2), {"big.png": b"\0" * 300_000}, "more than the accepted 200,000 bytes"),
        (range(2), {"../out.png": b"x"}, "relative paths"),
        (range(0), {"a.txt": b"x"}, "no images"),
        (range(0), {"a.png": b"x"}, "no image that can be read"),
        (range(2), {"metadata.csv": b"\xff\xfe"}, "it is empty"),
    ],
)
@pytest.mark.slow
def test_a_refused_archive_leaves_nothing_and_spoils_nothing(
    visitors, pack, encoder, seeds: range, more: dict[str, bytes], what: str
) -> None:
    name, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])
    with pytest.raises((GalleryError, ImageError), match=what) as raised:
        create(visitors, ANN, pack("bad.zip", seeds, more=more), [encoder])
    assert str(visitors.root()) not in str(raised.value)
    assert [Path(p).name for p in left(visitors)] == [name]
    assert visitors.gallery(ANN, name).is_dir()


def test_an_upload_over_quota_is_refused_unread(visitors, tmp_path, encoder) -> None:
    """The size of an upload was stated and never checked."""
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file:
        file.truncate(100_001)
    with pytest.raises(GalleryError, match="at most 100,000 bytes"):
        create(visitors, ANN, archive, [encoder])
    for other in (tmp_path / "gone.zip", tmp_path):
        with pytest.raises(GalleryError, match="not a file"):
            create(visitors, ANN, other, [encoder])
    assert left(visitors) == []


def stop(_done: int, _total: int, what: str) -> None:
    """Stop what is built, not the look at the upload before."""
    if what != "megabytes of the file read":
        raise Cancelled


@pytest.mark.slow
def test_what_was_cancelled_goes_on_with_the_same_zip_only(visitors, pack, encoder) -> None:
    archive = pack("a.zip", range(2))
    with pytest.raises(Cancelled):
        create(visitors, ANN, archive, [encoder], progress=stop)
    kept = [Path(path).name for path in left(visitors)]
    assert len(kept) == 1
    with pytest.raises(Cancelled):
        create(visitors, BOB, archive, [encoder], progress=stop)
    assert create(visitors, ANN, archive, [encoder])[0] == kept[0]
    assert create(visitors, BOB, pack("b.zip", range(2, 4)), [encoder])[0] not in kept
    assert len(left(visitors)) == 2


def test_only_the_last_cancelled_work_is_kept(visitors, pack, encoder) -> None:
    for seed in range(3):
        source = pack(f"{seed}.zip", range(seed, seed + 2))
        with pytest.raises(Cancelled):
            create(visitors, ANN, source, [encoder], progress=stop)
    assert len(left(visitors)) == 1


def test_cancelled_work_expires(visitors, clock, pack, encoder) -> None:
    archive = pack("a.zip", range(2))
    with pytest.raises(Cancelled):
        create(visitors, ANN, archive, [encoder], progress=stop)
    kept = [Path(path).name for path in left(visitors)]
    clock.now += 61
    assert visitors.expire() == 1
    assert left(visitors) == []
    assert create(visitors, ANN, archive, [encoder])[0] not in kept


@pytest.mark.slow
def test_what_is_not_used_expires(visitors, clock, pack, encoder) -> None:
    ann, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])
    clock.now += 40
    bob, _ = create(visitors, BOB, pack("a.zip", range(2)), [encoder])
    clock.now += 20
    assert visitors.expire() == 0
    assert visitors.gallery(ANN, ann).is_dir()
    clock.now += 45
    assert visitors.expire() == 1
    assert [Path(p).name for p in left(visitors)] == [ann]
    with pytest.raises(GalleryError, match="has expired"):
        visitors.gallery(BOB, bob)
    clock.now += 61
    with pytest.raises(GalleryError, match="has expired"):
        visitors.gallery(ANN, ann)
    assert left(visitors) == []


@pytest.mark.slow
def test_many_visitors_at_once_stay_apart(visitors, pack, make_encoder) -> None:
    archives = [pack(f"{n}.zip", range(n, n + 2)) for n in range(6)]
    names: dict[int, str] = {}

    def visit(number: int) -> None:
        names[number], _ = create(
            visitors, f"visitor-{number}", archives[number], [make_encoder(space=False)]
        )

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for number, name in names.items():
        records = Gallery.open(visitors.gallery(f"visitor-{number}", name)).records
        assert [r.path for r in records] == [f"{number}.png", f"{number + 1}.png"]
    assert len(names) == 6


@pytest.mark.slow
def test_the_folders_go_with_their_owner(pack, encoder) -> None:
    visitors = Visitors(ServerConfig(hosted=True))
    name, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])
    folder = visitors.gallery(ANN, name)
    del visitors
    gc.collect()  # what was built knows its progress, and that its visit
    assert not folder.exists()


def test_what_is_late_expires_although_nobody_comes(clock, pack, encoder) -> None:
    """A gallery stayed on a server that nobody visited any more."""
    visitors = Visitors(ServerConfig(hosted=True, session_seconds=1), clock=clock)
    name, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])
    folder = visitors.gallery(ANN, name)
    clock.now += 2
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()


# While a gallery is being built


def test_a_build_that_takes_longer_than_a_visit_keeps_it(visitors, clock, pack, encoder) -> None:
    """The visit ended after its hour, and with it the folder that was being built in."""

    def slow(*_: object) -> None:
        clock.now += 61
        visitors.expire()

    name, change = create(visitors, ANN, pack("a.zip", range(3)), [encoder], progress=slow)
    assert change.images == 3
    assert len(Gallery.open(visitors.gallery(ANN, name))) == 3
    clock.now += 59  # the visit's hour begins at the end of the build
    assert visitors.expire() == 0


def test_a_failed_build_does_not_keep_the_visit_for_ever(visitors, clock, pack, encoder) -> None:
    with pytest.raises(Cancelled):
        create(visitors, ANN, pack("a.zip", range(2)), [encoder], progress=stop)
    with pytest.raises(GalleryError):
        create(visitors, BOB, pack("b.zip", range(0), more={"a.txt": b"x"}), [encoder])
    assert visitors.usage()[0] == 1  # of the other visit nothing is kept
    clock.now += 61
    assert visitors.expire() == 1


def limited(clock: Clock, **limits: int) -> Visitors:
    return Visitors(ServerConfig(hosted=True, session_seconds=60, **limits), clock=clock)


def size(visitors: Visitors, visitor: str) -> int:
    return folder_size(visitors.root() / visitor)


@pytest.mark.slow
def test_for_room_the_visits_idle_for_longest_end(clock, pack, encoder) -> None:
    """There was no limit on the sum of all visitors' galleries."""
    visitors = limited(clock, max_unpacked_bytes=100_000, max_total_bytes=10_000_000)
    names = {}
    for visitor in (ANN, BOB, "cid-visits"):
        clock.now += 1
        names[visitor], _ = create(visitors, visitor, pack("a.zip", range(3)), [encoder])
    visitors.gallery(ANN, names[ANN])  # so that BOB is the one idle for longest
    room = sum(size(visitors, each) for each in names) + 99_999
    visitors.config = replace(visitors.config, max_total_bytes=room)
    create(visitors, "dan-visits", pack("b.zip", range(3, 6)), [encoder])
    with pytest.raises(GalleryError, match="has expired"):
        visitors.gallery(BOB, names[BOB])
    for visitor in (ANN, "cid-visits"):
        assert visitors.gallery(visitor, names[visitor]).is_dir()


def test_a_visit_that_builds_never_ends_for_room(clock, pack, encoder) -> None:
    visitors = limited(clock, max_unpacked_bytes=100_000, max_total_bytes=150_000)
    archive = pack("a.zip", range(3))
    with visitors.building(BOB, "b") as site:
        (site.folder / "images").mkdir(parents=True)
        with pytest.raises(GalleryError, match="no room for another gallery at the moment; try"):
            create(visitors, ANN, archive, [encoder])
        assert site.folder.is_dir()
    assert create(visitors, ANN, archive, [encoder])[1].images == 3


def test_a_build_that_outgrows_the_room_is_stopped(clock) -> None:
    visitors = limited(clock, max_unpacked_bytes=1_000, max_total_bytes=5_000)
    with pytest.raises(GalleryError, match="no room"), visitors.building(ANN, "a") as site:
        site.folder.mkdir(parents=True)
        site.progress(0, 1, "there is room")
        (site.folder / "large").write_bytes(b"0" * 6_000)
        site.progress(0, 1, "it was looked at less than a second ago")
        clock.now += 2
        site.progress(1, 1, "full")
    assert left(visitors) == []


def test_what_a_visitor_holds_already_counts(clock) -> None:
    """The earlier gallery stays until the new one is whole, so there are two for a while."""
    visitors = limited(clock, max_unpacked_bytes=1_000, max_total_bytes=3_000)
    with visitors.building(ANN, "a") as site:
        site.folder.mkdir(parents=True)
        (site.folder / "large").write_bytes(b"0" * 2_500)
    with pytest.raises(GalleryError, match="no room"), visitors.building(ANN, "b"):
        pass
    assert [Path(path).name for path in left(visitors)] == [site.name]


def test_only_some_galleries_are_built_at_once(clock) -> None:
    visitors = limited(clock, max_builds=2)
    with visitors.building(ANN, "a"), visitors.working(BOB):
        for visitor in (ANN, "cid-visits"):
            refused = pytest.raises(GalleryError, match="as many galleries as it can at once; try")
            with refused, visitors.building(visitor, "c"):
                pass
    with visitors.building("cid-visits", "c") as site:
        site.folder.mkdir(parents=True)


def test_changing_a_gallery_keeps_the_visit_and_the_limits_too(
    clock, pack, encoder, tmp_path, write_image
) -> None:
    visitors = limited(clock, max_unpacked_bytes=200_000, max_total_bytes=300_000)
    library = Library(visitors.config, visitors, encoder=lambda _: encoder)
    name, _ = library.build(pack("a.zip", range(3)), ["fake"], visitor=ANN)

    def slow(*_: object) -> None:
        clock.now += 61
        visitors.expire()

    new = write_image(tmp_path / "new.png", 9)
    assert library.add(name, [new], visitor=ANN, progress=slow).images == 4
    with visitors.building(BOB, "b"), pytest.raises(GalleryError, match="no room"):
        library.add(name, [_padded(tmp_path, write_image)], visitor=ANN, progress=no_progress)
    assert len(Gallery.open(visitors.gallery(ANN, name))) == 4


def _padded(folder: Path, write_image: Callable[[Path, int], Path]) -> Path:
    """An image of 100,000 bytes; decoders stop at the end of the picture."""
    path = write_image(folder / "padded.png", 10)
    path.write_bytes(path.read_bytes().ljust(100_000, b"\0"))
    return path


# Stops and restarts


@pytest.fixture
def kept(tmp_path) -> ServerConfig:
    """A server that finds its visitors' galleries again."""
    return ServerConfig(hosted=True, session_seconds=3_600, visitors=tmp_path / "visitors")


def restarted(config: ServerConfig, visitors: Visitors) -> Visitors:
    """The same server after its process has ended."""
    visitors.folders().lock.release()
    return Visitors(config)


def test_a_restart_loses_no_gallery_within_its_hour(kept, pack, encoder) -> None:
    """All galleries lay in a temporary folder and were gone with the process."""
    visitors = Visitors(kept)
    name, _ = create(visitors, ANN, pack("a.zip", range(3)), [encoder])
    late, _ = create(visitors, BOB, pack("b.zip", range(2)), [encoder])
    os.utime(visitors.root() / BOB, (time.time() - 3_700,) * 2)
    after = restarted(kept, visitors)
    assert len(Gallery.open(after.gallery(ANN, name))) == 3
    with pytest.raises(GalleryError, match="expired"):
        after.gallery(BOB, late)
    with pytest.raises(GalleryError, match="not here"):
        after.gallery(BOB, name)
    assert after.usage()[2] > folder_size(after.root() / ANN) - 1_000  # what is found again counts


def test_what_was_being_built_goes_on_after_a_restart(kept, pack, encoder) -> None:
    visitors, archive = Visitors(kept), pack("a.zip", range(3))

    def end(_done: int, _total: int, what: str) -> None:
        if what != "megabytes of the file read":
            visitors.stop()

    with pytest.raises(Cancelled):
        create(visitors, ANN, archive, [encoder], progress=end)
    assert visitors.wait(0.0)
    with pytest.raises(GalleryError, match="start anew; try again in a minute"):
        create(visitors, BOB, archive, [encoder])
    (begun,) = left(visitors)
    after = restarted(kept, visitors)
    name, change = create(after, ANN, archive, [encoder])
    assert (name, change.images) == (Path(begun).name, 3)
    assert [each.name for each in (after.root() / ANN).iterdir()] == ["galleries"]


def test_two_servers_do_not_share_their_visitors(kept, caplog) -> None:
    first, second = Visitors(kept), Visitors(kept)
    assert first.root() == kept.visitors
    assert second.root() != kept.visitors
    assert "another server" in caplog.text


def test_a_visitor_builds_one_gallery_at_a_time(visitors, clock) -> None:
    """Of two that were built at once, the first to end removed the other's folder."""
    enough = "your gallery is being built or changed; wait"
    with visitors.building(ANN, "a") as site:
        site.folder.mkdir(parents=True)
        with pytest.raises(GalleryError, match=enough), visitors.building(ANN, "b"):
            pass
        refused = pytest.raises(GalleryError, match=enough)
        with visitors.working(ANN), refused, visitors.working(ANN):
            pass
        with visitors.building(BOB, "b") as other:
            other.folder.mkdir(parents=True)
    assert len(left(visitors)) == 2


def test_a_visit_lasts_while_its_upload_is_looked_at(visitors, clock, pack, encoder) -> None:
    """The digest of a zip was computed before the visit was kept for what is built of it."""
    name, _ = create(visitors, ANN, pack("a.zip", range(2)), [encoder])

    def late(_done: int, _total: int, what: str) -> None:
        if what == "megabytes of the file read":
            clock.now += 61
            visitors.expire()
            assert visitors.gallery(ANN, name).is_dir()

    assert create(visitors, ANN, pack("b.zip", range(2, 4)), [encoder], progress=late)[1].added == 2
