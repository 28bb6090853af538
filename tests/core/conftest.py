"""What the tests of the storage share: a fast encoder and a dozen small images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.values import Encoded, Encoder, Grid

GRID = Grid(4, 4)


class FakeEncoder:
    """Fixed random projections of the pixels at 4 x 4; remembers how many images it has seen."""

    def __init__(self, name: str = "fake", *, seed: int = 0, space: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.name, self.dim, self.space = name, 12, space
        self.identity = f"{seed:016x}"
        self.seen = 0
        self._pooled = rng.normal(size=(48, self.dim)).astype(np.float32)
        self._local = rng.normal(size=(3, 6)).astype(np.float32)

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        self.seen += len(images)
        small = [np.asarray(image.resize((4, 4), Image.Resampling.BOX)) for image in images]
        pixels = np.stack(small).astype(np.float32) / 255
        wide = pixels.reshape(len(images), -1) @ self._pooled.astype(np.float64)
        features = wide.astype(np.float32)  # the same in whatever company, on every processor
        if not self.space:
            return Encoded(features)
        return Encoded(features, pixels.reshape(len(images), 16, 3) @ self._local, GRID)


def draw(path: Path, seed: int) -> Path:
    """Write a small picture that no other seed gives."""
    cells = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(cells).resize((48, 40), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def encoder() -> Encoder:
    return FakeEncoder()


@pytest.fixture
def make_encoder() -> Callable[..., FakeEncoder]:
    return FakeEncoder


@pytest.fixture
def write_image() -> Callable[[Path, int], Path]:
    return draw


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of twelve different images, some of them in a folder of their own."""
    folder = tmp_path / "photos"
    for number in range(12):
        draw(folder / ("trip" if number % 3 == 0 else "") / f"{number:02d}.png", number)
    return folder
