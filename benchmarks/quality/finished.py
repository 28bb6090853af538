"""Sections on measurements that are finished: their results are kept, what made them is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.quality import tables

FINISHED = {
    "maps": ("python -m benchmarks.results --measure heads", "fd5f72d"),
    "choices": ("python -m benchmarks.results --measure choices", "fd5f72d"),
    "proxies": ("python -m benchmarks.proxies", "fd5f72d"),
    "defaults_first": ("python -m benchmarks.results --measure defaults", "fd5f72d"),
}
"""Stored measurements that are finished, what made them, and the last commit that can."""


def maps(found: Mapping[str, Any], *_: object) -> list[str]:
    """Maps that are no heads of the program."""
    return [
        "## Maps that are no heads of the program",
        "As the heads are measured, and compared with the same base. `paired:` rows use known "
        "pairs, cross-fitted over exemplars: references, not bounds, since the exemplars are few.",
        *tables.by_encoder(found),
    ]


def choices(found: Mapping[str, Any], *_: object) -> list[str]:
    """Dimensions, stages, size and views, one changed at a time."""
    return [
        "## Dimensions, stages, size, views",
        "Embedding alone; differences are paired, from what shipped: whitening to 512, stages 2 "
        "to 4 at 160 pixels, local scaling by 10 neighbours, the query in one view.",
        *tables.by_encoder(found),
    ]


def proxies(found: Mapping[str, Any], *_: object) -> list[str]:
    """Views and terms of training, in short runs."""
    sources = tables.ordered(row["source"] for row in found["rows"])
    by_key = {(row["variant"], row["source"]): row for row in found["rows"]}
    table = [["", *sources]]
    for variant in tables.ordered(row["variant"] for row in found["rows"]):
        cells: list[str] = []
        for source in sources:
            row = by_key[variant, source]
            mean, low, high = (tables.short(value, signed=True) for value in row["difference"])
            cells.append(f"{tables.short(row['recall'])}; {mean} [{low}, {high}]")
        table.append([variant, *cells])
    return [
        "## Views and terms of training, in short runs",
        f"MoCo, {found['note']}. R@1 of the global cosine among 1,200 photographs, and the paired "
        "difference of log2 ranks from the base run (less than 0 is better). `one subject`: other "
        "photographs of a subject; `one content`, `one texture`: style transfers that share it; "
        "the others: the tune half of the known pairs.",
        tables.markdown(table),
    ]


def before(found: Mapping[str, Any], *_: object) -> list[str]:
    """The encoders before those that ship."""
    kinds = ["consingan_lsun", "nano_banana", "nano_banana: layout", "nano_banana: restaged"]
    cells = [c for c in found["cells"] if c["column"].split("/")[0] in ("moco", "dino", "random")]
    return [
        "## The encoders before",
        "MoCo and DINO as they were first: a small ResNet trained from nothing by a CPU, and its "
        "random weights; all stages whitened together, patches summed into every score. R@1, both "
        "halves.",
        tables.grid(cells, across=kinds, half="both", measure="R@1"),
    ]
