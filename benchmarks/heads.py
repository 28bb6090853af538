"""Every head on the same features: which of them finds the source, by the global score alone.

Without re-ranking, so that heads are compared; with local scaling, as the program ranks. Maps that
use known pairs are cross-fitted: a query is ranked by maps that saw no pair of its exemplars.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import maps
from benchmarks.maps import Maps, shared
from benchmarks.study import Study, by_source, compared, digest, encode, ranked, store, unit
from core.config import (
    HeadConfig,
    HeadKind,
    ScoreConfig,
    ViewConfig,
)
from core.heads.fit import fit_head
from core.heads.head import Head, random_rotation
from core.images.listing import list_images
from core.training.augment import random_views
from core.training.data import pack
from core.values import Encoder

ALPHAS = (0.0, 0.01, 0.03, 0.1, 0.3)
DIMENSIONS = (64, 128, 256, 512)
BASE = f"whiten {HeadConfig().k}, alpha {HeadConfig().shrinkage:g}"
"""The head that the others are compared with."""

_FOLDS = 5
_SYNTHETIC, _VIEWS = 1_000, 2_000  # unpaired synthetic images, and images seen in two views
_SMALL = 128  # dimensions of Infomax and of the whitening beside it; rotations change no cosine
_MEASURES = ("R@1", "R@10")

Column = Callable[[], np.ndarray]


def measure(study: Study) -> None:
    """Rank every pair under every head, and store means and differences from whitening."""
    means: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    wanted = ("consingan_lsun", "nano_banana", "all")
    groups = {name: group for name, group in by_source(study.pairs).items() if name in wanted}
    for encoder in study.networks:
        results = {
            f"{encoder.name}/{name}": study.kept(
                encoder, f"heads-{digest(name, *study.images)}", column
            )
            for name, column in columns(Fits(study, encoder)).items()
        }
        base = f"{encoder.name}/{BASE}"
        found = compared(study.pairs, results, base, groups=groups, measures=_MEASURES)
        means += found[0]
        gaps += found[1]
        store("heads", study, base=BASE, cells=means, differences=gaps)


class Fits:
    """Heads and maps fitted on an encoder's features."""

    def __init__(self, study: Study, encoder: Encoder) -> None:
        self.study, self.encoder = study, encoder
        self.gallery, self.queries = study.gallery_features(encoder), study.query_features(encoder)
        self.real = self.gallery[: len(study.bench.others)]
        self.synthetic = unpaired(study, encoder)

    def head(self, kind: HeadKind, k: int = HeadConfig().k, **more: Any) -> Maps:
        """A head of the program."""
        config = HeadConfig(kind=kind, k=k, **more)
        return shared(fit_head(self.real, config=config, synthetic=self.synthetic))

    @functools.cache  # noqa: B019 - lives as long as the measurement of one encoder
    def whitened(self, alpha: float) -> Head:
        """Whitening to as many dimensions as are asked for at most."""
        return self.head("whiten", max(DIMENSIONS), shrinkage=alpha).gallery

    def whiten(self, alpha: float, k: int) -> Maps:
        """Whitening to its first k dimensions, which are those of a smaller fit."""
        head = self.whitened(alpha)
        assert head.matrix is not None
        return shared(replace(head, matrix=np.ascontiguousarray(head.matrix[:, :k])))

    def joint(self, kind: HeadKind, k: int = HeadConfig().k) -> Maps:
        """Fitted on real and on unpaired synthetic features."""
        return maps.both_domains(self.real, self.synthetic, config=HeadConfig(kind=kind, k=k))

    def cca(self, k: int, *, weighted: bool) -> Maps:
        """CCA on augmentation pairs."""
        two = views(self.study, self.encoder)
        alpha = HeadConfig().shrinkage
        return maps.views_cca(self.real, two, k=k, shrinkage=alpha, weighted=weighted)

    def apart(self, *, symmetric: bool) -> Maps:
        """Each domain whitened by itself."""
        alpha = HeadConfig().shrinkage
        return maps.separate(self.real, self.synthetic, shrinkage=alpha, symmetric=symmetric)

    def ranks(self, found: Maps, *, squashed: bool = False) -> np.ndarray:
        """Measures of every pair under two maps."""
        gallery = found.gallery(self.gallery, role="gallery")
        queries = found.query(self.queries, role="query")
        if squashed:
            gallery, queries = squash(gallery), squash(queries)
        return ranked(gallery, queries, self.study.right, scaling=ScoreConfig().neighbours)

    def crossed(self, start: Maps, *, cca: bool = False) -> np.ndarray:
        """Measures by maps fitted on known pairs, each query's on other folds' exemplars."""
        gallery = start.gallery(self.gallery, role="gallery")
        queries, right = start.query(self.queries, role="query"), self.study.right
        real = gallery[[answers[0] for answers in right]]
        clusters = [pair.cluster for pair in self.study.pairs]
        fold = np.array([hashlib.sha256(name.encode()).digest()[1] % _FOLDS for name in clusters])
        values = np.empty((len(right), 4))
        for held in range(_FOLDS):
            seen, asked = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
            if cca:
                one, two = maps.paired_cca(real[seen], queries[seen], k=64, ridge=0.1)
            else:
                names = [clusters[i] for i in seen]
                one, two = maps.paired_infonce(real[seen], queries[seen], names, seed=held)
            values[asked] = ranked(
                unit(gallery @ one.astype(np.float32)),
                unit(queries[asked] @ two.astype(np.float32)),
                [right[i] for i in asked],
                scaling=ScoreConfig().neighbours,
            )
        return values


def columns(fits: Fits) -> Mapping[str, Column]:
    """How each column is computed."""
    single: dict[str, Callable[[], Maps]] = {
        "identity": lambda: fits.head("identity"),
        "centre": lambda: fits.head("center"),
        "centre per domain": lambda: fits.head("center", per_domain=True),
        **{
            f"whiten {k}, alpha {alpha:g}": lambda k=k, alpha=alpha: fits.whiten(alpha, k)
            for k in DIMENSIONS
            for alpha in ALPHAS
        },
        "random rotation of whiten 512": lambda: shared(
            random_rotation(fits.whitened(HeadConfig().shrinkage), seed=0)
        ),
        "log-det 512": lambda: fits.head("logdet"),
        f"infomax {_SMALL}": lambda: fits.head("infomax", _SMALL),
        "whiten 512, centred per domain": lambda: fits.head("whiten", per_domain=True),
        "whiten 512, real + synthetic": lambda: fits.joint("whiten"),
        "log-det 512, real + synthetic": lambda: fits.joint("logdet"),
        f"infomax {_SMALL}, real + synthetic": lambda: fits.joint("infomax", _SMALL),
        "separate ZCA": lambda: fits.apart(symmetric=True),
        "separate PCA 512": lambda: fits.apart(symmetric=False),
        "CCA on views 128": lambda: fits.cca(128, weighted=False),
        "CCA on views 512": lambda: fits.cca(512, weighted=False),
        "CCA on views 512, weighted": lambda: fits.cca(512, weighted=True),
    }
    return {
        **{name: lambda make=make: fits.ranks(make()) for name, make in single.items()},
        f"infomax {_SMALL}, tanh": lambda: fits.ranks(fits.head("infomax", _SMALL), squashed=True),
        "paired: InfoNCE from centring": lambda: fits.crossed(fits.head("center")),
        "paired: InfoNCE from whiten 256": lambda: fits.crossed(fits.head("whiten", 256)),
        "paired: CCA on whiten 256": lambda: fits.crossed(fits.head("whiten", 256), cca=True),
    }


def squash(embedding: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent of every dimension at unit variance, then unit length again."""
    return unit(np.tanh(embedding * np.sqrt(embedding.shape[1]))).astype(np.float32)


def unpaired(study: Study, encoder: Encoder) -> np.ndarray:
    """Features of synthetic images without known sources."""
    paths = list_images(study.data / "synthetic")
    chosen = np.sort(np.random.default_rng(0).permutation(len(paths))[:_SYNTHETIC])
    return study.encoded(encoder, f"synthetic-{len(chosen)}", [paths[i] for i in chosen])


def views(study: Study, encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
    """Features of two random views of the same photographs."""
    packed = pack(
        [study.data / "real"], size=96, cache=study.cache / "packed", progress=study.progress
    )
    chosen = np.sort(np.random.default_rng(0).permutation(len(packed))[:_VIEWS])

    def one(seed: int) -> np.ndarray:
        def compute() -> np.ndarray:
            generator = torch.Generator().manual_seed(seed)
            pixels = torch.from_numpy(np.asarray(packed[chosen]))
            made = random_views(pixels, ViewConfig(size=96), generator=generator)
            arrays = (made * 255).round().byte().permute(0, 2, 3, 1).numpy()
            images = (Image.fromarray(array) for array in arrays)
            return encode(encoder, images, progress=study.progress, total=len(chosen), what="views")

        return study.kept(encoder, f"views-{len(chosen)}-{seed}", compute).astype(np.float32)

    return one(1), one(2)
