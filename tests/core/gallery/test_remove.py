"""Images are named by their ids, by their paths in the gallery, or by their files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.gallery.blocklist import Blocklist
from core.gallery.build import update
from core.gallery.commit import commit
from core.gallery.gallery import Gallery
from core.gallery.remove import ids_of, narrow, remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.values import Cancelled, GalleryError


@pytest.fixture
def gallery(tmp_path, photos, encoder) -> Gallery:
    (photos / "3").mkdir()
    shutil.copy(photos / "02.png", photos / "3" / "4.png")
    update(tmp_path / "g", Source(photos), [encoder])
    return Gallery.open(tmp_path / "g")


def path_of(gallery: Gallery, number: int) -> str:
    return gallery.records[gallery.row_of[number]].path


def test_ids_and_paths_are_taken(gallery, photos, tmp_path, monkeypatch) -> None:
    by_path = {record.path: record.id for record in gallery.records}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "alias.png").symlink_to(photos / "05.png")
    for name, path in [
        ("5", path_of(gallery, 5)),
        ("01.png", "01.png"),
        ("trip/03.png", "trip/03.png"),
        ("3/4.png", "3/4.png"),
        ("photos/01.png", "01.png"),
        ("photos/trip/../02.png", "02.png"),
        (str(photos / "04.png"), "04.png"),
        ("link/trip/06.png", "trip/06.png"),
        ("alias.png", "05.png"),
    ]:
        assert ids_of(gallery, [name]) == {by_path[path]}, name
    (photos / "01.png").unlink()
    assert ids_of(gallery, ["photos/01.png", "01.png", "7"]) == {by_path["01.png"], 7}


def test_digits_are_a_path_where_an_image_has_just_that(tmp_path, photos, encoder) -> None:
    (photos / "01.png").rename(photos / "3")
    source = Source(photos, only=("02.png", "04.png", "05.png", "07.png", "3"))
    update(tmp_path / "g", source, [encoder])
    gallery = Gallery.open(tmp_path / "g")
    assert [path_of(gallery, i) for i in ids_of(gallery, ["3"])] == ["3"]
    assert [path_of(gallery, i) for i in ids_of(gallery, ["0"])] == ["02.png"]


def test_all_unknown_names_are_told_at_once(gallery, tmp_path) -> None:
    outside = tmp_path / "01.png"
    with pytest.raises(GalleryError) as raised:
        ids_of(gallery, ["1", "99", "gone.png", str(outside), "-1"])
    words = str(raised.value)
    for name in (
        "the id 99",
        "the path 'gone.png'",
        f"the path {str(outside)!r}",
        "nothing was changed",
    ):
        assert name in words
    assert "id 1," not in words


CHANGES: dict[str, Callable[..., object]] = {
    "remove": lambda folder, progress: remove(folder, [3, 5], progress=progress),
    "block": lambda folder, progress: remove(folder, [3], block=True, progress=progress),
    "narrow": lambda folder, progress: narrow(folder, progress=progress),
}
READ_AGAIN = "megabytes of what was written read again"


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_is_stopped_anywhere_was_made_or_was_not(
    tmp_path: Path, photos: Path, encoder, change: str
) -> None:
    """To narrow could not be stopped, nor a removal that had begun to write."""
    before = tmp_path / "before"
    update(before, Source(photos), [encoder])
    told: list[str] = []
    shutil.copytree(before, tmp_path / "done")
    CHANGES[change](tmp_path / "done", lambda _done, _total, what: told.append(what))
    assert "megabytes of files compared with their digests" in told and READ_AGAIN in told
    was, now = (Gallery.open(each) for each in (before, tmp_path / "done"))
    for last in range(len(told)):
        folder = tmp_path / f"stopped-{last}"
        shutil.copytree(before, folder)
        calls = iter(range(last))

        def stop(*_: object, calls=calls) -> None:
            if next(calls, None) is None:
                raise Cancelled

        with pytest.raises(Cancelled):
            CHANGES[change](folder, stop)
        left = Gallery.open(folder)
        assert left.header.generation == was.header.generation
        assert left.digest(encoder) == was.digest(encoder)
        assert not Blocklist(folder).images
        assert verify(folder) == []
        CHANGES[change](folder, lambda *_: None)
        assert Gallery.open(folder).identity == now.identity
        assert Gallery.open(folder).digest(encoder) == now.digest(encoder)
        assert len(Blocklist(folder).images) == (change == "block")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled, OSError(28, "No space left")])
def test_what_is_not_taken_out_is_not_blocked(gallery, tmp_path, monkeypatch, stop, first) -> None:
    """Interrupted on the command line, or on a full disk, an image stayed and was blocked."""
    folder = tmp_path / "g"
    if not first:
        remove(folder, [1], block=True)
    before = {path: path.read_bytes() for path in folder.glob("*.json")}
    with monkeypatch.context() as patched:

        def fail(*_: object, **__: object) -> None:
            patched.setattr("core.gallery.blocklist.write_json", None)  # no room for anything
            raise stop

        patched.setattr("core.gallery.remove.commit", fail)
        with pytest.raises((KeyboardInterrupt, Cancelled, GalleryError)):
            remove(folder, [3], block=True)
    assert {path: path.read_bytes() for path in folder.glob("*.json")} == before
    assert not [*folder.glob(".*.before")]


def test_what_was_taken_out_stays_blocked(gallery, tmp_path, monkeypatch) -> None:
    """An interrupt may come after the change was made."""

    def late(*given: object, **how: object) -> None:
        commit(*given, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr("core.gallery.remove.commit", late)
    with pytest.raises(KeyboardInterrupt):
        remove(tmp_path / "g", [3], block=True)
    assert len(Blocklist(tmp_path / "g").images) == 1
    assert len(Gallery.open(tmp_path / "g")) == len(gallery) - 1


@pytest.mark.parametrize(
    "trouble", [OSError(28, "No space left"), Cancelled(), GalleryError("full")]
)
@pytest.mark.slow
def test_what_hinders_tidying_takes_no_change_back(
    gallery, tmp_path, monkeypatch, trouble, caplog
) -> None:
    """The gallery was said to be as it was before, with an image less."""

    def fail(*_: object, **__: object) -> None:
        raise trouble

    with monkeypatch.context() as patched:
        patched.setattr("core.gallery.store.Store.pack_thumbnails", fail)
        assert remove(tmp_path / "g", [3]).removed == 1
    assert "is tidied by its next change" in caplog.text
    assert len(Gallery.open(tmp_path / "g")) == len(gallery) - 1
    assert (tmp_path / "g" / "work").is_dir()
    remove(tmp_path / "g", [4])
    assert not (tmp_path / "g" / "work").exists() and verify(tmp_path / "g") == []
