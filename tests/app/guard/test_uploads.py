from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from app.guard import uploads
from app.guard.uploads import Room, make_room


def write(folder: Path, name: str, *, age: float, size: int = 100) -> Path:
    path = folder / name / "file"
    path.parent.mkdir()
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> int:
    """Files count by what they hold alone; what an entry counts otherwise."""
    entry = uploads.ENTRY
    monkeypatch.setattr(uploads, "ENTRY", 0)
    return entry


def test_many_small_files_take_room(tmp_path: Path, bare: int, monkeypatch: pytest.MonkeyPatch):
    """Millions of files of a byte, each in a folder of its own, were as nothing."""
    monkeypatch.setattr(uploads, "ENTRY", bare)
    for number in range(10):
        write(tmp_path, str(number), age=0, size=1)
    room = Room(tmp_path, most=40_000)
    assert not room.take(1)


def test_the_oldest_go_first_and_only_as_many_as_are_needed(tmp_path: Path, monkeypatch):
    files = [write(tmp_path, str(age), age=age) for age in (3_000, 2_000, 1_000)]
    real = os.lstat

    def changed_when_modified(path):
        found = list(real(path))
        found[9] = found[8]  # the time of a change of the entry cannot be set
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", changed_when_modified)
    assert make_room(tmp_path, most=300) == 300
    assert all(path.exists() for path in files)
    assert make_room(tmp_path, most=300, needed=150) == 100
    assert [path.exists() for path in files] == [False, False, True]
    assert not files[0].parent.exists()


def test_what_has_just_come_stays_and_there_is_no_room(tmp_path: Path):
    fresh = write(tmp_path, "fresh", age=0)
    assert make_room(tmp_path, most=150, needed=100) == 100
    assert fresh.exists()
    assert make_room(tmp_path / "nowhere", most=1) == 0


def test_room_is_kept_without_looking_at_every_file_each_time(tmp_path: Path, monkeypatch):
    """Each upload looked through all that were kept, so that many took ever longer."""
    looks: list[Path] = []
    walk = os.walk
    monkeypatch.setattr(os, "walk", lambda folder: looks.append(folder) or walk(folder))
    write(tmp_path, "fresh", age=0)
    room = Room(tmp_path, most=1_000)
    for _ in range(9):
        assert room.take(100)
        room.ended(100)
    assert len(looks) == 1
    assert room.take(100)  # what was said to come has not come: there is room after all
    assert len(looks) == 2
    assert not room.take(950)


def test_what_is_on_its_way_keeps_its_room(tmp_path: Path):
    """Each look at the folder forgot it: a hundred at once got room for twenty times of all."""
    room = Room(tmp_path, most=1_000, pause=0)
    assert [room.take(300) for _ in range(10)] == [True] * 3 + [False] * 7
    room.ended(300)
    assert room.take(300)
    assert not room.take(300)
