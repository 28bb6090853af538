"""Ways to make a variation of an image, each from near to far, with a partner where it takes two.

``far`` in [0, 1] says how far a variation goes from its image: every way sees a smaller and smaller
corner of it, mirrored from .75 on, so that comparing thumbnails finds fewer and fewer; ``make
selftest`` measures that along the dial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import zoom

from core.encoders.backbones import Backbone
from core.measures.variations.patches import Recipe, synthesise
from core.measures.variations.pixels import INVERSION, TRANSFER, optimise
from core.values import Progress, no_progress

SIDE = 192
"""Side that variations are made at, pixels."""

_STEPS = 80  # of moving pixels, so that a variation takes seconds

Pixels = np.ndarray
Make = Callable[["Ingredients", float, np.random.Generator], Pixels]


@dataclass(frozen=True)
class Ingredients:
    """What a variation is made of."""

    image: Image.Image
    partner: Image.Image
    """Another image, for the ways that take two."""
    network: Callable[[], Backbone]
    """A network to move pixels by, for the ways that need one; opened when it is needed."""
    progress: Progress = no_progress
    """Called while a variation is made; may raise ``Cancelled``."""

    def pixels(self, side: int) -> Pixels:
        """The image as a square of bytes."""
        return _square(self.image, side)

    def partners(self, side: int) -> Pixels:
        """The partner as a square of bytes."""
        return _square(self.partner, side)


@dataclass(frozen=True)
class Way:
    """One way to make variations."""

    title: str
    make: Make
    partner: bool = False
    """Whether the partner is a source too."""


def vary(way: str, given: Ingredients, *, far: float, seed: int) -> Image.Image:
    """A variation of an image; the same for the same seed.

    Args:
        way: one of :data:`WAYS`.
        given: what it is made of.
        far: how far it goes, in [0, 1].
        seed: seed of what is drawn.

    Raises:
        ValueError: for an unknown way, or a ``far`` outside of [0, 1].
    """
    if way not in WAYS:
        raise ValueError(f"there is no way {way!r}; there are: {', '.join(WAYS)}")
    if not 0 <= far <= 1:
        raise ValueError(f"far must lie in [0, 1], got {far}")
    rng = np.random.default_rng(seed)
    seen = replace(given, image=_view(given.image, far, rng))
    made = WAYS[way].make(seen, far, rng)
    return Image.fromarray(made.clip(0, 255).astype(np.uint8))


def _view(image: Image.Image, far: float, rng: np.random.Generator) -> Image.Image:
    """A corner of the image, down to .55 of its sides, mirrored in the last quarter of the dial.

    A corner and not any crop: it shows as much and shifts what is seen by more, which thumbnails
    do not bear.
    """
    width, height = (round(side * (1 - 0.45 * far)) for side in image.size)
    across, down = rng.integers(0, 2, 2).tolist()
    left, top = across * (image.width - width), down * (image.height - height)
    crop = image.crop((left, top, left + width, top + height))
    return ImageOps.mirror(crop) if far >= 0.75 else crop


def _synthesised(given: Ingredients, far: float, rng: np.random.Generator) -> Pixels:
    """Patch synthesis from the image with some of its nine tiles in other places, under noise."""
    source = given.pixels(SIDE)
    tiles = [tile for row in np.split(source, 3) for tile in np.split(row, 3, axis=1)]
    moved = rng.permutation(9)[: round(9 * min(1, 1.4 * far))]
    order = np.arange(9)
    order[moved] = np.roll(moved, 1)
    rows = [np.concatenate([tiles[i] for i in row], axis=1) for row in order.reshape(3, 3)]
    recipe = Recipe(noise=0.2 + 0.4 * far)
    seed = int(rng.integers(2**31))
    return synthesise(
        [source], np.concatenate(rows), recipe=recipe, seed=seed, progress=given.progress
    )


def _restyled(given: Ingredients, far: float, _rng: np.random.Generator) -> Pixels:
    """Style transfer: the layout of the image, the colours and textures of the partner."""
    content, style = given.pixels(SIDE), given.partners(SIDE)
    aim = replace(TRANSFER, style_weight=0.03 * 100**far, steps=_STEPS)
    return optimise(
        given.network(), content, content=content, style=style, aim=aim, progress=given.progress
    )


def _inverted(given: Ingredients, far: float, rng: np.random.Generator) -> Pixels:
    """Feature inversion: an image that the network takes for this one, from noise.

    By all its stages up to the middle of the dial, by its deeper ones alone beyond.
    """
    view = given.pixels(SIDE)
    start = rng.integers(124, 132, view.shape).astype(np.uint8)
    content = INVERSION.content[max(0, int(4 * far) - 2) :]
    aim = replace(INVERSION, content=content, steps=_STEPS)
    network = given.network()
    return optimise(network, start, content=view, style=view, aim=aim, progress=given.progress)


def _blended(given: Ingredients, far: float, _rng: np.random.Generator) -> Pixels:
    """A mean of the image and the partner, the image's part from .9 down to .3."""
    part = 0.9 - 0.6 * far
    return part * given.pixels(SIDE).astype(float) + (1 - part) * given.partners(SIDE)


def _pasted(given: Ingredients, far: float, rng: np.random.Generator) -> Pixels:
    """A part of the image, from .95 of its sides down to .65, somewhere in the partner."""
    whole, made = given.pixels(SIDE), given.partners(SIDE).copy()
    side = round(SIDE * (0.95 - 0.3 * far**2))
    (top, left), (down, right) = rng.integers(0, SIDE - side + 1, (2, 2))
    made[top : top + side, left : left + side] = whole[down : down + side, right : right + side]
    return made


def _harmonised(given: Ingredients, far: float, rng: np.random.Generator) -> Pixels:
    """A smooth region of the image in the partner, in the partner's colours, its edge soft."""
    one, two = (p.astype(float) for p in (given.partners(SIDE), given.pixels(SIDE)))
    noise = np.asarray(zoom(rng.standard_normal((4, 4)), SIDE / 4, order=3))
    level = np.quantile(noise, 0.1 + 0.55 * far**2)
    own = 1 / (1 + np.exp(-(noise - level) * 8))[..., None]
    like = recoloured(two, one)
    return (1 - own) * one + own * (two + like) / 2


WAYS: Mapping[str, Way] = {
    "patches": Way("Patch synthesis", _synthesised),
    "style": Way("Restyled by another image", _restyled, partner=True),
    "inversion": Way("Feature inversion", _inverted),
    "blend": Way("Blended with another image", _blended, partner=True),
    "paste": Way("Pasted into another image", _pasted, partner=True),
    "composite": Way("Harmonised composite", _harmonised, partner=True),
}
"""All ways by name."""


def recoloured(pixels: Pixels, like: Pixels) -> Pixels:
    """Pixels with the mean and the deviation of other ones, by channel."""
    unit = (pixels - pixels.mean((0, 1))) / (pixels.std((0, 1)) + 1)
    return unit * like.std((0, 1)) + like.mean((0, 1))


def _square(image: Image.Image, side: int) -> Pixels:
    return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS))
