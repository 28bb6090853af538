"""The program as it is, and every baseline: head, scoring and re-ranking as they ship."""

from __future__ import annotations

import numpy as np

from benchmarks import sift
from benchmarks.study import HALVES, Study, by_source, by_tag, cells, digest, store
from core.config import ScoreConfig
from core.session import choose_head
from core.values import Encoder


def measure(study: Study) -> None:
    """Rank every pair with every encoder; store means and the networks' differences from all."""
    results = {f"{e.name}/default": column(study, e, rerank=True) for e in study.encoders}
    results |= {f"{e.name}/global": column(study, e, rerank=False) for e in study.networks}
    if sift.available():
        results["sift/default"] = sift.column(study)
    trained = [e.name for e in study.networks if e.name != "random"]
    gaps = {
        f"{name}/{way} - {other}/{kind}": results[f"{name}/{way}"] - values
        for name in trained
        for way in ("default", "global")
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


def column(study: Study, encoder: Encoder, *, rerank: bool) -> np.ndarray:
    """Measures of every pair with an encoder's default head."""
    bench, score = study.bench, ScoreConfig(rerank=rerank)
    head = choose_head(bench.gallery, encoder, "default")
    patches = bench.gallery.patch_head(encoder)
    heads = (head.identity, patches.identity if patches else "")
    return study.kept(
        encoder,
        f"defaults-{digest(*heads, *study.images, repr(score))}",
        lambda: bench.run(encoder, head, pairs=study.pairs, score=score, progress=study.progress),
    )
