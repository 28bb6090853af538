"""Line charts as SVG, the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

SIZE = 6.4, 3.2
"""Width and height of a chart, inches."""

_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "wellspring",
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e5e7eb",
}


@dataclass(frozen=True)
class Point:
    """A value at a place of the horizontal axis, with its interval."""

    value: float
    low: float
    high: float


def point(cell: Mapping[str, Any]) -> Point:
    """The point of a cell: its mean and its interval."""
    return Point(cell["mean"], cell["low"], cell["high"])


def save(figure: Figure, path: Path) -> None:
    """Write a figure without its date and without the version of what drew it."""
    with mpl.rc_context(_STYLE):
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def lines(
    path: Path,
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    places: Sequence[str],
    unit: str,
) -> str:
    """Write one line with a band for each series over equally spaced places, from 0 to 1.

    Returns:
        The chart as Markdown, for a page beside the folder of the plots.

    Raises:
        ValueError: for a series that has not one point for each place.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot(title=title, xlabel=unit, ylim=(0, 1.02))
    at = range(len(places))
    for name, points in series.items():
        if len(points) != len(places):
            raise ValueError(f"{name} has {len(points)} points for {len(places)} places")
        (line,) = axes.plot(at, [p.value for p in points], label=name)
        low, high = [p.low for p in points], [p.high for p in points]
        axes.fill_between(at, low, high, color=line.get_color(), alpha=0.13, linewidth=0)
    axes.set_xticks(at, places)
    axes.grid(axis="y")
    figure.legend(loc="outside right upper", frameon=False)
    save(figure, path)
    return f"![{title}](plots/{path.name})"
