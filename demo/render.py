"""Renders the world to WebP images and their metadata; an interrupted run resumes."""

from __future__ import annotations

import argparse
import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import drjit
import mitsuba as mi
import numpy as np
from PIL import Image

mi.set_variant("scalar_rgb")

from core.images.files import write_bytes  # noqa: E402 - the variant must be set before
from demo.denoise import denoise  # noqa: E402 - the variant must be set before
from demo.scene import scene  # noqa: E402 - the variant must be set before
from demo.world import factors, file_name, record  # noqa: E402

log = logging.getLogger(__name__)

PASSES = 4
"""Renderings with independent noise that make one image."""
KEY = 0.2
"""Where the log-average luminance of an image comes to lie."""
LOW_KEY = 0.1
"""The same for low-key light."""
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of linear RGB (ITU-R BT.709)."""


def radiance(seed: int, *, size: int, samples: int) -> np.ndarray:
    """The image of a seed in linear light: [size, size, 3].

    What exceeds twice the median of independent passes is cut, which removes the bright dots of
    rare paths; then the passes are denoised together.
    """
    world: Any = mi.load_dict(scene(seed, size))
    each = max(1, samples // PASSES)
    noise = [mi.UInt32(seed * PASSES + k) for k in range(PASSES)]
    passes = [np.asarray(mi.render(world, spp=each, seed=salt)) for salt in noise]
    stack = np.stack(passes)
    ceiling = 2 * np.median(stack, axis=0) + 0.02
    return denoise(np.minimum(stack, ceiling))


def develop(light: np.ndarray, *, key: float = KEY) -> np.ndarray:
    """Linear light [h, w, 3] to sRGB bytes, exposed by its log-average luminance.

    Exposure after Reinhard et al. 2002; the filmic curve is Narkowicz's fit of ACES (2015).

    Args:
        light: Non-negative linear RGB.
        key: Where the log-average luminance comes to lie.
    """
    luminance = light @ LUMINANCE
    exposed = light * key / np.exp(np.log(luminance + 1e-4).mean())
    x = 0.8 * exposed
    filmic = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    srgb = np.where(filmic <= 0.0031308, 12.92 * filmic, 1.055 * filmic ** (1 / 2.4) - 0.055)
    return np.round(255 * srgb).astype(np.uint8)


def image(seed: int, *, size: int, samples: int) -> Image.Image:
    """The finished image of a seed."""
    key = LOW_KEY if factors(seed).light == "low key" else KEY
    return Image.fromarray(develop(radiance(seed, size=size, samples=samples), key=key))


def webp(picture: Image.Image, quality: int = 72) -> bytes:
    """The picture as WebP."""
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=quality, method=6)
    return out.getvalue()


def metadata(seeds: Sequence[int]) -> bytes:
    """The table of what the images show, as CSV."""
    rows = [record(seed) for seed in seeds]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def build(folder: Path, seeds: Sequence[int], *, size: int, samples: int) -> None:
    """Render the seeds that the folder does not hold yet, then write the metadata of all it holds.

    Args:
        folder: Where the images go; made when missing.
        seeds: Which images; at least one.
        size: Side in pixels.
        samples: Light paths per pixel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / file_name(seed)
        if not path.exists():
            write_bytes(path, webp(image(seed, size=size, samples=samples)))
            log.info("%s", path.name)
    write_bytes(folder / "metadata.csv", metadata(rendered(folder)))


def rendered(folder: Path) -> list[int]:
    """Seeds of all images in a folder, in order."""
    return sorted(int(path.stem.removeprefix("world-")) for path in folder.glob("world-*.webp"))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the images")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=800, help="number of images")
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--samples", type=int, default=16, help="light paths per pixel")
    parser.add_argument("--threads", type=int, default=drjit.thread_count(), help="threads to use")
    chosen = parser.parse_args(arguments)
    drjit.set_thread_count(chosen.threads)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    seeds = range(chosen.first, chosen.first + chosen.count)
    build(chosen.out, seeds, size=chosen.size, samples=chosen.samples)


if __name__ == "__main__":
    main()
