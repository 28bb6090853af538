"""A gallery too small for UMAP, with factors and example queries: its map is there at once."""

from __future__ import annotations

import json
from pathlib import Path

from core.gallery.build import update
from core.gallery.source import Source
from core.service import load_encoder
from tests.app import tiny

COUNT = 12
COLOURS = ("red", "green", "blue")


def make(folder: Path) -> Path:
    """Index ``COUNT`` pictures by two encoders, two examples beside them; returns the gallery."""
    images, gallery = folder / "images", folder / "gallery"
    images.mkdir(parents=True)
    lines = []
    for seed in range(COUNT):
        name = f"picture-{seed:02}.png"
        tiny.draw(images / name, seed)
        lines.append({"file_name": name, "colour": COLOURS[seed % 3], "seed": str(seed)})
    (images / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    update(
        gallery, Source(images), [load_encoder(n, device="cpu") for n in ("random", "histogram")]
    )
    queries = gallery / "queries"
    queries.mkdir()
    tiny.draw(queries / "known.png", 3)
    tiny.draw(queries / "unknown.png", 99)
    listed = [
        {"file": "known.png", "sources": ["picture-03.png"], "kind": "patch-synthesis"},
        {"file": "unknown.png", "sources": [], "kind": ""},
    ]
    (queries / "queries.json").write_text(json.dumps({"queries": listed}))
    return gallery
