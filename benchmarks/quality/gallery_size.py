"""Recall against the size of the gallery, everything at 64 pixels: 1,000 to 55,000 images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from benchmarks.quality import plots, tables
from benchmarks.quality.study import Study, by_source, cells, from_ranks, store
from core.config import HeadConfig
from core.encoders.network import NetworkEncoder
from core.encoders.pooling import pool
from core.heads.fit import fit_head
from core.heads.head import Head
from core.images.decode import load_image
from core.training.data import pack
from core.values import Encoder

SIDE = 64
SIZES = (1_000, 2_000, 5_000, 10_000, 20_000, 40_000, 55_000)
_BATCH = 128
_SHARD = 8_192


def measure(study: Study) -> None:
    """Rank every pair by the cosine of the default head among more and more photographs."""
    cache = study.cache / "packed"
    distractors = pack(
        [study.data / "real", study.data / "real64"], size=SIDE, cache=cache,
        progress=study.progress,
    )  # fmt: skip
    order = np.random.default_rng(0).permutation(len(distractors))
    sizes = [size for size in SIZES if size < len(distractors)] + [len(distractors)]
    means: list[dict[str, Any]] = []
    for encoder in study.encoders:
        gallery = _features(study, encoder, distractors, "distractors")
        exemplars = _features(study, encoder, _squares(study, study.bench.exemplars), "exemplars")
        generated = [pair.generated for pair in study.pairs]
        queries = _features(study, encoder, _squares(study, generated), "generated")
        head = _head(encoder, gallery)
        found = counted(
            head(gallery[order], role="gallery"),
            head(exemplars, role="gallery"),
            head(queries, role="query"),
            right=[
                [study.bench.exemplars.index(name) for name in pair.exemplars]
                for pair in study.pairs
            ],
            sizes=sizes,
        )
        named = {f"{encoder.name}/{size}": v for size, v in zip(sizes, found, strict=True)}
        means += cells(
            study.pairs, named, groups=by_source(study.pairs), measures=("R@1",), parts=("both",)
        )
        store("gallery_size", study, images=len(distractors) + len(exemplars), cells=means)


def counted(
    distractors: Float[np.ndarray, "n d"],
    exemplars: Float[np.ndarray, "m d"],
    queries: Float[np.ndarray, "q d"],
    *,
    right: Sequence[Sequence[int]],
    sizes: Sequence[int],
) -> Float[np.ndarray, "s q 4"]:
    """R@1, R@5, R@10 and average precision with the first distractors, as many as each size.

    Galleries are nested, so one pass counts for all sizes how many distractors stand before each
    right answer; all exemplars are in every gallery.
    """
    values = np.empty((len(sizes), len(queries), 4))
    for i, query in enumerate(queries):
        among, beside = exemplars @ query, distractors @ query
        first = {answer: int((among >= among[answer]).sum()) for answer in right[i]}
        before = {answer: np.flatnonzero(beside >= among[answer]) for answer in right[i]}
        for s, size in enumerate(sizes):
            ranks = [first[a] + int(np.searchsorted(before[a], size)) for a in right[i]]
            values[s, i] = from_ranks(np.sort(ranks))
    return values


def _head(encoder: Encoder, features: np.ndarray) -> Head:
    kind = HeadConfig() if isinstance(encoder, NetworkEncoder) else HeadConfig(kind="identity")
    return fit_head(features, config=kind)


def _squares(study: Study, names: Sequence[str]) -> UInt8[np.ndarray, "n 3 s s"]:
    images = (load_image(study.data / name, fit=SIDE).image for name in names)
    resized = [image.resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in resized])


def _features(study: Study, encoder: Encoder, images: np.ndarray, name: str) -> np.ndarray:
    """Features of packed images, by shards, so that a stopped run goes on."""
    starts = range(0, len(images), _SHARD)
    shards = [
        study.kept(
            encoder,
            f"at{SIDE}-{name}-{len(images)}-{start}",
            lambda start=start: _encoded(study, encoder, images[start : start + _SHARD], start),
        )
        for start in starts
    ]
    return np.concatenate(shards).astype(np.float32)


@torch.inference_mode()
def _encoded(study: Study, encoder: Encoder, images: np.ndarray, first: int) -> np.ndarray:
    """Networks read the 64 pixels as they are; every other encoder gets an image of that size."""
    parts: list[np.ndarray] = []
    for start in range(0, len(images), _BATCH):
        batch = np.asarray(images[start : start + _BATCH])
        if isinstance(encoder, NetworkEncoder):
            stages = encoder.folded(torch.from_numpy(batch).float() / 255)
            features = pool(stages.maps, stages.token).numpy()
        else:
            features = encoder.encode(
                [Image.fromarray(image.transpose(1, 2, 0)) for image in batch]
            ).features
        parts.append(features.astype(np.float16))
        study.progress(first + start, first + len(images), f"{encoder.name} at {SIDE} pixels")
    return np.concatenate(parts)


def section(found: Mapping[str, Any], folder: Path) -> list[str]:
    """What the page of results says of the size of the gallery, with its plots in the folder."""
    cells = tables.by_key(found["cells"])
    names = tables.ordered(key[2].partition("/")[0] for key in cells)
    sizes = tables.ordered(key[2].partition("/")[2] for key in cells)
    parts = [
        "## Recall against the size of the gallery",
        "All images at 64 pixels, read by the networks at that size; cosine of the default head "
        "alone, without local scaling or re-ranking; both halves.",
    ]
    for source in ("consingan_lsun", "nano_banana", "all"):
        series = {
            name: [plots.point(cells["both", source, f"{name}/{size}", "R@1"]) for size in sizes]
            for name in names
        }
        places = [f"{int(size) / 1000:g}k" for size in sizes]
        title, file = f"R@1, {source}", folder / f"gallery-size-{source}.svg"
        drawn = plots.lines(file, title, series, places=places, unit="images in the gallery")
        rows = [["", *places]]
        rows += [
            [name, *(tables.short(p.value) for p in points)] for name, points in series.items()
        ]
        parts += [drawn, tables.markdown(rows)]
    return parts
