"""Small pictures that no two seeds make alike, and a folder of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int) -> Image.Image:
    """Smooth fields of chance colours, 48 x 40."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((48, 40), Image.Resampling.BICUBIC)


def save_pictures(folder: Path, count: int) -> Path:
    """The folder, with the pictures of the first seeds."""
    for seed in range(count):
        picture(seed).save(folder / f"{seed:02d}.png")
    return folder
