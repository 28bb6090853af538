"""Whether MoCo and DINO, trained on from the start, find more than the start as it is.

Both sets of pairs: image edits, every role, and all of these together, which decides what is the
default encoder. Everything is paired by query; brackets draw exemplars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.quality import roles, tables
from benchmarks.quality.defaults import WAYS, column
from benchmarks.quality.known_pairs import beside
from benchmarks.quality.study import HALVES, Group, Study, cells, store
from core.config import ScoreConfig
from core.measures.retrieval import Pair

NAMES = ("lite0", "moco", "dino")
"""The start, and what was trained on from it."""
EVERY = "all edits of both sets"

_EDITS = "nano_banana"
_SCORES = {"default": ScoreConfig(), "embedding": WAYS["embedding"]}


def measure(study: Study) -> None:
    """Rank every pair of both sets; store means, and differences from the start."""
    studies = (study, beside(study))
    pairs = [pair for each in studies for pair in each.pairs]
    start, *trained = study.encoders
    means, gaps = dict[str, Float[np.ndarray, "q 4"]](), dict[str, Float[np.ndarray, "q 4"]]()
    for way, score in _SCORES.items():
        for encoder in study.encoders:
            found = [column(each, encoder, score) for each in studies]
            means[f"{encoder.name}/{way}"] = np.concatenate(found)
        for name in (encoder.name for encoder in trained):
            gap = means[f"{name}/{way}"] - means[f"{start.name}/{way}"]
            gaps[f"{name} - {start.name}/{way}"] = gap
    how = {"groups": groups(pairs), "measures": ("R@1", "R@10"), "parts": (*HALVES, "both")}
    found = {"cells": cells(pairs, means, **how), "differences": cells(pairs, gaps, **how)}
    store("trained", study, images_of_roles=studies[1].bench.size, **found)


def groups(pairs: Sequence[Pair]) -> dict[str, Group]:
    """Image edits, every role of every set with roles, and all of these together."""
    with_roles = roles.groups([pair for pair in pairs if ": " in pair.source])

    def edited(pair: Pair) -> bool:
        return pair.source == _EDITS or any(member(pair) for member in with_roles.values())

    return {_EDITS: lambda pair: pair.source == _EDITS, **with_roles, EVERY: edited}


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of training against its start."""
    across = tables.ordered(cell["source"] for cell in found["cells"])
    parts = [
        "## Trained networks against their start",
        "MoCo and DINO, trained on from `lite0`, less `lite0`: paired differences over queries, "
        f"brackets draw exemplars. `{_EDITS}` are the image edits of the first set of pairs "
        f"(among {found['gallery_images']:,} images), the other columns the second set by role "
        f"(among {found['images_of_roles']:,}), and `{EVERY}` all of them together: a trained "
        "network would be the default if its interval there were above 0. `default` is what "
        "ships, `embedding` the embedding alone.",
    ]
    for measure in ("R@1", "R@10"):
        for half in ("both", "untouched"):
            how = {"across": across, "half": half, "measure": measure, "signed": True}
            name = "both halves" if half == "both" else f"{half} half"
            parts += [f"{measure}, {name}:", tables.grid(found["differences"], **how)]
    return parts
