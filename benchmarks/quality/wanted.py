"""Roles in both sets of pairs, what is wanted of each, and the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.quality import tables
from benchmarks.quality.study import Group, by_tag
from core.measures.retrieval import Pair

MEASURES = ("R@1", "R@10")
HALVES = ("tune", "untouched")


def _begins(*starts: str) -> Group:
    return lambda pair: pair.source.startswith(starts)


def _is(kind: str, role: str) -> Group:
    return lambda pair: pair.source.startswith(kind) and pair.source.endswith(f": {role}")


ROLES: Mapping[str, Group] = {
    "single-image generators": _begins("consingan", "gpdm"),
    "image edits": _begins("nano_banana"),
    "layout kept": by_tag()["nano_banana: layout"],
    "restaged": by_tag()["nano_banana: restaged"],
    "structure": _is("splice", "structure"),
    "appearance": _is("splice", "appearance"),
    "content, photographs": _is("deep", "content"),
    "style, photographs": _is("deep", "style"),
    "content, paintings": _is("delldu", "content"),
    "style, paintings": _is("delldu", "style"),
    "background": _begins("painterly"),
    "inversion": _begins("ddpm_inversion", "diffusionhandles"),
    "pix2pix-zero": _begins("pix2pix"),
}
"""What was kept of the source, or what made the image."""

BARS: Mapping[tuple[str, str], float] = {
    ("single-image generators", "R@1"): 1.0,
    ("image edits", "R@1"): 0.5,
    ("image edits", "R@10"): 0.62,
    ("layout kept", "R@1"): 1.0,
    ("restaged", "R@1"): 0.3,
    ("structure", "R@1"): 0.95,
    ("appearance", "R@1"): 0.65,
    ("appearance", "R@10"): 0.85,
    ("content, photographs", "R@1"): 0.95,
    ("style, photographs", "R@1"): 0.85,
    ("content, paintings", "R@1"): 0.95,
    ("style, paintings", "R@10"): 0.5,
    ("background", "R@1"): 0.95,
    ("inversion", "R@1"): 0.94,
    ("pix2pix-zero", "R@1"): 1.0,
}
"""What is wanted of a role."""

Means = Mapping[tuple[str, str, str], float]
"""Mean by half, role and measure."""


def means_of(pairs: Sequence[Pair], values: Any) -> dict[tuple[str, str, str], float]:
    """Means of one column without intervals, also of both halves together."""
    found: dict[tuple[str, str, str], float] = {}
    for half in (*HALVES, "both"):
        for role, member in ROLES.items():
            rows = [i for i, p in enumerate(pairs) if half in (p.half, "both") and member(p)]
            for measure, column in (("R@1", 0), ("R@10", 2)):
                found[half, role, measure] = float(values[rows, column].mean())
    return found


def by_column(cells: Sequence[tables.Cell]) -> dict[str, dict[tuple[str, str, str], float]]:
    """Means of stored cells by column."""
    found: dict[str, dict[tuple[str, str, str], float]] = {}
    for cell in cells:
        key = (cell["half"], cell["source"], cell["measure"])
        found.setdefault(cell["column"], {})[key] = cell["mean"]
    return found


def worst(means: Means, half: str, measure: str = "R@1") -> tuple[str, float]:
    """The role that is found least, and how often it is."""
    role = min(ROLES, key=lambda role: means[half, role, measure])
    return role, means[half, role, measure]


def mean(means: Means, half: str, measure: str = "R@1") -> float:
    """The mean over roles, each of them once."""
    return sum(means[half, role, measure] for role in ROLES) / len(ROLES)


def missed(means: Means, half: str) -> list[str]:
    """The bars that are missed, in words."""
    short = {
        "image edits": "edits",
        "content, paintings": "paintings' content",
        "style, paintings": "paintings' style",
        "content, photographs": "photographs' content",
        "style, photographs": "photographs' style",
    }
    return [
        f"{short.get(role, role)} {measure} {tables.short(means[half, role, measure])}"
        for (role, measure), bar in BARS.items()
        if means[half, role, measure] < bar - 5e-4  # as many digits as are shown
    ]


def merit(means: Means, half: str = "tune") -> tuple[float, float]:
    """What ways are chosen by: the worst role first, then the mean over roles; higher is better."""
    return round(worst(means, half)[1], 4), round(mean(means, half), 4)


def row(name: str, means: Means, *, half: str) -> list[str]:
    """Mean, worst role and worst among the first ten of one half."""
    cells = [name]
    for measure in MEASURES:
        role, value = worst(means, half, measure)
        cells += [tables.short(mean(means, half, measure)), f"{tables.short(value)} {role}"]
    return cells


def summary(columns: Mapping[str, Means], *, shipped: str) -> str:
    """A table of columns down, what they reach on both halves across; what ships is bold."""
    heading = [""]
    for half in HALVES:
        for measure in MEASURES:
            heading += [f"{half}: mean {measure}", f"worst {measure}"]
    rows = [heading]
    for name, means in columns.items():
        shown = f"**{name}**" if name == shipped else name
        parts = [row(shown, means, half=half) for half in HALVES]
        rows.append(parts[0] + parts[1][1:])
    return tables.markdown(rows)
