"""Galleries of any size, made by resampling the stored features of a real one.

A made image stands near a real one, drawn at random: every level of its features, its edges, its
palette, its hash, its local descriptors and its thumbnail are each taken from another one of that
image's nearest real neighbours, with a little of any other image mixed into the features. So
values, levels and neighbourhoods are like those of real images, and the larger the gallery, the
denser it is. A few are near copies of others. Descriptors propose crops and pixels decide at about
the real cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.encoders.load import load_encoder
from core.encoders.network import levels_of
from core.gallery.gallery import Gallery
from core.heads.head import Head
from core.search.extra_views import EXTRA_VIEWS, HEAD
from core.search.index import neighbours
from core.search.prepare import fitted_head
from core.service.heads import choose_head
from core.values import Descriptors, Encoder

COPIES = 0.02
"""Share of the images that are near copies of another one."""
_MIXED = 0.3  # of any other image in every level
_NOISE = 0.02  # of a copy
_NEAR = 20  # real images that a made one is made of
_FLIPPED = 0.25  # of the bits of a hash, those of another image
_CHUNK = 8_192


@dataclass(frozen=True)
class World:
    """What is stored of the images of a gallery, memory-mapped, and how it is read."""

    encoder: Encoder
    head: Head
    features: np.ndarray
    """(n, f), float16."""
    extra_views: Mapping[str, tuple[Head, np.ndarray]]
    """Head and features (n, _f), float16, of the views beside the encoder's, by their names."""
    patches: Descriptors
    hashes: list[str]
    load: Callable[[int], Image.Image]
    """Thumbnail of an image."""

    def __len__(self) -> int:
        return len(self.features)


def real(folder: Path, name: str) -> World:
    """The images of a gallery as they are.

    Args:
        folder: a gallery with edges, palettes and local descriptors.
        name: the encoder.
    """
    gallery, encoder = Gallery.open(folder, read_only=True), load_encoder(name)
    patches = gallery.patches(encoder)
    assert patches is not None, "local descriptors are needed"
    return World(
        encoder,
        choose_head(gallery, encoder, "default"),
        np.asarray(gallery.features(encoder)),
        {
            name: (fitted_head(gallery, view, config=HEAD), np.asarray(gallery.features(view)))
            for name, view in EXTRA_VIEWS.items()
        },
        np.asarray(patches),
        [record.phash for record in gallery.records],
        gallery.thumbnail,
    )


def resampled(source: World, n: int, *, folder: Path, seed: int) -> World:
    """A gallery of n images made of those of a real one; its arrays are written to a folder."""
    rng = np.random.default_rng(seed)
    near = neighbours(source.head(source.features, role="gallery"), k=_NEAR).rows
    base = rng.integers(len(source), size=n)

    def drawn() -> np.ndarray:
        return near[base, rng.integers(near.shape[1], size=n)]

    widths = [level.width for level in levels_of(source.encoder)]
    copies = np.sort(rng.choice(n, round(COPIES * n), replace=False))
    originals = (copies - rng.integers(1, 50, len(copies))) % n
    views = [(name, features, []) for name, (_, features) in source.extra_views.items()]
    for name, array, parts in (("features", source.features, widths), *views):
        ends = np.cumsum(parts)[:-1]
        made = np.empty((n, array.shape[1]), np.float16)
        for level in np.split(np.arange(array.shape[1]), ends):
            _fill(made, array, level, (drawn(), rng.integers(len(source), size=n)))
        noise = rng.normal(0, _NOISE, (len(copies), array.shape[1])) * made[:1_000].std(axis=0)
        made[copies] = made[originals] + noise.astype(np.float16)
        np.save(folder / f"{name}.npy", made)
    hashes = _hashes(source.hashes, drawn(), drawn(), rng=rng)
    hashes[copies] = hashes[originals]
    described, shown = drawn(), drawn()
    shape = (n, *source.patches.shape[1:])
    patches = np.lib.format.open_memmap(folder / "patches.npy", "w+", np.int8, shape)
    for start in range(0, n, _CHUNK):
        patches[start : start + _CHUNK] = source.patches[described[start : start + _CHUNK]]
    patches.flush()
    del patches

    def stored(name: str) -> np.ndarray:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    return replace(
        source,
        features=stored("features"),
        extra_views={name: (head, stored(name)) for name, (head, _) in source.extra_views.items()},
        patches=stored("patches"),
        hashes=[f"{int(value):016x}" for value in hashes],
        load=lambda row: source.load(int(shown[row])),
    )


def between(vectors: np.ndarray, n: int, *, seed: int = 0) -> np.ndarray:
    """As many unit rows between near ones, with a little of any other: as a larger gallery has."""
    rng, near = np.random.default_rng(seed), neighbours(vectors, k=_NEAR).rows
    base = rng.integers(len(vectors), size=n)
    mixed = vectors[base] + vectors[near[base, rng.integers(near.shape[1], size=n)]]
    mixed += _MIXED * vectors[rng.integers(len(vectors), size=n)]
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def _fill(made: np.ndarray, real_rows: np.ndarray, level: np.ndarray, rows: tuple) -> None:
    """Write a level of drawn rows, a little of others mixed in; variances stay."""
    values = np.asarray(real_rows[:, level], np.float32)
    mean = values.mean(axis=0)
    values -= mean
    for start in range(0, len(made), _CHUNK):
        one, other = (values[drawn[start : start + _CHUNK]] for drawn in rows)
        made[start : start + _CHUNK, level] = (one + _MIXED * other) / np.hypot(1, _MIXED) + mean


def _hashes(
    real_hashes: list[str], one: np.ndarray, other: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Hashes of drawn rows with a share of the bits of others."""
    bits = np.array([int(value, 16) for value in real_hashes], np.uint64)
    taken = rng.random((len(one), 64)) < _FLIPPED
    mask = np.packbits(taken, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return (bits[one] & ~mask) | (bits[other] & mask)


def alone(module: str, size: int, *options: object) -> Any:
    """What a module prints as JSON of one size, measured in a process of its own.

    Libraries use one thread there, so that seconds are those of one core.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, "-m", module, "--one", str(size), *map(str, options)]
    environment = {**os.environ, **dict.fromkeys(names, "1")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)
