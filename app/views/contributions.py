"""The parts that single dimensions have in a cosine, as they are shown: bars, choices and words."""

# pyright: reportMissingTypeStubs=false
# plotly brings no stubs

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from core.service import Dimensions
from core.values import Contribution, Explanation

_POSITIVE, _NEGATIVE = "#2a9d93", "#b9792c"
_GREY, _LINE = "#7b8a86", "rgba(128,140,137,0.25)"


def bars(
    explanation: Explanation, *, judged: Dimensions | None = None, count: int = 16
) -> go.Figure:
    """Bars of the largest parts of the cosine, signed; unstable dimensions have none.

    Args:
        explanation: the explanation.
        judged: what the dimensions are worth, where that is known.
        count: dimensions that are looked at.
    """
    parts = stable_parts(explanation, judged, count=count)
    drawn = go.Bar(
        x=[part.value for part in parts],
        y=[f"dim {part.dimension}" for part in parts],
        orientation="h",
        marker_color=[_POSITIVE if part.value >= 0 else _NEGATIVE for part in parts],
        marker_line_width=0,
        customdata=[_noted(part, judged) for part in parts],
        hovertemplate="%{y}: %{x:+.4f}%{customdata}<extra></extra>",
    )
    layout = go.Layout(
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": _GREY, "size": 12, "family": "system-ui, sans-serif"},
        margin={"l": 64, "r": 12, "t": 4, "b": 44},
        height=56 + 22 * max(len(parts), 4),
        bargap=0.35,
        dragmode=False,
        xaxis={"title": {"text": "part of the cosine"}, "gridcolor": _LINE, "zerolinecolor": _GREY},
        yaxis={"autorange": "reversed", "fixedrange": True, "ticksuffix": "  "},
    )
    return go.Figure(drawn, layout)


def stable_parts(
    explanation: Explanation, judged: Dimensions | None, *, count: int = 16
) -> Sequence[Contribution]:
    """The largest contributions, without those of dimensions that are known to be unstable."""
    parts = explanation.contributions[:count]
    if judged is None:
        return parts
    return [part for part in parts if judged.stable[part.dimension]]


def _noted(part: Contribution, judged: Dimensions | None) -> str:
    """What to know of a dimension, to stand behind other words of it."""
    note = "" if judged is None else judged.note(part.dimension)
    return f", {note}" if note else ""


def stability_words(explanation: Explanation, judged: Dimensions | None, *, count: int = 16) -> str:
    """How many of the bars' dimensions come back in refits, or that nobody looked."""
    parts = explanation.contributions[:count]
    if judged is None:
        return "Whether these dimensions come back in refits is not checked for this head or size."
    stable = len(stable_parts(explanation, judged, count=count))
    back = "when the head is fitted again on resamples of the gallery"
    if stable == len(parts):
        return f"All of them come back {back}."
    if not stable:
        return f"None of them comes back {back}: by itself none stands for anything, none is drawn."
    return f"Drawn: {stable} of {len(parts)}; the others do not come back {back}."


def ends_words(explanation: Explanation, dimension: int) -> str:
    """On which end of a dimension the query and the source lie."""
    part = next((p for p in explanation.contributions if p.dimension == dimension), None)
    if part is None:
        return ""
    query, source = ("highest" if value >= 0 else "lowest" for value in (part.query, part.source))
    if query == source:
        return f"Your image and the source both lie on the side of the {query} end."
    return f"Your image lies on the side of the {query} end, the source on that of the {source}."


def sum_words(explanation: Explanation, *, count: int = 16) -> str:
    """What the bars add up to."""
    parts = explanation.contributions[:count]
    cosine = round(explanation.cosine, 3)
    total = round(sum(part.value for part in parts), 3)
    return (
        f"Cosine {cosine:.3f} in all: these {len(parts)} dimensions add {total:+.3f}, "
        f"all others {cosine - total:+.3f}."
    )


def dimension_choices(
    explanation: Explanation, *, judged: Dimensions | None = None, count: int = 16
) -> list[tuple[str, int]]:
    """Label and number of the dimensions that the bars show."""
    return [
        (
            f"Dimension {part.dimension} ({part.value:+.3f}){_noted(part, judged)}",
            part.dimension,
        )
        for part in stable_parts(explanation, judged, count=count)
    ]
