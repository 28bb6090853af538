"""Metadata beside the images, under the names that people use."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.gallery.metadata import read_metadata, split_fields
from core.values import GalleryError

CSV = "file_name,License,Author,LINK, Title ,mood\na.jpg,CC0,Ann,http://x,A day,calm\nb.jpg,,,,,\n"


JSONL = (
    '{"file_name": "a.jpg", "licence": "CC0", "artist": "Ann", "url": "http://x",'
    ' "title": "A day", "mood": "calm", "empty": null}\n\n{"file_name": "b.jpg"}\n'
)


MEANT = {
    "a.jpg": {
        "licence": "CC0",
        "creator": "Ann",
        "url": "http://x",
        "title": "A day",
        "mood": "calm",
    },
    "b.jpg": {},
}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.csv", CSV.encode()),
        ("metadata.csv", CSV.encode("utf-8-sig")),
        ("metadata.csv", CSV.replace("\n", "\r\n").encode()),
        ("metadata.jsonl", JSONL.encode()),
        ("metadata.jsonl", JSONL.replace("\n", "\r\n").encode("utf-8-sig")),
    ],
)
def test_metadata_is_read_under_the_names_that_people_use(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_metadata(tmp_path) == MEANT


def test_line_separators_within_a_caption_do_not_end_a_row(tmp_path: Path) -> None:
    """Such rows, which JSON allows, were cut in two and refused."""
    text = '{"file_name": "a.jpg", "title": "one\u2028two\x85three"}\n'
    (tmp_path / "metadata.jsonl").write_text(text, encoding="utf-8")
    assert read_metadata(tmp_path)["a.jpg"]["title"] == "one\u2028two\x85three"


def test_no_metadata_is_no_metadata(tmp_path: Path) -> None:
    assert read_metadata(tmp_path) == {}
    (tmp_path / "metadata.csv").mkdir()
    (tmp_path / "metadata.jsonl").symlink_to("metadata.jsonl")
    assert read_metadata(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("metadata.csv", "file_name,title\na.jpg,é\n".encode("latin-1"), "UTF-8"),
        ("metadata.csv", CSV.encode("utf-16"), "UTF-8"),
        ("metadata.csv", b"name,title\na.jpg,x\n", "row 1: the column file_name is missing"),
        ("metadata.csv", b"file_name\n" + b'"' + b"x" * 200_000 + b'"\n', "csv"),
        ("metadata.jsonl", b'{"file_name": "a.jpg"', "jsonl"),
        ("metadata.jsonl", b'["a.jpg"]\n', "object"),
        ("metadata.jsonl", b'{"file_name": null}\n', "file_name is missing"),
    ],
)
def test_unreadable_metadata_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, what: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GalleryError, match=what) as raised:
        read_metadata(tmp_path)
    assert name in str(raised.value)


def test_too_much_metadata_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "metadata.csv").open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(GalleryError, match="over 100,000,000 bytes"):
        read_metadata(tmp_path)


def test_fields_are_split_into_known_and_free() -> None:
    own, extra = split_fields({"title": "t", "creator": "c", "mood": "calm", "id": "7"})
    assert own == {"title": "t", "creator": "c"}
    assert extra == {"mood": "calm", "id": "7"}
