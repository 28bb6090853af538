"""Every head of the program on the same features: which finds the source by the embedding alone.

Without re-ranking, so that heads are compared; with local scaling, as the program ranks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.quality import tables
from benchmarks.quality.study import Study, by_source, compared, store
from core.config import HeadConfig, HeadKind
from core.encoders.network import levels_of
from core.heads.fit import fit_head
from core.heads.head import Head, random_rotation
from core.images.listing import list_images
from core.values import Encoder

ALPHAS = (None, 0.0, 0.01, 0.03, 0.1, 0.3)
"""Weights of shrinkage; ``None`` follows from the number of images and features, as it ships."""
DIMENSIONS = (64, 128, 256, 512)


def _label(k: int, alpha: float | None) -> str:
    return f"whiten {k}, " + ("alpha as fitted" if alpha is None else f"alpha {alpha:g}")


BASE = _label(HeadConfig().k, HeadConfig().shrinkage)
"""The head that the others are compared with."""

_SYNTHETIC = 1_000  # unpaired synthetic images
_SMALL = 128  # dimensions of Infomax and of the whitening beside it; rotations change no cosine
_MEASURES = ("R@1", "R@10")


def measure(study: Study) -> None:
    """Rank every pair under every head, and store means and differences from whitening."""
    means: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    wanted = ("consingan_lsun", "nano_banana", "all")
    groups = {name: group for name, group in by_source(study.pairs).items() if name in wanted}
    for encoder in study.networks:
        results = study.under_heads(encoder, "heads", heads(study, encoder))
        base = f"{encoder.name}/{BASE}"
        found = compared(study.pairs, results, base, groups=groups, measures=_MEASURES)
        means += found[0]
        gaps += found[1]
        store("heads", study, base=BASE, cells=means, differences=gaps)


def heads(study: Study, encoder: Encoder) -> Mapping[str, Callable[[], Head]]:
    """How each head is fitted on an encoder's features of the gallery."""
    real = study.gallery_features(encoder)[: len(study.bench.others)]
    synthetic = unpaired(study, encoder)

    def fitted(kind: HeadKind, k: int = HeadConfig().k, **more: Any) -> Head:
        config = HeadConfig(kind=kind, k=k, **more)
        return fit_head(real, config=config, levels=levels_of(encoder), synthetic=synthetic)

    @functools.cache
    def widest(alpha: float | None) -> Head:
        return fitted("whiten", max(DIMENSIONS), shrinkage=alpha)

    return {
        "identity": lambda: fitted("identity"),
        "centre": lambda: fitted("center"),
        "centre per domain": lambda: fitted("center", per_domain=True),
        **{
            _label(k, alpha): lambda k=k, alpha=alpha: narrowed(widest(alpha), k)
            for k in DIMENSIONS
            for alpha in ALPHAS
        },
        "random rotation of whiten 512": lambda: random_rotation(
            widest(HeadConfig().shrinkage), seed=0
        ),
        "log-det 512": lambda: fitted("logdet"),
        f"infomax {_SMALL}": lambda: fitted("infomax", _SMALL),
        "whiten 512, centred per domain": lambda: fitted("whiten", per_domain=True),
    }


def narrowed(head: Head, k: int) -> Head:
    """Whitening to the first k dimensions of every level, which are those of a smaller fit."""
    matrices = [part.matrix for part in head.parts if part.matrix is not None]
    pairs = zip(head.parts, matrices, strict=True)
    shorter = [replace(p, matrix=np.ascontiguousarray(matrix[:, :k])) for p, matrix in pairs]
    return replace(head, parts=tuple(shorter))


def unpaired(study: Study, encoder: Encoder) -> np.ndarray:
    """Features of synthetic images without known sources."""
    paths = list_images(study.data / "synthetic")
    chosen = np.sort(np.random.default_rng(0).permutation(len(paths))[:_SYNTHETIC])
    return study.encoded(encoder, f"synthetic-{len(chosen)}", [paths[i] for i in chosen])


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of heads."""
    return [
        "## Heads",
        "Embedding alone, with local scaling. Differences are paired, from "
        f"`{found['base']}`. The random rotation must tie. "
        "Infomax is fitted in 128 dimensions: compare it with whitening in as many.",
        *tables.by_encoder(found),
    ]
