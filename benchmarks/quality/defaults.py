"""The program as it is, and every baseline: head, scoring and re-ranking as they ship."""

from __future__ import annotations

import numpy as np

from benchmarks.quality import sift
from benchmarks.quality.study import HALVES, Study, by_source, by_tag, cells, digest, store
from core.config import ScoreConfig
from core.service.heads import choose_head
from core.values import Encoder

WAYS = {
    "global": ScoreConfig(rerank=False),
    "no edges": ScoreConfig(edges=False),
    "embedding": ScoreConfig(edges=False, rerank=False),
}
"""What a network's score is without some of its parts."""


def measure(study: Study) -> None:
    """Rank every pair with every encoder; store means and the networks' differences from all."""
    results = {f"{e.name}/default": column(study, e, ScoreConfig()) for e in study.encoders}
    for way, score in WAYS.items():
        results |= {f"{e.name}/{way}": column(study, e, score) for e in study.networks}
    if sift.available():
        results["sift/default"] = sift.column(study)
    trained = [e.name for e in study.networks if e.name != "random"]
    gaps = {
        f"{name}/{way} - {other}/{kind}": results[f"{name}/{way}"] - values
        for name in trained
        for way in ("default", *WAYS)
        for other, kind, values in ((*key.split("/"), found) for key, found in results.items())
        if other not in trained and (kind == way or f"{other}/{way}" not in results)
    }
    groups = by_source(study.pairs) | by_tag()
    parts = (*HALVES, "both")
    store(
        "defaults",
        study,
        cells=cells(study.pairs, results, groups=groups, parts=parts),
        differences=cells(study.pairs, gaps, groups=groups, parts=parts, measures=("R@1", "R@10")),
    )


def column(study: Study, encoder: Encoder, score: ScoreConfig) -> np.ndarray:
    """Measures of every pair with an encoder's default head."""
    bench = study.bench
    head = choose_head(bench.gallery, encoder, "default")
    patches = bench.gallery.patch_head(encoder)
    heads = (head.identity, patches.identity if patches else "")
    return study.kept(
        encoder,
        f"defaults-{digest(*heads, *study.images, repr(score))}",
        lambda: bench.run(encoder, head, pairs=study.pairs, score=score, progress=study.progress)[
            0
        ],
    )
