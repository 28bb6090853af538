"""Makes the example queries of the built-in gallery: generated images whose sources are known."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from core.encoders.backbones import Backbone, weights_hash
from core.encoders.load import load_network
from core.gallery.gallery import SHIPPED
from core.images.files import write_bytes
from core.measures.variations import patches, pixels
from core.measures.variations.patches import Recipe, synthesise
from core.measures.variations.pixels import INVERSION, TRANSFER, Aim, optimise
from demo.render import image, webp
from demo.textures import noise
from demo.world import file_name, stream

log = logging.getLogger(__name__)

ELIGIBLE = 240
"""Sources are drawn from this many first images, so that a larger gallery keeps its queries."""
OUTSIDE = 100_000
"""First seed of scenes that are in no gallery."""
NETWORK = "dino"
"""The bundled network that moves pixels; the app answers with another one by default."""
SYNTHESISED = 192
"""Side of what patch synthesis reads, pixels."""
MOVED = 128
"""Side of what a network reads, pixels."""

Pixels = np.ndarray
Maker = Callable[[Sequence[Pixels], int], Pixels]


@dataclass(frozen=True)
class Plan:
    """One way to make queries."""

    kind: str
    make: Maker
    number: int
    """Queries made this way."""
    sources: int = 1
    """Gallery images behind each; the numbers of images from elsewhere, where none is known."""
    origin: Callable[[int], Pixels] | None = None
    """Where the images come from when it is not the gallery."""
    chosen: tuple[int, ...] = ()
    """Gallery images that are taken, not drawn, because the answer names them all."""


def recomposed(images: Sequence[Pixels], seed: int) -> Pixels:
    """Patch synthesis from the source's nine tiles in a new order, under noise."""
    source = _sized(images[0], SYNTHESISED, SYNTHESISED)
    tiles = [tile for row in np.split(source, 3) for tile in np.split(row, 3, axis=1)]
    order = stream(seed, 8).permutation(9).reshape(3, 3)
    start = np.concatenate([np.concatenate([tiles[i] for i in row], axis=1) for row in order])
    return synthesise([source], start, recipe=Recipe(noise=0.3), seed=seed)


def retargeted(images: Sequence[Pixels], seed: int) -> Pixels:
    """Patch synthesis at another aspect: wide for even seeds, tall for odd ones."""
    source = _sized(images[0], SYNTHESISED, SYNTHESISED)
    width, height = ((256, 144), (144, 240))[seed % 2]
    return synthesise([source], _sized(source, width, height), recipe=Recipe(noise=0.3), seed=seed)


def shifted(images: Sequence[Pixels], seed: int) -> Pixels:
    """Patch synthesis from the source mirrored and pushed over the border."""
    source = _sized(images[0], SYNTHESISED, SYNTHESISED)
    start = np.roll(source[:, ::-1], (SYNTHESISED // 8, SYNTHESISED // 3), axis=(0, 1))
    return synthesise([source], start, recipe=Recipe(noise=0.2), seed=seed)


def mixed(images: Sequence[Pixels], seed: int) -> Pixels:
    """Patch synthesis from two images: one on either side of a slanted border."""
    first, second = (_sized(one, SYNTHESISED, SYNTHESISED) for one in images)
    axis = np.linspace(-1, 1, SYNTHESISED)
    slope = stream(seed, 8).uniform(-0.5, 0.5)
    mask = axis[None, :] + slope * axis[:, None] < 0
    start = np.where(mask[..., None], first, second)
    return synthesise([first, second], start, recipe=Recipe(noise=0.15), seed=seed)


def restyled(images: Sequence[Pixels], _seed: int) -> Pixels:
    """Style transfer: the first image's layout, the second one's colours and textures."""
    content, style = (_sized(one, MOVED, MOVED) for one in images)
    return _moved(content, content, style, TRANSFER)


def inverted(images: Sequence[Pixels], seed: int) -> Pixels:
    """Feature inversion from noise, of a mirrored crop of the source."""
    rng = stream(seed, 8)
    side = int(images[0].shape[0] * 0.8)
    top, left = rng.integers(0, images[0].shape[0] - side, 2)
    view = _sized(images[0][top : top + side, left : left + side][:, ::-1], MOVED, MOVED)
    start = rng.integers(96, 160, view.shape).astype(np.uint8)
    return _moved(start, view, view, INVERSION)


def _moved(start: Pixels, content: Pixels, style: Pixels, aim: Aim) -> Pixels:
    return optimise(_network(), start, content=content, style=style, aim=aim)


def outside(seed: int) -> Pixels:
    """A rendered scene that is in no gallery: [256, 256, 3]."""
    return np.asarray(image(OUTSIDE + seed, size=256, samples=16))


def procedural(seed: int) -> Pixels:
    """Bands of colour along the contours of noise: [256, 256, 3]."""
    rng = stream(seed, 9)
    height = noise(rng, 256, cells=(2.5, 2.5), slope=3.0)
    phase = rng.uniform(0, 1, 3)
    colours = 0.5 + 0.45 * np.cos(2 * np.pi * (0.8 * height[..., None] + phase))
    return np.round(255 * colours).astype(np.uint8)


PLANS = (
    Plan("patch-synthesis", recomposed, 4),
    Plan("patch-synthesis, retargeted", retargeted, 4),
    Plan("patch-synthesis, shifted", shifted, 4),
    Plan("patch-synthesis, two sources", mixed, 4, sources=2),
    Plan("style-transfer", restyled, 4, sources=2),
    Plan("feature-inversion", inverted, 4),
    Plan("patch-synthesis, unrelated", recomposed, 2, origin=outside),
    Plan("style-transfer, unrelated", restyled, 1, sources=2, origin=outside),
    Plan("patch-synthesis, procedural", recomposed, 2, origin=procedural),
    Plan("feature-inversion, procedural", inverted, 1, origin=procedural),
    Plan("patch-synthesis, two sources", mixed, 1, sources=2, chosen=(152, 16)),
)
"""24 queries with sources, 8 of them with two, then 6 without; the last shows what an answer with
two sources looks like, and is counted nowhere."""


def build(gallery: Path) -> None:
    """Make the queries that the gallery's folder lacks or lists otherwise, then the list of all.

    Args:
        gallery: The gallery's folder, with the first :data:`ELIGIBLE` images in ``images``.
    """
    folder = gallery / "queries"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = iter(stream(0, 7).permutation(ELIGIBLE).tolist())
    plans = [plan for plan in PLANS for _ in range(plan.number)]
    rows: list[dict[str, object]] = []
    listed = _listed(folder / "queries.json")
    for seed, plan in enumerate(plans):
        outside = range(seed * 2, seed * 2 + plan.sources) if plan.origin else ()
        numbers = plan.chosen or outside or drawn
        seeds = list(islice(numbers, plan.sources))
        path = folder / f"q-{seed:03d}.webp"
        row = _row(path.name, plan, seed, seeds)
        if not path.exists() or listed.get(path.name, row) != row:
            read = plan.origin or (lambda number: _read(gallery / "images" / file_name(number)))
            made = plan.make([read(number) for number in seeds], seed)
            write_bytes(path, webp(Image.fromarray(made)))
            log.info("%s %s", path.name, plan.kind)
        rows.append(row)
    write_bytes(folder / "queries.json", json.dumps({"queries": rows}, indent=1).encode())


def _listed(path: Path) -> dict[str, dict[str, object]]:
    """What an earlier list says, by file; weights of another network make another image."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))["queries"]
    return {row["file"]: row for row in rows}


def _row(name: str, plan: Plan, seed: int, seeds: Sequence[int]) -> dict[str, object]:
    """What the list says of one query."""
    by_pixels = plan.make in (restyled, inverted)
    module = pixels if by_pixels else patches
    function = optimise if by_pixels else synthesise
    origin = plan.origin.__name__ if plan.origin else "gallery"
    row: dict[str, object] = {
        "file": name,
        "sources": [] if plan.origin else [file_name(number) for number in seeds],
        "kind": plan.kind,
        "seed": seed,
        "generator": f"{module.__name__}.{function.__name__}",
        "process": f"demo.queries.{plan.make.__name__}",
        "inputs": {"from": origin, "seeds": list(seeds)},
    }
    if plan.chosen:
        row["chosen"] = True
    if by_pixels:
        row["network"] = f"{NETWORK}@{weights_hash(_network())}"
    return row


@cache
def _network() -> Backbone:
    return load_network(NETWORK)


def _read(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _sized(pixels: Pixels, width: int, height: int) -> Pixels:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=SHIPPED, help="folder of the gallery")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    build(parser.parse_args(arguments).gallery)


if __name__ == "__main__":
    main()
