"""Levels: each stage alone, all whitened together or apart, their weights and their dimensions.

The embedding alone with local scaling, on the pairs and, role by role, on those that have roles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.quality import roles, tables
from benchmarks.quality.study import Study, by_source, by_tag, cells, store
from core.config import HeadConfig
from core.encoders.network import levels_of
from core.heads.fit import fit_head
from core.heads.head import Head
from core.values import Encoder

WEIGHTS = {"equal": (1, 1, 1, 1), "late": (0.25, 0.5, 1, 1), "early": (1, 1, 0.5, 0.5)}
"""Weights of the levels, early to late, beside those that ship."""
DIMENSIONS = (64, 128, 256)
"""Dimensions of a level at most, beside those that a gallery's own head gets."""

_SOURCES = ("consingan_lsun", "nano_banana", "nano_banana: layout", "nano_banana: restaged")


def measure(study: Study) -> None:
    """Rank every pair under every choice; store means, of both sets where both were measured."""
    by_role = any(pair.others for pair in study.pairs)
    part = "levels_roles" if by_role else "levels"
    groups = roles.groups(study.pairs) if by_role else _groups(study)
    found: list[dict[str, Any]] = []
    for encoder in study.networks:
        results = study.under_heads(encoder, "levels", choices(study, encoder))
        found += cells(study.pairs, results, groups=groups, parts=("both",))
    store(part, study, cells=found)


def choices(study: Study, encoder: Encoder) -> Mapping[str, Callable[[], Head]]:
    """How each head is fitted on an encoder's features of the gallery, by what is special."""
    real = study.gallery_features(encoder)[: len(study.bench.others)]
    levels = levels_of(encoder)

    def fitted(weights: Sequence[float] | None = None, k: int = HeadConfig().k) -> Head:
        chosen = levels
        if weights is not None:
            pairs = zip(levels, weights[-len(levels) :], strict=True)
            chosen = tuple(replace(level, weight=weight) for level, weight in pairs)
        return fit_head(real, config=HeadConfig(k=k), levels=chosen)

    def alone(wanted: int) -> Head:
        return fitted([1.0 if place == wanted else 1e-9 for place in range(len(levels))])

    return {
        "as it ships": fitted,
        "whitened together": lambda: fit_head(real, config=HeadConfig()),
        **{f"{level.name} alone": lambda i=i: alone(i) for i, level in enumerate(levels)},
        **{f"weights {name}": lambda w=w: fitted(w) for name, w in WEIGHTS.items()},
        **{f"k {k}": lambda k=k: fitted(k=k) for k in DIMENSIONS},
    }


def _groups(study: Study) -> dict[str, Any]:
    every = by_source(study.pairs) | by_tag()
    return {name: every[name] for name in _SOURCES}


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of levels."""
    cells = found["cells"]
    kinds = tables.ordered(cell["source"] for cell in cells)
    by_role = any(kind.endswith("style") for kind in kinds)
    return [
        "## Levels, role by role" if by_role else "## Levels",
        "The embedding alone with local scaling: every stage whitened by itself, or all together; "
        "one level by itself; other weights; fewer dimensions a level. All pairs.",
        *tables.recalls(cells, across=kinds),
    ]
