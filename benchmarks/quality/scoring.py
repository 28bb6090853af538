"""The weights of edges and of local descriptors in the score, in one grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from benchmarks.quality import tables
from benchmarks.quality.defaults import column
from benchmarks.quality.study import HALVES, Study, by_source, by_tag, compared, store
from core.config import ScoreConfig, ViewConfig

EDGES, PATCHES = (0.0, 0.35, 0.7, 1.4), (0.0, 2.6, 5.3, 10.6)
"""Weights that are compared; 0 leaves a part out."""


def measure(study: Study) -> None:
    """Rank every pair under every two weights; store means and differences from what ships."""
    groups = by_source(study.pairs) | by_tag()
    names = ("consingan_lsun", "nano_banana", "nano_banana: layout", "all")
    wanted = {name: groups[name] for name in names}
    means: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for encoder in study.networks:
        results = {
            f"{encoder.name}/{_label(score)}": column(study, encoder, score) for score in _scores()
        }
        base = f"{encoder.name}/{_label(ScoreConfig())}"
        found = compared(study.pairs, results, base, groups=wanted, measures=("R@1", "R@10"))
        means += found[0]
        gaps += found[1]
        store("scoring", study, base=_label(ScoreConfig()), cells=means, differences=gaps)


def _scores() -> list[ScoreConfig]:
    """What ships, written as its defaults are, among the others."""
    return [
        ScoreConfig(views=tuple(_weighed(edges=edges, patches=patches)))
        for edges, patches in product(EDGES, PATCHES)
    ]


def _weighed(**weights: float) -> Iterator[ViewConfig]:
    """The views that ship, some of them at other weights; none at 0."""
    for view in ScoreConfig().views:
        weight = weights.get(view.name, view.weight)
        if weight:
            yield replace(view, weight=weight)


def _label(score: ScoreConfig) -> str:
    edges, patches = (v.weight if v else 0 for v in map(score.view, ("edges", "patches")))
    return f"edges {edges:g}, patches {patches:g}"


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of the weights of edges and patches."""
    layout = ["nano_banana", "nano_banana: layout"]
    return [
        "## Weights of edges and patches",
        "All else as it ships, or shipped when it was measured; 0 leaves a part out. Differences "
        f"are paired, from the weights that ship or shipped: {found['base']}.",
        *tables.by_encoder(found),
        "### Image edits that keep the layout",
        "R@1, tune half and untouched half.",
        *(tables.grid(found["cells"], across=layout, half=h, measure="R@1") for h in HALVES),
    ]
