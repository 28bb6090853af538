"""The theorem behind the p-values, for every head and scoring: images of one set, asked apart.

A gallery and the images that are asked of it are drawn from one set of photographs, one of every
group of near-duplicates. No image has a source, so p <= .05 may hold for 5 % of them, but for
chance: at most .065 of 2,000 queries and more, and .02 at p <= .01.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from benchmarks.evidence.bars import Bar
from benchmarks.evidence.galleries import Builder, threaded, workspace
from core.config import ScoreConfig
from core.gallery.artefacts import Key, arrays
from core.service.workspace import Workspace
from core.values import Encoder

SIZES = (60, 200, 400, 800, 2_000)
"""Images in the gallery, and as many asked."""
GALLERIES = 5
"""Galleries of one size at most."""
HEADS = ("default", "identity", "center", "whiten")
"""Heads by the names that the program takes. Those of the kinds ``infomax`` and ``logdet`` turn
whitened features, which changes no p-value (``tests/core/evidence/test_null.py``)."""
WAYS = {
    "as it ships": ScoreConfig(),
    "no edges": ScoreConfig().without("edges"),
    "no palette": ScoreConfig().without("palette"),
    "no patches": ScoreConfig().without("patches"),
    "embedding": ScoreConfig(views=()),
}
"""How images are ranked."""
MOST = {0.05: 0.065, 0.01: 0.02}
"""Largest share of p-values at most a level."""
SCALES = {"queries half as large": 0.5, "queries twice as large": 2.0}


@dataclass(frozen=True)
class PValues:
    """p-values as they are kept."""

    values: np.ndarray


def nominal_bars(
    builder: Builder,
    photos: Mapping[str, Path],
    encoders: Sequence[Encoder],
    *,
    sizes: Sequence[int] = SIZES,
    most: int = GALLERIES,
) -> list[Bar]:
    """Shares of small p-values over all sizes together, and with copies and at other scales.

    Args:
        builder: builds the galleries.
        photos: photographs by name, one of every group of near-duplicates.
        encoders: what they are described by.
        sizes: images in a gallery, and as many asked.
        most: galleries of one size at most.
    """
    bars: list[Bar] = []
    for encoder in encoders:
        found: dict[str, dict[int, list[np.ndarray]]] = {}
        for gallery, asked in split(photos, sizes, most):
            for name, values in _p_values(builder, gallery, asked, encoder):
                found.setdefault(name, {}).setdefault(len(asked), []).append(values)
        for name, by_size in found.items():
            parts = [np.concatenate(drawn) for drawn in by_size.values()]
            bars += [_bar(f"{encoder.name}, {name}", parts, level) for level in MOST]
    return bars


def split(
    photos: Mapping[str, Path], sizes: Sequence[int], most: int = GALLERIES
) -> Iterator[tuple[dict[str, Path], list[Path]]]:
    """Galleries of every size and as many other photographs.

    The theorem is of the average over galleries: what one gallery of few images says is luck, so
    those of one size have no photograph in common.
    """
    order = [list(photos)[i] for i in np.random.default_rng(0).permutation(len(photos))]
    for size in sizes:
        for start in range(0, len(order) - 2 * size + 1, 2 * size)[:most]:
            gallery, asked = order[start : start + size], order[start + size : start + 2 * size]
            yield {name: photos[name] for name in gallery}, [photos[name] for name in asked]


def _p_values(
    builder: Builder, gallery: Mapping[str, Path], asked: Sequence[Path], encoder: Encoder
) -> Iterator[tuple[str, np.ndarray]]:
    """p-values by how the images are ranked; each image is read once for all heads and ways."""
    built = builder.gallery(gallery, encoder)
    ranked = list(product(HEADS, WAYS))
    named = {
        f"{head}, {way}": workspace(built, encoder, head, score=WAYS[way])
        for head, way in track(ranked, description=f"nulls of {len(gallery)} images")
    }
    yield from zip(named, _asked(list(named.values()), asked).T, strict=True)
    ships = named["default, as it ships"]
    for name, scale in SCALES.items():
        yield f"default, {name}", _asked([ships], asked, scale=scale)[:, 0]
    half = dict(list(gallery.items())[: len(gallery) // 2])
    copied = builder.workspace({**gallery, **builder.resaved(half, 3)}, encoder)
    yield "default, half of the gallery in four copies", _asked([copied], asked)[:, 0]


def _asked(
    workspaces: Sequence[Workspace], files: Sequence[Path], *, scale: float = 1.0
) -> np.ndarray:
    """p-values of images in every workspace of one gallery and encoder; (files, workspaces).

    They are kept with the gallery: a stopped run goes on.
    """
    first = workspaces[0]

    def one(file: Path) -> list[float]:
        with Image.open(file) as image:
            width, height = (max(round(side * scale), 1) for side in image.size)
            query = first.query(file if scale == 1 else image.resize((width, height)))
        assert query.image is not None and query.reading is not None
        features = query.features
        seen = {v.name: f for v, f in zip(first.collection.views, features, strict=True)}
        found: list[float] = []
        for each in workspaces:
            vectors = tuple(
                view.head(seen[view.name], role=query.role)[0]  # each one's are among the first's
                for view in each.collection.views
            )
            p_value = each.attribute(replace(query, vectors=vectors), top=1).p_value
            assert p_value is not None  # no gallery here is too small to tell
            found.append(p_value)
        return found

    def compute() -> PValues:
        return PValues(np.array(threaded(one, files, what=f"{len(files)} images without a source")))

    key = Key.of(
        "p_values",
        _asked,
        files=[(str(path), path.stat().st_size) for path in files],
        scale=scale,
        nulls=[each.null.identity for each in workspaces],
        heads=[(each.encoder.identity, each.head.identity) for each in workspaces],
        scores=[each.score for each in workspaces],
    )
    return first.gallery.artefacts.get(key, compute, codec=arrays(PValues)).values


def _bar(what: str, parts: Sequence[np.ndarray], level: float) -> Bar:
    """A bar over galleries of all sizes, with the share in each."""
    hits = [(values <= level).mean() for values in parts]
    share = float(np.mean(np.concatenate(parts) <= level))
    each = ", ".join(f"{hit:.3f} of {len(v)}" for hit, v in zip(hits, parts, strict=True))
    text = f"{share:.3f} ({each})"
    return Bar("e", f"{what}, p <= {level:g}", text, f"<= {MOST[level]}", share <= MOST[level])
