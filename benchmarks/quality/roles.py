"""Pairs with roles: what is found of the source of the structure and of the appearance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.quality import tables
from benchmarks.quality.defaults import WAYS, column
from benchmarks.quality.study import HALVES, Group, Study, cells, store
from core.config import ScoreConfig
from core.measures.retrieval import Pair

PAIRS = "pairs2/pairs.json"

EDITS = {"edits by inversion": ("ddpm_inversion", "diffusionhandles"), "pix2pix-zero": ("pix2pix",)}
"""Sets of images that were made from one source, by the beginnings of their names."""


_HALVES = [(half, m) for m in ("R@1", "R@10") for half in ("both", "untouched", "tune")]


def measure(study: Study) -> None:
    """Rank every pair with every encoder, each role by itself; store means by kind and role."""
    results = {f"{e.name}/default": column(study, e, ScoreConfig()) for e in study.encoders}
    for way, score in WAYS.items():
        results |= {f"{e.name}/{way}": column(study, e, score) for e in study.networks}
    found = cells(study.pairs, results, groups=groups(study.pairs), parts=(*HALVES, "both"))
    store("roles", study, cells=found)


def groups(pairs: Sequence[Pair]) -> dict[str, Group]:
    """A group for every role of a kind of set, and for the sets without roles."""
    roles = sorted({kind_of(pair) for pair in pairs if ": " in pair.source})
    found: dict[str, Group] = {role: _is(role) for role in roles}
    found |= {name: _begins(starts) for name, starts in EDITS.items()}
    return {**found, "painterly: background": _begins(("painterly",))}


def kind_of(pair: Pair) -> str:
    """The set without its class of images, and the role: ``splice: appearance``."""
    source, _, role = pair.source.partition(": ")
    return f"{source.split('_')[0]}: {role}"


def _is(role: str) -> Group:
    return lambda pair: kind_of(pair) == role


def _begins(starts: Sequence[str]) -> Group:
    return lambda pair: pair.source.startswith(tuple(starts))


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of structure and appearance."""
    cells = found["cells"]
    across = tables.ordered(cell["source"] for cell in cells)
    first = next(iter(found["encoders"]))
    return [
        "## Structure and appearance",
        "A second set of pairs: most images were made from two, and it is known which one gave the "
        "structure (or content) and which one the appearance (or style). Each role is ranked by "
        "itself, the other exemplar left out. All pairs.",
        *tables.recalls(cells, across=across),
        f"`{first}` by half, split by the exemplar in the role, as everywhere:",
        tables.by_source(cells, _HALVES, column=f"{first}/default"),
    ]
