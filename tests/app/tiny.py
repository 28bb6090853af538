"""A small gallery that the tests of the app and of the browser build for themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from core.gallery.build import update
from core.gallery.source import Source
from core.service import load_encoder

COUNT = 24
NAMES = tuple(f"picture-{i:02}" for i in range(COUNT))


def draw(path: Path, seed: int) -> Path:
    """Write a soft picture that no other seed gives."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((96, 96), Image.Resampling.BICUBIC).save(path)
    return path


def make(folder: Path) -> Path:
    """Index ``COUNT`` pictures, the first with metadata, by two encoders; returns the gallery."""
    images = folder / "images"
    images.mkdir()
    for seed, name in enumerate(NAMES):
        draw(images / f"{name}.png", seed)
    first = {
        "file_name": f"{NAMES[0]}.png",
        "title": "Blue <b>hills</b>",
        "creator": "A. Painter",
        "licence": "CC BY 4.0",
        "url": "https://example.org/hills",
    }
    (images / "metadata.jsonl").write_text(json.dumps(first) + "\n")
    encoders = [load_encoder(name, device="cpu") for name in ("random", "histogram")]
    update(folder / "gallery", Source(images), encoders)
    return folder / "gallery"
