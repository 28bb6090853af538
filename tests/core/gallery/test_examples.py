from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.gallery.examples import Example, example_of, read_examples
from core.values import GalleryError


def listed(folder: Path, *rows: object) -> Path:
    (folder / "queries").mkdir(parents=True)
    (folder / "queries" / "q.webp").write_bytes(b"x")
    (folder / "outside.webp").write_bytes(b"x")
    text = json.dumps({"queries": rows})
    (folder / "queries" / "queries.json").write_text(text, encoding="utf-8")
    return folder


def test_examples_are_read_in_their_order(tmp_path: Path):
    first = {"file": "q.webp", "sources": ["a/b.webp", "c.webp"], "kind": "synthesis", "seed": 3}
    found = read_examples(listed(tmp_path, first, {"file": "q.webp", "sources": []}))
    file = tmp_path / "queries" / "q.webp"
    assert found == (Example(file, ("a/b.webp", "c.webp"), "synthesis"), Example(file, (), ""))


def test_an_example_is_known_by_its_bytes_wherever_the_file_lies(tmp_path: Path):
    row = {"file": "q.webp", "sources": ["a.webp"], "kind": "mixed", "chosen": True}
    (folder := tmp_path / "gallery").mkdir()
    (known,) = read_examples(listed(folder, row))
    assert known.chosen
    (tmp_path / "copy.webp").write_bytes(b"x")
    (tmp_path / "other.webp").write_bytes(b"y")
    assert example_of(folder, tmp_path / "copy.webp") == known
    for none in ("other.webp", "gone.webp"):
        assert example_of(folder, tmp_path / none) is None
    (folder / "queries" / "queries.json").write_text("{")
    assert example_of(folder, tmp_path / "copy.webp") is None


def test_a_gallery_without_examples_has_none(tmp_path: Path):
    assert read_examples(tmp_path) == ()


@pytest.mark.parametrize(
    "row",
    [
        {"file": "../outside.webp", "sources": []},
        {"file": "/etc/hostname", "sources": []},
        {"file": "missing.webp", "sources": []},
        {"file": "q.webp"},
        {"file": "q.webp", "sources": "a.webp"},
        {"file": 3, "sources": []},
        "q.webp",
    ],
)
def test_a_damaged_list_is_refused(tmp_path: Path, row: object):
    with pytest.raises(GalleryError, match=r"queries\.json is damaged"):
        read_examples(listed(tmp_path, row))


def test_a_list_that_is_no_json_is_refused(tmp_path: Path):
    (listed(tmp_path) / "queries" / "queries.json").write_text("{")
    with pytest.raises(GalleryError, match="damaged"):
        read_examples(tmp_path)
