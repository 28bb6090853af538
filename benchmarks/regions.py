"""Do the heatmaps of regions tell the truth? Deletion on known pairs, and pasted halves.

Deletion: the window of the query with the most heat is blurred away, and the score with the true
source is read again. Windows are rectangles of patches, so that those of random place, and those
that other heatmaps choose, have the same area and shape. Controls are windows of random place, and
the same heatmap made of random weights and of colour patches.

Pasted halves: the left half of a query is a photo of the gallery, the right half another one; the
heat of the match with the first belongs on the left.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from rich.progress import track

from core.cli.console import results
from core.config import HeadConfig, ScoreConfig
from core.encoders.descriptors import PATCH_HEAD, describe_patches
from core.encoders.load import load_encoder, shipped_heads
from core.encoders.network import GRID
from core.heads.fit import fit_head
from core.images.decode import load_image
from core.images.files import write_json
from core.images.listing import list_images
from core.measures.retrieval import (
    Interval,
    Pair,
    clustered_interval,
    read_pairs,
)
from core.search.patches import local_scores, region_match
from core.values import Encoder, Role

AREAS = {0.1: (2, 5), 0.2: (4, 5), 0.3: (5, 6), 0.4: (5, 8)}
"""Rows and columns of the window that covers a share of the grid; it may also lie across."""

_MAIN = 0.2
_BATCH = 16
_RANDOM = ("random place 1", "random place 2")
_PIXELS = 160

Window = tuple[int, int, int, int]
"""Top row, left column, rows and columns of a rectangle of patches."""

Describe = Callable[[Sequence[Image.Image]], np.ndarray]


def main() -> None:
    """Delete, paste, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="moco")
    parser.add_argument("--split", choices=("tune", "untouched"), default="untouched")
    parser.add_argument("--per-exemplar", type=int, default=2, help="queries of one exemplar")
    parser.add_argument("--pasted", type=int, default=200, help="queries pasted of two halves")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/regions.json"))
    options = parser.parse_args()
    data = Path(os.environ["WELLSPRING_DATA"])
    pairs = _drawn(read_pairs(data / "pairs.json", split=options.split), options.per_exemplar)
    network = _Scored(options.encoder)
    found = {
        "encoder": f"{options.encoder}@{network.encoder.identity}",
        "split": options.split,
        "deletion": _deletion(network, data, pairs),
        "pasted": _pasted(network, list_images(data / "real"), count=options.pasted),
    }
    write_json(options.out, found)
    for name, value in _flat(found):
        results.print(f"{name}: {value}", highlight=False)


def _flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """The numbers of nested mappings, intervals in one line."""
    if not isinstance(value, dict):
        yield name, f"{value:.4f}" if isinstance(value, float) else str(value)
    elif value.keys() >= {"mean", "low", "high"}:
        size = f"{value['queries']} queries, {value['clusters']} clusters"
        yield name, f"{value['mean']:.4f} [{value['low']:.4f}, {value['high']:.4f}], {size}"
    else:
        for key, part in value.items():
            yield from _flat(part, f"{name} / {key}" if name else str(key))


def _drawn(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """At most so many pairs of each cluster."""
    rng = np.random.default_rng(0)
    clusters: dict[str, list[Pair]] = {}
    for pair in pairs:
        clusters.setdefault(pair.cluster, []).append(pair)
    return [
        of[i] for of in clusters.values() for i in sorted(rng.permutation(len(of))[:most].tolist())
    ]


class _Scored:
    """An encoder with its shipped heads: the score of a query and one source."""

    def __init__(self, name: str) -> None:
        heads = shipped_heads(name)
        if heads.embedding is None or heads.patches is None:
            raise SystemExit(f"{name} brings no heads")
        self.encoder = load_encoder(name)
        self.embedding, self.patches = heads.embedding, heads.patches

    def describe(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Local descriptors."""
        return describe_patches(_patches(self.encoder, images), self.patches)

    def scores(
        self, queries: Sequence[Image.Image], source: Sequence[int], images: Sequence[Image.Image]
    ) -> np.ndarray:
        """What ranks of embedding and patches, less a constant: 2 cos + weight x local score.

        Args:
            queries: the queries.
            source: the place of each query's source among the images.
            images: sources.
        """
        real = [self._encoded(part, role="gallery") for part in _batches(images)]
        embeddings, patches = (np.concatenate(parts) for parts in zip(*real, strict=True))
        found: list[float] = []
        for batch in track(list(_batches(queries)), description="scoring"):
            for embedding, local in zip(*self._encoded(batch, role="query"), strict=True):
                at = source[len(found)]
                pairs = local_scores(local, patches[at, None])[0]
                score = 2 * embedding @ embeddings[at] + ScoreConfig().rerank_weight * pairs
                found.append(float(score))
        return np.array(found)

    def _encoded(
        self, images: Sequence[Image.Image], *, role: Role
    ) -> tuple[np.ndarray, np.ndarray]:
        encoded = self.encoder.encode(images)
        assert encoded.patches is not None
        return (
            self.embedding(encoded.features, role=role),
            describe_patches(encoded.patches, self.patches),
        )


def _batches(images: Sequence[Image.Image]) -> Iterator[Sequence[Image.Image]]:
    for start in range(0, len(images), _BATCH):
        yield images[start : start + _BATCH]


def _patches(encoder: Encoder, images: Sequence[Image.Image]) -> np.ndarray:
    """Patch features (n, p, c) of an encoder that has space."""
    encoded = [encoder.encode(batch).patches for batch in _batches(images)]
    return np.concatenate([part for part in encoded if part is not None])


def _colour_patches(images: Sequence[Image.Image]) -> np.ndarray:
    """Mean and deviation of the colours of every patch."""
    side = _PIXELS // GRID.rows
    small = [image.resize((_PIXELS, _PIXELS), Image.Resampling.BOX) for image in images]
    pixels = np.stack([np.asarray(image, np.float32) for image in small]) / 255
    cells = pixels.reshape(len(images), GRID.rows, side, GRID.columns, side, 3)
    both = [cells.mean(axis=(2, 4)), cells.std(axis=(2, 4))]
    return np.concatenate(both, axis=-1).reshape(len(images), GRID.size, 6)


def _controls(sources: Sequence[Image.Image]) -> dict[str, Describe]:
    """Descriptors without learning, whitened on the sources as those of the encoder are."""
    random = load_encoder("random")
    rows = _patches(random, sources)
    weights = fit_head(rows.reshape(-1, rows.shape[-1]), config=PATCH_HEAD)
    colours = _colour_patches(sources).reshape(-1, 6)
    colour = fit_head(colours, config=HeadConfig(kind="whiten", k=6))
    return {
        "random weights": lambda images: describe_patches(_patches(random, images), weights),
        "colour patches": lambda images: describe_patches(_colour_patches(images), colour),
    }


# Deletion


@dataclass(frozen=True)
class _Deletion:
    """One window blurred away from one query."""

    query: int
    chooser: str
    area: float
    window: Window


def _deletion(network: _Scored, data: Path, pairs: Sequence[Pair]) -> dict[str, object]:
    """Drops of the score by what chose the window and by area, and their paired differences."""
    queries = [load_image(data / pair.generated, fit=256).image for pair in pairs]
    names = sorted({pair.exemplars[0] for pair in pairs})
    loaded = {name: load_image(data / name, fit=256).image for name in names}
    photos = list(loaded.values())
    at = [names.index(pair.exemplars[0]) for pair in pairs]
    choosers = {network.encoder.name: network.describe, **_controls(photos)}
    planned = [*_chosen(choosers, queries, [photos[i] for i in at])]
    planned += _random_places(len(queries))
    windows = sorted({(d.query, d.window) for d in planned})
    deleted = [_blurred(queries[q], window) for q, window in windows]
    scores = network.scores(deleted, [at[q] for q, _ in windows], photos)
    after = dict(zip(windows, scores.tolist(), strict=True))
    whole = network.scores(queries, at, photos)
    drops: dict[tuple[str, float], np.ndarray] = {}
    for chooser in (*choosers, *_RANDOM):
        for area in AREAS:
            mine = [d for d in planned if (d.chooser, d.area) == (chooser, area)]
            drops[chooser, area] = whole - np.array([after[d.query, d.window] for d in mine])
    clusters = [pair.cluster for pair in pairs]
    return {"score of the whole": float(whole.mean()), **_compared(drops, clusters, list(choosers))}


def _compared(
    drops: dict[tuple[str, float], np.ndarray], clusters: Sequence[str], choosers: Sequence[str]
) -> dict[str, object]:
    """Curves, areas under them, and differences to every control, with clustered intervals."""
    for area in AREAS:
        drops["random place", area] = np.mean([drops[name, area] for name in _RANDOM], axis=0)
    own, *others = [*choosers, "random place"]
    areas = list(AREAS)
    curves = {
        name: np.stack([np.zeros(len(clusters)), *(drops[name, area] for area in areas)])
        for name in (own, *others)
    }
    under = {
        name: np.asarray(np.trapezoid(curve, [0, *areas], axis=0)) / areas[-1]
        for name, curve in curves.items()
    }
    return {
        "drop by area": {
            name: {f"{area:.0%}": float(drops[name, area].mean()) for area in areas}
            for name in (own, *others)
        },
        "mean drop over areas": {name: float(value.mean()) for name, value in under.items()},
        f"{own} less control, {_MAIN:.0%}": {
            name: _interval(drops[own, _MAIN] - drops[name, _MAIN], clusters) for name in others
        },
        f"{own} less control, mean over areas": {
            name: _interval(under[own] - under[name], clusters) for name in others
        },
    }


def _chosen(
    choosers: dict[str, Describe], queries: Sequence[Image.Image], sources: Sequence[Image.Image]
) -> Iterator[_Deletion]:
    for name, describe in choosers.items():
        for i, (query, source) in enumerate(zip(describe(queries), describe(sources), strict=True)):
            heat = region_match(query, source, query_grid=GRID, source_grid=GRID).query_heat
            for area, (rows, columns) in AREAS.items():
                yield _Deletion(i, name, area, _hottest(heat, rows, columns))


def _random_places(count: int) -> Iterator[_Deletion]:
    rng = np.random.default_rng(0)
    for i in range(count):
        for name in _RANDOM:
            for area, shape in AREAS.items():
                rows, columns = rng.permutation(shape).tolist()
                top = int(rng.integers(GRID.rows - rows + 1))
                left = int(rng.integers(GRID.columns - columns + 1))
                yield _Deletion(i, name, area, (top, left, rows, columns))


def _hottest(heat: np.ndarray, rows: int, columns: int) -> Window:
    """The rectangle of most heat among all places, upright or across."""
    field = heat.reshape(GRID.rows, GRID.columns)
    windows = [
        (top, left, high, wide)
        for high, wide in {(rows, columns), (columns, rows)}
        for top in range(GRID.rows - high + 1)
        for left in range(GRID.columns - wide + 1)
    ]
    return max(windows, key=lambda w: (field[w[0] : w[0] + w[2], w[1] : w[1] + w[3]].sum(), w))


def _blurred(image: Image.Image, window: Window) -> Image.Image:
    """The image with the window replaced by its blur, a tenth of the longer side wide."""
    top, left, rows, columns = window
    wide, high = image.width / GRID.columns, image.height / GRID.rows
    box = (left * wide, top * high, (left + columns) * wide, (top + rows) * high)
    west, north, east, south = (round(edge) for edge in box)
    blurred = image.filter(ImageFilter.GaussianBlur(max(image.size) / 10))
    found = image.copy()
    found.paste(blurred.crop((west, north, east, south)), (west, north))
    return found


# Pasted halves


def _pasted(network: _Scored, paths: Sequence[Path], *, count: int) -> dict[str, object]:
    """How much of the heat lies on the right half, by how the halves were made."""
    rng = np.random.default_rng(1)
    drawn = rng.choice(len(paths), 2 * count, replace=False).tolist()
    photos = [load_image(paths[i], fit=256).image.resize((256, 256)) for i in drawn]
    first, second = photos[:count], photos[count:]
    sources = network.describe(first)
    clusters = [str(i) for i in range(count)]
    found: dict[str, object] = {}
    for name, paste in {"cut": _cut, "squeezed": _squeezed}.items():
        queries = network.describe([paste(a, b) for a, b in zip(first, second, strict=True)])
        heats = [
            region_match(q, s, query_grid=GRID, source_grid=GRID).query_heat
            for q, s in zip(queries, sources, strict=True)
        ]
        fields = np.stack(heats).reshape(count, GRID.rows, GRID.columns)
        left = fields[:, :, : GRID.columns // 2].sum(axis=(1, 2)) / fields.sum(axis=(1, 2))
        found[name] = {
            "share of the heat on the right half": _interval(left, clusters),
            "queries with most heat on the right half": _interval((left > 0.5) * 1.0, clusters),
        }
    return found


def _cut(one: Image.Image, two: Image.Image) -> Image.Image:
    """Halves in their own places."""
    found = two.copy()
    found.paste(one.crop((0, 0, one.width // 2, one.height)), (0, 0))
    return found


def _squeezed(one: Image.Image, two: Image.Image) -> Image.Image:
    """Both photos whole, at half their width."""
    half = (one.width // 2, one.height)
    found = two.copy()
    found.paste(one.resize(half), (0, 0))
    found.paste(two.resize(half), (half[0], 0))
    return found


def _interval(values: np.ndarray, clusters: Sequence[str]) -> dict[str, object]:
    interval: Interval = clustered_interval(values, clusters)
    return asdict(interval)


if __name__ == "__main__":
    main()
