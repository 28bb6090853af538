from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from core.gallery import store as module
from core.gallery.header import FORMAT
from core.gallery.store import Store, is_of_store, is_thumbnail
from core.images.files import new_folder, write_bytes, write_json
from core.values import GalleryError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "g")
    with store.writing():
        store.create("g", root="/photos")
    return store


def commit(store: Store, text: str, *, next_id: int = 1) -> None:
    with store.writing(), store.next_generation(store.header(), next_id=next_id) as folder:
        (folder / "state").write_text(text)


def state(store: Store) -> str:
    return (store.generation(store.header().generation) / "state").read_text()


def test_a_new_store_is_empty_and_knows_its_name(store: Store) -> None:
    header = store.header()
    assert (header.name, header.root, header.generation, header.next_id) == ("g", "/photos", 0, 0)
    assert store.exists
    assert header.format == FORMAT


def test_what_the_images_are_is_kept_over_generations(store: Store) -> None:
    assert store.header().description == ""
    assert "description" not in json.loads((store.folder / "gallery.json").read_text())
    store.describe("scans of\n herbarium   sheets")
    commit(store, "one")
    assert store.header().description == "scans of herbarium sheets"
    commit(store, "two")
    assert store.header().description == "scans of herbarium sheets"


def test_a_description_of_another_type_is_damage(store: Store) -> None:
    raw = json.loads((store.folder / "gallery.json").read_text())
    write_json(store.folder / "gallery.json", {**raw, "description": ["x"]})
    with pytest.raises(GalleryError, match="damaged"):
        store.header()


def test_generations_follow_each_other_and_the_one_before_stays_for_its_readers(
    store: Store,
) -> None:
    commit(store, "one", next_id=3)
    commit(store, "two", next_id=5)
    assert (state(store), store.header().next_id) == ("two", 5)
    assert (store.generation(1) / "state").read_text() == "one"
    commit(store, "three", next_id=5)
    assert sorted(p.name for p in (store.folder / "generations").iterdir()) == ["2", "3"]


def test_a_block_that_fails_leaves_the_generation_as_it_is(store: Store) -> None:
    commit(store, "one")
    before = (store.folder / "gallery.json").read_bytes()
    with (
        pytest.raises(RuntimeError),
        store.writing(),
        store.next_generation(store.header(), next_id=9) as folder,
    ):
        (folder / "state").write_text("half")
        raise RuntimeError
    assert (store.folder / "gallery.json").read_bytes() == before
    assert state(store) == "one"
    assert not store.generation(2).exists()


def test_an_interrupt_just_after_the_commit_keeps_the_new_generation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new generation's folder was removed although the header already named it."""
    commit(store, "one")
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        replace(self, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        commit(store, "two")
    monkeypatch.undo()
    assert state(store) == "two"


def test_what_a_killed_writer_left_is_cleared_by_the_next(store: Store) -> None:
    commit(store, "one")
    left = store.generation(2)
    left.mkdir()
    (left / "half").write_text("x")
    commit(store, "two")
    assert [p.name for p in store.generation(2).iterdir()] == ["state"]


def test_a_commit_that_is_seen_is_never_taken_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder could not be synced, the generation that the header named was deleted."""
    commit(store, "one")
    synced = os.fsync

    def refuse_folders(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), store.folder.stat()):
            raise OSError(5, "Input/output error")
        synced(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    commit(store, "two")
    assert state(store) == "two"


def test_every_writer_removes_what_killed_ones_left(store: Store) -> None:
    """Only builds did: after removing and opting out, half-written headers stayed for good."""
    commit(store, "one")
    commit(store, "two")
    left = [store.folder / ".gallery.json.1.part", store.generation(0), store.generation(3)]
    left[0].write_text("{")
    for path in left[1:]:
        path.mkdir(exist_ok=True)
    store.rename("g")
    assert not any(path.exists() for path in left)
    assert state(store) == "two"


def test_a_writer_is_told_of_a_call_that_was_stopped(store: Store) -> None:
    with store.writing() as unfinished:
        assert not unfinished
        store.work.mkdir()
    with store.writing() as unfinished:
        assert unfinished


def test_a_second_writer_is_refused_at_once_and_the_lock_falls_with_the_first(store: Store) -> None:
    with store.writing():
        with pytest.raises(GalleryError, match="being changed"), store.writing():
            pass
        found: list[Exception] = []

        def other() -> None:
            try:
                with Store(store.folder).writing():
                    pass
            except GalleryError as error:
                found.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(5)
        assert len(found) == 1
    with store.writing():
        pass


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("7", "damaged"),
        ("\xff", "damaged"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "name": "g", "root": "", "more": 1}', "damaged"),
        ('{"format": 1, "name": "g", "root": "", "generation": "../../x"}', "damaged"),
        ('{"format": 1, "name": "g", "root": "", "next_id": null}', "damaged"),
        ('{"format": 1, "name": "g", "root": "", "generation": -1}', "damaged"),
        ('{"format": 1, "name": "g", "root": 3}', "damaged"),
        ('{"format": 1, "name": "g", "root": "", "lance": 7}', "damaged"),
        ('{"format": 1, "name": "g", "root": "", "lance": "../x/images-1.lance"}', "damaged"),
        ('{"format": 99, "name": "g"}', "format 99, this version reads 2"),
        ('{"format": "old"}', "format old"),
    ],
)
def test_other_headers_are_refused(store: Store, text: str, what: str) -> None:
    (store.folder / "gallery.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(GalleryError, match=what):
        store.header()


def test_what_is_no_gallery_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for folder in (tmp_path, tmp_path / "nowhere", file):
        with pytest.raises(GalleryError, match="is not a gallery"):
            Store(folder).header()


def test_a_folder_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    file = tmp_path / "file"
    file.write_text("x")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for folder in (tmp_path, file, loop):
        with pytest.raises(GalleryError, match="not empty and not a gallery"):
            Store(folder).require_free("")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "letter.txt", "loop"]


def test_a_folder_that_is_free_or_was_begun_is_taken(tmp_path: Path, store: Store) -> None:
    begun = Store(tmp_path / "begun")
    begun.require_free("")
    (begun.folder / "generations" / "0").mkdir(parents=True)
    (begun.folder / ".gallery.json.0.part").write_text("{")
    (begun.folder / "images").mkdir()
    with pytest.raises(GalleryError):
        begun.require_free("elsewhere")
    begun.require_free("images/of/a/zip")
    store.require_free("")


def test_files_are_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a" / "file.json"
    write_json(path, {"é": 1})
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": 1}

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a" / "b") as partial:
        (partial / "x").write_text("1")
        assert not (tmp_path / "a" / "b").exists()
    with pytest.raises(RuntimeError), new_folder(tmp_path / "a" / "c"):
        raise RuntimeError
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_of_two_makers_of_a_folder_the_first_stays(tmp_path: Path) -> None:
    with new_folder(tmp_path / "b") as late:
        (late / "x").write_text("late")
        with new_folder(tmp_path / "b") as early:
            (early / "x").write_text("early")
    assert (tmp_path / "b" / "x").read_text() == "early"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_folder_that_cannot_be_put_in_place_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure was swallowed, and with it a shard of a build."""

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "replace", full)
    with pytest.raises(OSError, match="No space"), new_folder(tmp_path / "b"):
        pass
    assert not list(tmp_path.iterdir())


def test_thumbnails_of_a_store_are_known_by_their_place(store: Store, tmp_path: Path) -> None:
    assert is_thumbnail(store.thumbnail("ab" * 32))
    assert not is_thumbnail(tmp_path / "thumbnails" / "ab" / "x.webp")
    assert not is_thumbnail(store.folder / "images" / "x.webp")
    assert not is_thumbnail(Path("x.webp"))


def test_the_name_of_the_present_folder_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store(Path()).folder.name == tmp_path.name


def test_folders_of_a_store_are_known_from_within_a_folder(tmp_path):
    (tmp_path / "gallery.json").touch()
    (tmp_path / "photos" / "g" / "generations" / "1").mkdir(parents=True)
    (tmp_path / "photos" / "g" / "gallery.json").touch()
    photos = tmp_path / "photos"
    assert is_of_store(photos / "g", below=photos)
    assert is_of_store(photos / "g" / "generations" / "1", below=photos)
    assert not is_of_store(photos, below=photos)
    assert is_of_store(photos, below=tmp_path)
