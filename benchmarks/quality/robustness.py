"""Recall when the generated images are degraded: compressed, shrunk, cropped, mirrored, framed."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from benchmarks.quality import plots, tables
from benchmarks.quality.study import HALVES, Group, Study, by_source, cells, digest, store
from benchmarks.quality.tables import Cell, Key
from core.config import BuildConfig, ScoreConfig
from core.encoders.descriptors import describe_patches
from core.images.decode import load_image
from core.measures.retrieval import Pair
from core.search.query import Query
from core.service.heads import choose_head
from core.values import Encoder

Degradation = Callable[[Image.Image], Image.Image]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Compressed and decompressed."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def shrink(image: Image.Image, share: float) -> Image.Image:
    """Both sides at a share of their length."""
    width, height = (max(round(side * share), 8) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def crop(image: Image.Image, share: float) -> Image.Image:
    """The middle at a share of both sides."""
    width, height = (round(side * share) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def noise(image: Image.Image, deviation: float) -> Image.Image:
    """Gaussian noise of a standard deviation in grey levels; the same for the same size."""
    values = np.asarray(image, np.float32)
    drawn = np.random.default_rng(0).normal(0, deviation, values.shape)
    return Image.fromarray((values + drawn).clip(0, 255).round().astype(np.uint8))


def frame(image: Image.Image, share: float) -> Image.Image:
    """A white frame as wide as a share of the shorter side."""
    return ImageOps.expand(image, round(min(image.size) * share), "white")


CURVES: Mapping[str, Mapping[float, Degradation]] = {
    "JPEG quality": {q: lambda im, q=q: jpeg(im, q) for q in (50, 30, 10)},
    "size": {s: lambda im, s=s: shrink(im, s) for s in (0.5, 0.25)},
    "crop": {s: lambda im, s=s: crop(im, s) for s in (0.85, 0.7, 0.5)},
    "mirror": {1: ImageOps.mirror},
    "blur (pixels)": {r: lambda im, r=r: im.filter(ImageFilter.GaussianBlur(r)) for r in (1, 2)},
    "noise (grey levels)": {d: lambda im, d=d: noise(im, d) for d in (10, 25)},
    "frame": {s: lambda im, s=s: frame(im, s) for s in (0.05, 0.1)},
}
"""Degradations by kind and strength, in the order from weak to strong."""

BARS: Mapping[str, float] = {
    "none": 0, "JPEG quality": 30, "size": 0.5, "crop": 0.7, "mirror": 1, "blur (pixels)": 1,
    "noise (grey levels)": 10, "frame": 0.05,
}  # fmt: skip
"""The strengths that are held to a bar."""

GENERATORS, EDITS = "single-image generators", "nano_banana"
LEAST = 0.97
"""What R@1 is wanted at least, of single-image generators, at these strengths."""

_PARTS = (*HALVES, "both")


def measure(study: Study, *, per_exemplar: int) -> None:
    """Rank some degraded images of every exemplar with the default head and scoring."""
    chosen = sample(study.pairs, per_exemplar)
    pairs = [study.pairs[i] for i in chosen]
    wanted = groups(study.pairs)
    found: list[dict[str, Any]] = []
    for encoder in study.encoders:
        everything = {("none", 0.0): lambda image: image} | {
            (kind, strength): way for kind, ways in CURVES.items() for strength, way in ways.items()
        }
        results = {
            f"{encoder.name}/{kind}/{strength:g}": _ranked(
                study, encoder, pairs, way=way, name=f"{kind}-{strength:g}"
            )
            for (kind, strength), way in everything.items()
        }
        found += cells(pairs, results, groups=wanted, measures=("R@1", "R@10"), parts=_PARTS)
        store("robustness", study, per_exemplar=per_exemplar, cells=found)


def groups(pairs: Sequence[Pair]) -> dict[str, Group]:
    """The sets that are told apart; image edits are held to no bar, since few are found at all."""
    named = by_source(pairs)
    return {
        "consingan_lsun": named["consingan_lsun"],
        GENERATORS: lambda pair: pair.source != EDITS,
        EDITS: named[EDITS],
        "all": named["all"],
    }


def sample(pairs: Sequence[Pair], per_exemplar: int) -> list[int]:
    """Rows of the first pairs of every set of exemplars, in their order."""
    seen: dict[str, int] = {}
    chosen: list[int] = []
    for row, pair in enumerate(pairs):
        seen[pair.cluster] = seen.get(pair.cluster, 0) + 1
        if seen[pair.cluster] <= per_exemplar:
            chosen.append(row)
    return chosen


def _ranked(
    study: Study, encoder: Encoder, pairs: Sequence[Pair], *, way: Degradation, name: str
) -> np.ndarray:
    bench = study.bench
    head = choose_head(bench.gallery, encoder, "default")
    patch_head = bench.gallery.patch_head(encoder)

    def compute() -> np.ndarray:
        collection = bench.collection(encoder, head, score=ScoreConfig())
        values = np.empty((len(pairs), 4))
        for i, pair in enumerate(pairs):
            image = load_image(study.data / pair.generated, fit=BuildConfig().thumbnail).image
            encoded = [view.encoder.encode([way(image)]) for view in collection.views]
            vectors = [
                view.head(own.features, role="query")[0]
                for view, own in zip(collection.views, encoded, strict=True)
            ]
            seen, patches = encoded[0].patches, None
            if patch_head is not None and seen is not None:
                patches = describe_patches(seen, patch_head)[0]
            values[i] = bench.measured(collection, pair, Query(tuple(vectors), patches))
            study.progress(i + 1, len(pairs), f"{encoder.name}: {name}")
        return values

    what = (name, head.identity, *study.images, str(len(pairs)), repr(ScoreConfig()))
    return study.kept(encoder, f"robust-{digest(*what)}", compute)


def section(found: Mapping[str, Any], folder: Path) -> list[str]:
    """What the page of results says of degraded images, with its plots in the folder."""
    cells = tables.by_key(found["cells"])
    names = tables.ordered(key[2].partition("/")[0] for key in cells)
    parts = [
        "## Robustness",
        "The generated images are degraded, the gallery is not; everything as it ships. "
        f"{found['per_exemplar']} image(s) of every set of exemplars. R@1; at the strengths in "
        f"bold at least {LEAST:.2f} of single-image generators is wanted.",
    ]
    for source in (GENERATORS, EDITS):
        parts += [f"{source}:", _table(cells, names, source)]
    for kind, ways in CURVES.items():
        columns = ["none/0", *(f"{kind}/{strength:g}" for strength in ways)]
        wanted = [("both", "consingan_lsun", f"{n}/{c}", "R@1") for n in names for c in columns]
        if len(ways) > 1 and all(key in cells for key in wanted):
            parts.append(_curve(cells, names, kind, folder))
    return parts


def _table(cells: Mapping[Key, Cell], names: Sequence[str], source: str) -> str:
    """A row for every degradation and strength, the encoders across, by half."""
    columns = [(name, half) for name in names for half in ("both", "untouched")]
    rows = [["", *(f"{name}, {half}" for name, half in columns)]]
    every = {("none", 0.0): None, **{(k, s): None for k, ways in CURVES.items() for s in ways}}
    for kind, strength in every:
        text = "none" if kind == "none" else f"{kind} {strength:g}"
        keys = [(half, source, f"{name}/{kind}/{strength:g}", "R@1") for name, half in columns]
        label = f"**{text}**" if BARS[kind] == strength else text
        rows.append([label, *(tables.interval(cells.get(key)) for key in keys)])
    return tables.markdown(rows)


def _curve(cells: Mapping[Key, Cell], names: Sequence[str], kind: str, folder: Path) -> str:
    columns = ["none/0", *(f"{kind}/{strength:g}" for strength in CURVES[kind])]
    series = {
        name: [
            plots.point(cells["both", "consingan_lsun", f"{name}/{column}", "R@1"])
            for column in columns
        ]
        for name in names
    }
    title = f"R@1 on consingan_lsun: {kind}"
    file = folder / f"robustness-{kind.partition(' ')[0].lower()}.svg"
    places = [column.partition("/")[2] if column != "none/0" else "none" for column in columns]
    return plots.lines(file, title, series, places=places, unit=kind)
