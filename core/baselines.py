"""Plain image descriptors behind the encoder protocol: what every learned row must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from jaxtyping import Float
from PIL import Image

from core.values import Encoded, Encoder


@dataclass(frozen=True)
class Baseline:
    """A descriptor without weights or space; ``describe`` maps one RGB image to its features."""

    name: str
    dim: int
    describe: Callable[[Image.Image], Float[np.ndarray, " f"]]
    version: int = 1
    """Raised with every change of what ``describe`` computes."""

    @property
    def identity(self) -> str:
        """Hash of name and version."""
        return hashlib.sha256(f"{self.name}/{self.version}".encode()).hexdigest()[:16]

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Features (b, f) of RGB images of any size."""
        return Encoded(np.stack([self.describe(image) for image in images]).astype(np.float32))


def thumbnail_features(image: Image.Image) -> Float[np.ndarray, 192]:
    """The image at 8 x 8 pixels, less its mean colour: cosine is their correlation."""
    small = np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32)
    centred = small - small.mean((0, 1))
    return centred.ravel() / 255


def histogram_features(image: Image.Image) -> Float[np.ndarray, 512]:
    """Square roots of an 8 x 8 x 8 RGB histogram: cosine is the Bhattacharyya coefficient."""
    small = np.asarray(image.resize((128, 128), Image.Resampling.NEAREST), np.uint8) // 32
    cells = small.reshape(-1, 3) @ np.array([64, 8, 1])
    counts = np.bincount(cells, minlength=512) / len(cells)
    return np.sqrt(counts).astype(np.float32)


def hash_features(image: Image.Image) -> Float[np.ndarray, 64]:
    """The 64-bit perceptual hash as signs: cosine is 1 - Hamming distance / 32."""
    bits = imagehash.phash(image).hash.ravel()
    return np.where(bits, 1.0, -1.0).astype(np.float32)


BASELINES: Mapping[str, Callable[[], Encoder]] = {
    "thumbnail": lambda: Baseline("thumbnail", 192, thumbnail_features),
    "histogram": lambda: Baseline("histogram", 512, histogram_features),
    "phash": lambda: Baseline("phash", 64, hash_features),
}
"""Baselines by name; the random-weights network is in the registry of backbones."""
