"""All bytes of a gallery are counted once, by what they are."""

from __future__ import annotations

from pathlib import Path

from benchmarks.scale.disk import sizes
from benchmarks.scale.table import table
from core.gallery.gallery import SHIPPED
from core.images.files import folder_size


def test_all_bytes_of_a_gallery_are_counted_once() -> None:
    found = sizes(SHIPPED)
    assert sum(found.values()) == folder_size(SHIPPED)
    assert {"lite0", "edges", "palette", "map", "null", "manifest"} <= {*found}
    assert not any("-" in name or "@" in name for name in found)


def test_a_kind_is_one_row_however_often_it_is_kept(tmp_path: Path) -> None:
    for name in ("artefacts/near-1-2/rows.npy", "artefacts/near-1-3/rows.npy", "parts.json"):
        path = tmp_path / "generations" / "4" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    (tmp_path / "gallery.json").write_bytes(b"1")
    assert sizes(tmp_path) == {"near": 10, "parts": 5, "all else": 1, "thumbnails": 0}


def test_the_table_tells_bytes_of_an_image(tmp_path: Path, monkeypatch) -> None:
    stage = {"name": "null", "seconds": 1.0, "memory": 0.5}
    stored = {"now": {"sizes": {"5": {"stages": [stage], "recall": [1.0]}}, "command": "it"}}
    stored["disk"] = {"images": 100, "bytes": {"thumbnails": 500_000, "lite0": 250_000, "null": 40}}
    monkeypatch.setattr("benchmarks.scale.table.results", lambda: stored)
    assert "| lite0 | 2,500 |\n| null | 0 |\n| **all but thumbnails** | 2,500 |" in table()
