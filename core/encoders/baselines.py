"""Plain image descriptors behind the encoder protocol: what every learned row must beat."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageCms

from core.images.decode import DECODING
from core.images.thumbnails import hash_bits
from core.values import Encoded, Encoder, Grid

EDGE_GRID = Grid(5, 5)
"""The cells of the edges' histograms."""

_COLOURS = 5  # of the palette on each axis
_EDGE_SIDE = 96  # pixels
_ORIENTATIONS = 6
_EDGE_FLOOR = 0.1  # of the image's mean, added to a cell's norm: flat cells stay small


def _shares(places: Float[np.ndarray, " p"], cells: int) -> Float[np.ndarray, "p c"]:
    """How places on an axis are shared by the two nearest cells; beyond the ends by one."""
    distance = np.abs(np.clip(places, 0, cells - 1)[:, None] - np.arange(cells))
    return np.maximum(1 - distance, 0)


_OF_CELL = _shares(
    (np.arange(_EDGE_SIDE) + 0.5) * EDGE_GRID.rows / _EDGE_SIDE - 0.5, EDGE_GRID.rows
).astype(np.float32)
_OF_ORIENTATION = np.arange(_ORIENTATIONS, dtype=np.float32)[:, None, None]


@dataclass(frozen=True)
class Baseline:
    """A descriptor without weights; ``describe`` maps one RGB image to its features."""

    name: str
    dim: int
    describe: Callable[[Image.Image], Float[np.ndarray, " f"]]
    version: int = 1
    """Raised with every change of what ``describe`` computes."""
    cells: Grid | None = None
    """Cells of the image whose features follow one another, row by row; ``None`` for none."""

    @property
    def identity(self) -> str:
        """Hash of name, version and the version of decoding."""
        parts = f"{self.name}/{self.version}/decoding {DECODING}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Features (b, f) of RGB images of any size."""
        return Encoded(np.stack([self.describe(image) for image in images]).astype(np.float32))


def thumbnail_features(image: Image.Image) -> Float[np.ndarray, " 192"]:
    """The image at 8 x 8 pixels, less its mean colour: cosine is their correlation."""
    small = np.asarray(image.resize((8, 8), Image.Resampling.BOX), np.float32)
    centred = small - small.mean((0, 1))
    return centred.ravel() / 255


def histogram_features(image: Image.Image) -> Float[np.ndarray, " 512"]:
    """Square roots of an 8 x 8 x 8 RGB histogram: cosine is the Bhattacharyya coefficient."""
    small = np.asarray(image.resize((128, 128), Image.Resampling.NEAREST), np.uint8) // 32
    cells = small.reshape(-1, 3) @ np.array([64, 8, 1])
    counts = np.bincount(cells, minlength=512) / len(cells)
    return np.sqrt(counts).astype(np.float32)


def palette_features(image: Image.Image) -> Float[np.ndarray, " 125"]:
    """Which colours there are, wherever they lie: a 5 x 5 x 5 histogram of CIELAB (D50).

    Every pixel of the image at 64 x 64 is shared by the eight nearest colours; a* and b* beyond 50
    count as 50. Square roots: cosine is the Bhattacharyya coefficient.
    """
    small = image.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    lightness, *chroma = np.moveaxis(np.asarray(ImageCms.applyTransform(small, _lab())), 2, 0)
    scaled = [lightness / 255.0, *(c.astype(np.int8) / 100.0 + 0.5 for c in chroma)]
    light, *ab = (_shares(values.ravel() * (_COLOURS - 1), _COLOURS) for values in scaled)
    pairs = (light[:, :, None] * ab[0][:, None]).reshape(len(light), -1)
    counts = pairs.T @ ab[1]
    return np.sqrt(counts / lightness.size).ravel().astype(np.float32)


@functools.cache
def _lab() -> ImageCms.ImageCmsTransform:
    """From sRGB to CIELAB of eight bits: L* from 0 to 255, a* and b* signed."""
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.buildTransform(srgb, lab, "RGB", "LAB")


def edge_features(image: Image.Image) -> Float[np.ndarray, " 150"]:
    """Where edges lie and how they run: histograms of gradient orientations on 5 x 5 cells.

    Dalal and Triggs (CVPR 2005), of the grey image at 96 x 96 pixels. Orientations are unsigned, so
    an edge counts alike whatever is its lighter side; every pixel is shared by its two nearest
    orientations and its four nearest cells. Square roots, then each cell over its own norm.
    """
    grey = image.convert("L").resize((_EDGE_SIDE, _EDGE_SIDE), Image.Resampling.BICUBIC)
    values = np.pad(np.asarray(grey, np.float32), 1, mode="edge")
    across = values[1:-1, 2:] - values[1:-1, :-2]
    down = values[2:, 1:-1] - values[:-2, 1:-1]
    places = np.arctan2(down, across) / np.pi * _ORIENTATIONS - _OF_ORIENTATION
    half = _ORIENTATIONS / 2
    shares = np.maximum(1 - np.abs((places + half) % _ORIENTATIONS - half), 0)
    layers = np.hypot(across, down) * shares
    cells = np.sqrt(_OF_CELL.T @ layers @ _OF_CELL).transpose(1, 2, 0)
    norms = np.linalg.norm(cells, axis=-1, keepdims=True)
    floor = _EDGE_FLOOR * cells.mean() + np.finfo(np.float32).eps
    return (cells / (norms + floor)).ravel().astype(np.float32)


def hash_features(image: Image.Image) -> Float[np.ndarray, " 64"]:
    """The 64-bit perceptual hash as signs: cosine is 1 - Hamming distance / 32."""
    return np.where(hash_bits(image).ravel(), 1.0, -1.0).astype(np.float32)


BASELINES: Mapping[str, Callable[[], Encoder]] = {
    "thumbnail": lambda: Baseline("thumbnail", 192, thumbnail_features, cells=Grid(8, 8)),
    "histogram": lambda: Baseline("histogram", 512, histogram_features),
    "phash": lambda: Baseline("phash", 64, hash_features),
    "edges": lambda: Baseline(
        "edges", EDGE_GRID.size * _ORIENTATIONS, edge_features, cells=EDGE_GRID
    ),
    "palette": lambda: Baseline("palette", _COLOURS**3, palette_features),
}
"""Baselines by name; the network of random weights is in the registry."""
