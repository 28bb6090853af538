from __future__ import annotations

import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import ServerConfig
from core.gallery.gallery import Gallery
from core.service.visitors import Visitors
from core.values import Cancelled, GalleryError, ImageError

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


def left(visitors: Visitors) -> list[str]:
    """Everything that visitors keep on the disk, folders of visitors aside."""
    return sorted(str(p) for p in visitors.root().glob("*/galleries/*"))


def test_a_visitor_gets_a_gallery_that_nobody_can_guess(visitors, pack, encoder) -> None:
    name, change = visitors.create(ANN, pack("a.zip", range(3)), [encoder])
    assert len(name) == 32
    assert int(name, 16) >= 0
    assert (change.images, change.skipped) == (3, ())
    gallery = Gallery.open(visitors.gallery(ANN, name))
    assert [r.path for r in gallery.records] == ["0.png", "1.png", "2.png"]
    other, _ = visitors.create(BOB, pack("a.zip", range(3)), [encoder])
    assert other != name


def test_no_visitor_sees_what_is_another_s(visitors, pack, encoder) -> None:
    name, _ = visitors.create(ANN, pack("a.zip", range(2)), [encoder])
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
        visitors.create(visitor, pack("a.zip", range(2)), [encoder])
    with pytest.raises(GalleryError, match="need a session"):
        visitors.gallery(visitor, "0" * 32)


def test_a_new_gallery_takes_the_place_of_the_earlier_one(visitors, pack, encoder) -> None:
    first, _ = visitors.create(ANN, pack("a.zip", range(2)), [encoder])
    second, _ = visitors.create(ANN, pack("b.zip", range(2, 4)), [encoder])
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
        (range(2), {"metadata.csv": b"\xff\xfe"}, "UTF-8"),
    ],
)
def test_a_refused_archive_leaves_nothing_and_spoils_nothing(
    visitors, pack, encoder, seeds: range, more: dict[str, bytes], what: str
) -> None:
    name, _ = visitors.create(ANN, pack("a.zip", range(2)), [encoder])
    with pytest.raises((GalleryError, ImageError), match=what) as raised:
        visitors.create(ANN, pack("bad.zip", seeds, more=more), [encoder])
    assert str(visitors.root()) not in str(raised.value)
    assert [Path(p).name for p in left(visitors)] == [name]
    assert visitors.gallery(ANN, name).is_dir()


def test_an_upload_over_quota_is_refused_unread(visitors, tmp_path, encoder) -> None:
    """The size of an upload was stated and never checked."""
    archive = tmp_path / "a.zip"
    with archive.open("wb") as file:
        file.truncate(100_001)
    with pytest.raises(GalleryError, match="at most 100,000 bytes"):
        visitors.create(ANN, archive, [encoder])
    for other in (tmp_path / "gone.zip", tmp_path):
        with pytest.raises(GalleryError, match="not a file"):
            visitors.create(ANN, other, [encoder])
    assert left(visitors) == []


def stop(*_: object) -> None:
    raise Cancelled


def test_what_was_cancelled_goes_on_with_the_same_zip_only(visitors, pack, encoder) -> None:
    archive = pack("a.zip", range(2))
    with pytest.raises(Cancelled):
        visitors.create(ANN, archive, [encoder], progress=stop)
    kept = [Path(path).name for path in left(visitors)]
    assert len(kept) == 1
    with pytest.raises(Cancelled):
        visitors.create(BOB, archive, [encoder], progress=stop)
    assert visitors.create(ANN, archive, [encoder])[0] == kept[0]
    assert visitors.create(BOB, pack("b.zip", range(2, 4)), [encoder])[0] not in kept
    assert len(left(visitors)) == 2


def test_only_the_last_cancelled_work_is_kept(visitors, pack, encoder) -> None:
    for seed in range(3):
        source = pack(f"{seed}.zip", range(seed, seed + 2))
        with pytest.raises(Cancelled):
            visitors.create(ANN, source, [encoder], progress=stop)
    assert len(left(visitors)) == 1


def test_cancelled_work_expires(visitors, clock, pack, encoder) -> None:
    archive = pack("a.zip", range(2))
    with pytest.raises(Cancelled):
        visitors.create(ANN, archive, [encoder], progress=stop)
    kept = [Path(path).name for path in left(visitors)]
    clock.now += 61
    assert visitors.expire() == 1
    assert left(visitors) == []
    assert visitors.create(ANN, archive, [encoder])[0] not in kept


def test_what_is_not_used_expires(visitors, clock, pack, encoder) -> None:
    ann, _ = visitors.create(ANN, pack("a.zip", range(2)), [encoder])
    clock.now += 40
    bob, _ = visitors.create(BOB, pack("a.zip", range(2)), [encoder])
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


def test_many_visitors_at_once_stay_apart(visitors, pack, make_encoder) -> None:
    archives = [pack(f"{n}.zip", range(n, n + 2)) for n in range(6)]
    names: dict[int, str] = {}

    def visit(number: int) -> None:
        names[number], _ = visitors.create(
            f"visitor-{number}", archives[number], [make_encoder(space=False)]
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


def test_the_folders_go_with_their_owner(pack, encoder) -> None:
    visitors = Visitors(ServerConfig(hosted=True))
    name, _ = visitors.create(ANN, pack("a.zip", range(2)), [encoder])
    folder = visitors.gallery(ANN, name)
    del visitors
    assert not folder.exists()


def test_what_is_late_expires_although_nobody_comes(clock, pack, encoder) -> None:
    """A gallery stayed on a server that nobody visited any more."""
    visitors = Visitors(ServerConfig(hosted=True, session_seconds=1), clock=clock)
    name, _ = visitors.create(ANN, pack("a.zip", range(2)), [encoder])
    folder = visitors.gallery(ANN, name)
    clock.now += 2
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
