from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.encoders.backbones.storage import load_backbone
from core.gallery.blocklist import Blocklist
from core.gallery.build import update
from core.gallery.examples import read_examples
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.tables import read_table
from core.gallery.verify import verify
from core.heads.head import Head
from core.images.files import (
    file_digest,
    new_file,
    new_folder,
    parse_json,
    read_json,
    remove_abandoned,
    temporary_folder,
    write_bytes,
)
from core.measures.pairs import read_pairs
from core.values import Cancelled, EncoderError, GalleryError

DEEP = "[" * 200_000
BAD = [DEEP, DEEP + "]" * 200_000, '{"a":' * 100_000, '["\\ud800"]', '{"\\uDC00": 1}']


@pytest.mark.parametrize("text", BAD, ids=["open", "closed", "objects", "value", "key"])
def test_what_cannot_be_taken_is_one_kind_of_error(text: str, tmp_path: Path) -> None:
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match=r"nested too deeply|half a character"):
            parse_json(given)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"nested too deeply|half a character"):
        read_json(tmp_path / "a.json")


def test_whole_characters_and_escapes_are_taken() -> None:
    assert parse_json('["\\ud83c\\udfa8", "\\\\ud800"]') == ["🎨", "\\ud800"]
    assert parse_json(b"[[1], {}]") == [[1], {}]


@pytest.mark.parametrize("text", BAD, ids=["open", "closed", "objects", "value", "key"])
def test_every_file_of_ours_is_refused_with_an_error_of_ours(
    text: str, photos: Path, tmp_path: Path, encoder: object
) -> None:
    """Deeply nested files ended in a RecursionError, half characters when they were written."""
    for name in ("gallery.json", "head.json", "cfg.json", "blocklist.json", "pairs.json"):
        (tmp_path / name).write_text(text)
    (tmp_path / "queries").mkdir()
    readers = [
        lambda: Store(tmp_path).header(),
        lambda: Head.load(tmp_path),
        lambda: load_backbone(tmp_path),
        lambda: Blocklist(tmp_path),
        lambda: read_pairs(tmp_path / "pairs.json"),
    ]
    for read in readers:
        with pytest.raises((GalleryError, EncoderError)):
            read()
    (tmp_path / "metadata.jsonl").write_text(text)
    with pytest.raises(GalleryError, match=r"metadata\.jsonl cannot be read"):
        read_table(tmp_path / "metadata.jsonl")


def test_a_listing_that_is_nested_too_deeply_is_named(photos, tmp_path, encoder) -> None:
    update(tmp_path / "g", Source(photos), [encoder])
    (tmp_path / "g" / "generations" / "1" / "files.json").write_text(DEEP)
    assert [damage.file for damage in verify(tmp_path / "g")] == ["generations/1/files.json"]


def test_metadata_with_half_a_character_is_refused(photos, tmp_path, encoder) -> None:
    """Building failed with a UnicodeEncodeError when the table was written."""
    line = '{"file_name": "01.png", "title": "\\ud800"}'
    (photos / "metadata.jsonl").write_text(line)
    with pytest.raises(GalleryError, match="half a character"):
        update(tmp_path / "g", Source(photos), [encoder])


def test_examples_are_read_the_same_way(tmp_path) -> None:
    (tmp_path / "queries").mkdir()
    for name in ("queries.json", "queries/queries.json"):
        (tmp_path / name).write_text(DEEP)
    try:
        assert read_examples(tmp_path) == ()
    except GalleryError as error:
        assert "damaged" in str(error)


def test_a_file_appears_whole_or_stays_as_it_was(tmp_path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_bytes(path, b"first")
    with pytest.raises(RuntimeError), new_file(path) as partial:
        partial.write_bytes(b"sec")
        assert path.read_bytes() == b"first"
        raise RuntimeError("stopped")
    assert path.read_bytes() == b"first"
    assert [file.name for file in path.parent.iterdir()] == ["a.bin"]
    with new_file(path) as partial:
        partial.write_bytes(b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["a.bin"]


def test_only_what_its_writer_gave_up_is_removed(tmp_path: Path) -> None:
    """After a kill half-filled folders stayed; by their age alone, those of the last hour did."""
    left = tmp_path / ".a.1.part"
    left.mkdir()
    (left / "x").write_text("1")
    with new_folder(tmp_path / "b") as partial:
        (partial / "x").write_text("2")
        remove_abandoned(tmp_path.glob(".*.part"))
        assert partial.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_temporary_folder_of_a_killed_process_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stayed for ever, with the zips that were unpacked in them; those at work stay."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, signal; from core.images.files import temporary_folder\n"
        "with temporary_folder('uploads') as place:\n"
        "    (place / 'a').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    more = {**os.environ, "TMPDIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", code], env=more, check=False)
    (left,) = tmp_path.iterdir()
    assert ended.returncode == -signal.SIGKILL
    assert (left / "a").exists()
    with temporary_folder("map") as one, temporary_folder("map") as other:
        assert {one, other} == set(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_disk_without_locks_is_written_and_nothing_of_it_is_called_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with new_folder(tmp_path / "made") as folder:
        (folder / "a").write_text("a")
        remove_abandoned(tmp_path.glob(".*.part"))
    assert (tmp_path / "made" / "a").read_text() == "a"


def test_a_digest_is_that_of_hashlib_and_can_be_stopped(tmp_path: Path) -> None:
    path, content = tmp_path / "large", bytes(range(256)) * 40_000
    path.write_bytes(content)
    read: list[int] = []
    assert file_digest(path, told=read.append) == hashlib.sha256(content).hexdigest()
    assert read == [0, 2**22, 2**23]
    assert file_digest(path, algorithm="md5") == hashlib.md5(content).hexdigest()

    def stop(done: int) -> None:
        if done:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        file_digest(path, told=stop)
