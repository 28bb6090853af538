"""Measurements as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.quality.study import HALVES

Cell = Mapping[str, Any]
"""A mean with its interval, as :func:`benchmarks.quality.study.cells` makes it."""

Key = tuple[str, str, str, str]
"""Half, source, column and measure of a cell."""


def grid(
    cells: Sequence[Cell], *, across: Sequence[str], half: str, measure: str, signed: bool = False
) -> str:
    """A table of columns down and sources across."""
    found = by_key(cells)
    rows = [["", *across]]
    for column in ordered(key[2] for key in found):
        keys = [(half, source, column, measure) for source in across]
        rows.append([column, *(interval(found.get(key), signed=signed) for key in keys)])
    counts = {c["source"]: f"{c['queries']} ({c['clusters']})" for c in cells if c["half"] == half}
    rows.append(["queries (exemplar sets)", *(counts.get(source, "") for source in across)])
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its heading."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def plain(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of rows that have the same keys."""
    texts = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in r.values()] for r in rows]
    return markdown([list(rows[0]), *texts])


def by_key(cells: Iterable[Cell]) -> dict[Key, Cell]:
    """Cells to be looked up."""
    return {(c["half"], c["source"], c["column"], c["measure"]): c for c in cells}


def interval(cell: Cell | None, *, signed: bool = False) -> str:
    """Mean and interval; nothing where nothing was measured."""
    if cell is None:
        return ""
    mean, low, high = (short(cell[key], signed=signed) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def short(value: float, *, signed: bool = False) -> str:
    """Three digits without the zero before the point."""
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def ordered(values: Iterable[str]) -> list[str]:
    """Every value once, in the order in which they come."""
    return list(dict.fromkeys(values))


def recalls(cells: Sequence[Cell], *, across: Sequence[str]) -> list[str]:
    """R@1 and R@10 of both halves together, a table each."""
    grids = [grid(cells, across=across, half="both", measure=m) for m in ("R@1", "R@10")]
    return ["R@1:", grids[0], "R@10:", grids[1]]


def by_source(cells: Sequence[Cell], wanted: Sequence[tuple[str, str]], *, column: str) -> str:
    """A row for every source of a column: measures of halves, as ``(half, measure)``."""
    found = by_key(cells)
    heads = [m if half == "both" else f"{m}, {half}" for half, m in wanted]
    rows = [["", *heads, "queries (exemplar sets)"]]
    for source in ordered(cell["source"] for cell in cells):
        own = [found.get((half, source, column, measure)) for half, measure in wanted]
        first = next(cell for cell in own if cell is not None)
        count = f"{first['queries']} ({first['clusters']})"
        rows.append([source, *map(interval, own), count])
    return markdown(rows)


def by_encoder(found: Mapping[str, Any]) -> list[str]:
    """Differences from the base, a table for each encoder."""
    parts = [(f"### {name}", _by_half(found, name)) for name in found["encoders"]]
    return [part for table in parts for part in table]


def _by_half(found: Mapping[str, Any], encoder: str) -> str:
    """R@1 over all pairs and on image edits, and the difference from the base, by half."""
    cells, gaps = by_key(found["cells"]), by_key(found["differences"])
    heading = [""]
    for half in HALVES:
        heading += [f"{half}: R@1", "difference", "edits R@1", "edits R@10", "edits difference"]
    rows = [heading]
    for column in ordered(key[2] for key in cells if key[2].startswith(f"{encoder}/")):
        row = [column.partition("/")[2]]
        for half in HALVES:
            row += [
                short(cells[half, "all", column, "R@1"]["mean"]),
                interval(gaps.get((half, "all", column, "R@1")), signed=True),
                short(cells[half, "nano_banana", column, "R@1"]["mean"]),
                short(cells[half, "nano_banana", column, "R@10"]["mean"]),
                interval(gaps.get((half, "nano_banana", column, "R@1")), signed=True),
            ]
        rows.append(row)
    return markdown(rows)
