"""Pictures of noise, their crops and their local descriptors, for tests of what finds crops."""

from __future__ import annotations

import numpy as np
from PIL import Image

from core.encoders.descriptors import quantize
from core.values import Grid

GRID = Grid(10, 10)


def picture(seed, side=200):
    rng = np.random.default_rng(seed)
    coarse, fine = (rng.integers(0, 256, (n, n, 3), np.uint8) for n in (6, 25))
    both = [
        np.asarray(Image.fromarray(a).resize((side, side), Image.Resampling.BICUBIC), np.float32)
        for a in (coarse, fine)
    ]
    return Image.fromarray((0.6 * both[0] + 0.4 * both[1]).astype(np.uint8))


def described(image):
    """Descriptors of a grid: the pixels of every patch."""
    pixels = np.asarray(image.convert("RGB").resize((40, 40), Image.Resampling.BOX), np.float32)
    patches = pixels.reshape(10, 4, 10, 4, 3).transpose(0, 2, 1, 3, 4).reshape(100, -1)
    return quantize(patches[None] - patches.mean())[0]


def crop(image, share, at=(0.6, 0.3)):
    width, height = int(image.width * share), int(image.height * share)
    left, top = int((image.width - width) * at[0]), int((image.height - height) * at[1])
    return image.crop((left, top, left + width, top + height))
