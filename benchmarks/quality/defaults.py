"""The program as it is, and every baseline: head, scoring and re-ranking as they ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.quality import sift, tables
from benchmarks.quality.study import HALVES, Study, by_source, by_tag, cells, digest, store
from core.config import ScoreConfig
from core.service.heads import choose_head
from core.values import Encoder

WAYS = {
    "global": ScoreConfig().without("patches"),
    "no edges": ScoreConfig().without("edges"),
    "no palette": ScoreConfig().without("palette"),
    "embedding": ScoreConfig(views=()),
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


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of what ships, and of every baseline."""
    cells = found["cells"]
    sources = tables.ordered(cell["source"] for cell in cells)
    plain = [source for source in sources if ":" not in source]
    tags = [source for source in sources if ":" in source]
    gaps = ["consingan_lsun", "nano_banana", "nano_banana: layout or restaged", "all"]
    return [
        "## As it ships, and every baseline",
        "`default` is the head, local scaling, edges, palette and re-ranking that ship; `global` "
        "leaves the re-ranking out, `no edges` the edges, `no palette` the palette, `embedding` "
        "all three. `random` are random weights with "
        "the same pooling, head and scoring; `edges` are the edges alone.",
        "### R@1, untouched half",
        tables.grid(cells, across=plain, half="untouched", measure="R@1"),
        "### R@1, tune half",
        tables.grid(cells, across=plain, half="tune", measure="R@1"),
        "### R@10, both halves",
        tables.grid(cells, across=plain, half="both", measure="R@10"),
        "### Image edits by what was kept of the exemplar",
        "Tagged blind to all results (benchmarks/quality/nano_banana_tags.csv): the layout of the "
        "whole picture is kept; the subject is staged anew, in another setting, pose or view; or "
        "only the meaning is shared. Both halves.",
        *tables.recalls(cells, across=tags),
        "### Paired differences of R@1, both halves",
        tables.grid(found["differences"], across=gaps, half="both", measure="R@1", signed=True),
    ]
