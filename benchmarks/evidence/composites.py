"""Images made of two known ones in four ways, for measuring whether both are found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from core.images.decode import load_image
from core.measures.variations.ways import recoloured

_SIDE = 224

Way = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Composite:
    """An image made of two others."""

    kind: str
    image: Image.Image
    sources: tuple[Path, Path]


def composites(paths: Sequence[Path], *, each: int, seed: int = 0) -> list[Composite]:
    """As many composites of every kind as asked for, of pairs drawn without replacement.

    Raises:
        ValueError: when there are too few images for that.
    """
    rng = np.random.default_rng(seed)
    if len(paths) < 2 * each * len(_WAYS):
        raise ValueError(f"{len(paths)} images do not make {each} composites of {len(_WAYS)} kinds")
    drawn = iter(rng.permutation(len(paths)))
    made: list[Composite] = []
    for kind, way in _WAYS.items():
        for _ in range(each):
            one, two = paths[next(drawn)], paths[next(drawn)]
            pixels = way(_pixels(one), _pixels(two), rng).clip(0, 255).astype(np.uint8)
            made.append(Composite(kind, Image.fromarray(pixels), (one, two)))
    return made


def _pixels(path: Path) -> np.ndarray:
    image = load_image(path, fit=256).image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def _pasted(one: np.ndarray, two: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of either, side by side or one above the other."""
    half = _SIDE // 2
    made = one.copy()
    if rng.random() < 0.5:
        made[:, half:] = two[:, half:]
    else:
        made[half:] = two[half:]
    return made


def _blended(one: np.ndarray, two: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """The mean of both."""
    return (one + two) / 2


def _content_and_style(one: np.ndarray, two: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Large forms of one with the colours, by mean and deviation, and the fine detail of two."""
    form = gaussian_filter(one, (3, 3, 0))
    return recoloured(form, two) + two - gaussian_filter(two, (6, 6, 0))


def _harmonised(one: np.ndarray, two: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth region of about half of two in one, its colours moved half-way, its edge soft."""
    noise = np.asarray(zoom(rng.standard_normal((4, 4)), _SIDE / 4, order=3))
    keep = 1 / (1 + np.exp(-(noise - np.median(noise)) * 8))[..., None]
    return keep * one + (1 - keep) * (two + recoloured(two, one)) / 2


_WAYS: dict[str, Way] = {
    "pasted": _pasted,
    "blended": _blended,
    "content and style": _content_and_style,
    "harmonised": _harmonised,
}
