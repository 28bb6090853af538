"""What the Disentanglement tab shows: correlations, factors, one dimension, a table."""

# pyright: reportMissingTypeStubs=false
# plotly brings no stubs

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from app.views.measures import headline, number
from app.views.templates import render
from core.config import MeasureConfig
from core.report import words
from core.service import DimensionView, Disentanglement, Stage, contrast

WITHIN_REAL, WITHIN_SYNTHETIC, ACROSS = "real", "synthetic", "cross"
"""The correlation matrices of a stage, by the names of its fields."""

_POSITIVE, _NEGATIVE = "#2a9d93", "#b9792c"
_GREY, _LINE = "#7b8a86", "rgba(128,140,137,0.25)"
_DIVERGING = [
    (0.0, "rgba(185,121,44,1)"),
    (0.5, "rgba(128,140,137,0.10)"),
    (1.0, "rgba(42,157,147,1)"),
]
_RISING = [(0.0, "rgba(128,140,137,0.10)"), (1.0, "rgba(42,157,147,1)")]
_SIDE = 320  # height of a correlation matrix, pixels
_ROW = 26  # height of a row of labels, pixels
_BINS = (12, 40)  # bars of a histogram at least and at most
_FOLLOWS = MeasureConfig().follows

MEASURES = {
    "mean_abs_correlation": "Mean |correlation|",
    "rankme": "Effective rank (RankMe)",
    "informativeness": "Factors told right (DCI informativeness)",
}
"""What the overview tells in numbers, and what it is called there."""


@dataclass(frozen=True)
class Sides:
    """Two embeddings of the same images, side by side."""

    stages: tuple[Stage, Stage]
    titles: tuple[str, str]
    who: str
    """Whom the sentence judges."""
    judged: str
    """What the column of verdicts is called."""

    @classmethod
    def of_head(cls, found: Disentanglement) -> Sides:
        """An embedding before and after its head."""
        titles = ("Before the head", "After the head")
        return cls((found.before, found.after), titles, "After the head", "The head")

    @classmethod
    def of_two(cls, one: Disentanglement, two: Disentanglement, titles: tuple[str, str]) -> Sides:
        """Two embeddings, each after its head."""
        who = f"{titles[1]} against {titles[0]}"
        return cls((one.after, two.after), titles, who, "The right one")


def correlation_map(stage: Stage, which: str) -> go.Figure | None:
    """One correlation matrix of a stage, teal for +1 and brown for -1.

    Args:
        stage: the stage.
        which: ``WITHIN_REAL``, ``WITHIN_SYNTHETIC`` or ``ACROSS``.

    Returns:
        The figure; ``None`` where the stage lacks the matrix.
    """
    matrix: np.ndarray | None = getattr(stage, which)
    if matrix is None:
        return None
    names = [str(number) for number in stage.dimensions]
    rows = "source dim" if which == ACROSS else "dim"
    columns = "example dim" if which == ACROSS else "dim"
    heat = go.Heatmap(
        z=np.round(matrix, 3).tolist(),
        x=names,
        y=names,
        zmin=-1,
        zmax=1,
        colorscale=_DIVERGING,
        showscale=False,
        hovertemplate=f"{rows} %{{y}}, {columns} %{{x}}: %{{z:+.2f}}<extra></extra>",
        hoverongaps=False,
    )
    layout = _layout(height=_SIDE, margin={"l": 46, "r": 8, "t": 8, "b": 40})
    layout.xaxis = {"type": "category", "nticks": 7, "showgrid": False, "title": {"text": columns}}
    layout.yaxis = {
        "type": "category",
        "nticks": 7,
        "showgrid": False,
        "autorange": "reversed",
        "title": {"text": rows},
    }
    return go.Figure(heat, layout)


def strongest(stages: Sequence[Stage]) -> float:
    """The largest importance in any of the stages: the end of their one colour scale."""
    tables = [stage.by_factor.importance for stage in stages if stage.by_factor is not None]
    return max((float(table.max()) for table in tables), default=0.0)


def importance_map(stage: Stage, *, most: float) -> go.Figure | None:
    """How important each leading dimension is for each factor; ``None`` without factors.

    Args:
        stage: the stage.
        most: importance that gets the full colour, the same for all that are compared.
    """
    report = stage.by_factor
    if report is None:
        return None
    heat = go.Heatmap(
        z=np.round(report.importance, 4).tolist(),
        x=[str(number) for number in stage.factor_dimensions],
        y=list(report.factors),
        zmin=0,
        zmax=max(most, 1e-9),
        colorscale=_RISING,
        colorbar={"thickness": 8, "outlinewidth": 0, "nticks": 4, "tickformat": ".0%"},
        hovertemplate="%{y}, dim %{x}: %{z:.1%}<extra></extra>",
        ygap=2,
    )
    height = 64 + _ROW * len(report.factors)
    layout = _layout(height=height, margin={"l": 84, "r": 8, "t": 8, "b": 44})
    layout.xaxis = {
        "type": "category",
        "nticks": 9,
        "tickangle": 0,
        "showgrid": False,
        "title": {"text": "dim"},
    }
    layout.yaxis = {"type": "category", "autorange": "reversed", "showgrid": False}
    return go.Figure(heat, layout)


def accuracy_words(stage: Stage) -> str:
    """How well the factors can be told from the leading dimensions, against chance."""
    report = stage.by_factor
    if report is None:
        return ""
    told = [
        f"{name} {words.share(float(right))} (chance {words.share(float(chance))})"
        for name, right, chance in zip(
            report.factors, report.accuracies, report.chances, strict=True
        )
    ]
    return f"Told right on unseen images: {', '.join(told)}."


def spread(view: DimensionView) -> go.Figure:
    """How one dimension's values are spread: the gallery's as bars, every example as a tick."""
    bins = int(np.clip(np.sqrt(len(view.real)), *_BINS))
    counts, edges = np.histogram(view.real, bins)
    bars = go.Bar(
        x=(edges[1:] + edges[:-1]) / 2,
        y=counts / len(view.real),
        name="Gallery",
        marker={"color": _POSITIVE, "line": {"width": 0}},
        hovertemplate="%{y:.1%} of the gallery near %{x:.3f}<extra></extra>",
    )
    ticks = go.Scatter(
        x=view.synthetic,
        y=np.zeros(len(view.synthetic)),
        name="Examples, one by one",
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 16, "color": _NEGATIVE, "line": {"width": 2}},
        hovertemplate="an example: %{x:.3f}<extra></extra>",
    )
    layout = _layout(height=260, margin={"l": 52, "r": 8, "t": 8, "b": 44})
    layout.xaxis = {
        "title": {"text": f"dim {view.dimension}"},
        "gridcolor": _LINE,
        "zerolinecolor": _GREY,
    }
    layout.yaxis = {"title": {"text": "share of images"}, "gridcolor": _LINE, "tickformat": ".0%"}
    layout.legend = {"orientation": "h", "y": 1.12, "x": 1, "xanchor": "right"}
    layout.showlegend, layout.bargap = len(view.synthetic) > 0, 0.08
    return go.Figure([bars, ticks], layout)


def by_value(view: DimensionView) -> go.Figure | None:
    """One dimension's values by value of the factor that it follows most: median and quartiles."""
    if not view.groups:
        return None
    middle = np.array([np.quantile(values, [0.25, 0.5, 0.75]) for values in view.groups.values()])
    names = [name or "none" for name in view.groups]
    marks = go.Scatter(
        x=middle[:, 1],
        y=names,
        mode="markers",
        marker={"color": _POSITIVE, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": middle[:, 2] - middle[:, 1],
            "arrayminus": middle[:, 1] - middle[:, 0],
            "color": _GREY,
            "thickness": 2,
            "width": 0,
        },
        hovertemplate="%{y}: median %{x:.3f}<extra></extra>",
    )
    height = max(64 + _ROW * len(names), 160)
    layout = _layout(height=height, margin={"l": 96, "r": 8, "t": 8, "b": 44})
    layout.xaxis = {
        "title": {"text": f"dim {view.dimension}"},
        "gridcolor": _LINE,
        "zerolinecolor": _GREY,
    }
    layout.yaxis = {"type": "category", "autorange": "reversed", "gridcolor": _LINE}
    return go.Figure(marks, layout)


def dimension_words(view: DimensionView) -> str:
    """What a dimension follows, in a sentence."""
    shares = list(view.explained.items())
    if not shares:
        return "This gallery's metadata names no factors to compare the dimension with."
    (first, most), *rest = shares
    if most < 0.01:
        return "No known factor explains more than 1 % of this dimension's variance."
    second = f"; next {rest[0][0]}, {words.share(rest[0][1])}" if rest and rest[0][1] > 0 else ""
    return f"Follows {first} most: it explains {words.share(most)} of the variance{second}."


def overview_html(found: Disentanglement, sides: Sides) -> str:
    """What the measures of both sides say, in a sentence and three numbers."""
    values = [stage.values() for stage in sides.stages]
    figures = [
        (MEASURES[name], " → ".join(number(side[name]) for side in values))
        for name in MEASURES
        if all(name in side for side in values)
    ]
    return render(
        "disentanglement_overview",
        headline=headline(contrast(*sides.stages), who=sides.who),
        figures=figures,
        images=f"{found.images:,}",
        examples=found.examples,
        pairs=found.pairs,
    )


def dimension_choices(stage: Stage, names: Mapping[int, str]) -> list[tuple[str, int]]:
    """Label and number of every dimension of an embedding, those with a name first."""
    named = [(f"Dimension {i}: {name}", i) for i, name in names.items() if name]
    rest = (i for i in range(stage.label_free.dimensions) if not names.get(i))
    return [*named, *((f"Dimension {i}", i) for i in rest)]


def telling(stage: Stage, *, count: int) -> list[int]:
    """The dimension that tells most of each factor, then others; the leading ones without any."""
    report = stage.by_factor
    if report is None:
        return stage.dimensions[:count].tolist()
    factors = np.argsort(-report.importance.max(axis=1), kind="stable")
    first = report.importance.argmax(axis=1)[factors].tolist()
    rest = np.argsort(-report.importance.max(axis=0), kind="stable").tolist()
    return stage.factor_dimensions[[*dict.fromkeys([*first, *rest])][:count]].tolist()


def dimension_name(view: DimensionView) -> str:
    """What a dimension runs between, by the factor that it follows; empty where it follows none."""
    factor, share = next(iter(view.explained.items()), ("", 0.0))
    if share < _FOLLOWS:
        return ""
    ends = [value or "none" for value in view.groups]
    return f"{factor}, {ends[0]} to {ends[-1]}"


def _layout(*, height: int, margin: dict[str, int]) -> go.Layout:
    return go.Layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _GREY, "size": 12, "family": "system-ui, sans-serif"},
        margin=margin,
        height=height,
        dragmode=False,
    )
