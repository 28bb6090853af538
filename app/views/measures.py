"""Measures of two embeddings side by side: the sentence that sums them up, tables, and a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.views.templates import render
from core.report import csv_text
from core.service import THEMES, Contrast, Estimate, Stage, contrast

_ABOUT = {
    "spread": "spread over the dimensions",
    "domains": "real and generated images together",
    "factors": "known factors",
}
"""What the themes of the measures are called."""

_BY_LEVEL = ("mean_abs_correlation", "rankme", "mean_dimension_correlation", "domain_auc")
"""Measures that are told level by level."""


def headline(found: Sequence[Contrast], *, who: str) -> str:
    """What the measures say together, theme by theme; chance alone changes nothing.

    Args:
        found: the measures of both sides.
        who: what is judged: the head, or the side on the right.
    """
    parts = [
        f"{_ABOUT[theme]} {_told([each for each in found if each.name in names])}"
        for theme, names in THEMES.items()
        if any(each.name in names and each.gain is not None for each in found)
    ]
    if not parts:
        return "Too few images to tell a change from chance."
    return f"{who}: {'; '.join(parts)}."


def _told(found: Sequence[Contrast]) -> str:
    better, worse = (sum(each.change == way for each in found) for way in ("better", "worse"))
    if better and worse:
        return f"mixed ({better} of {len(found)} measures better, {worse} worse)"
    if better or worse:
        way = "better" if better else "worse"
        return way if len(found) == 1 else f"{way} ({better or worse} of {len(found)} measures)"
    return "not clearly different"


@dataclass(frozen=True)
class _Cell:
    """A value and its interval as they are shown."""

    value: str
    interval: str


def _cell(value: float, interval: Estimate | None) -> _Cell:
    ends = "" if interval is None else f"{number(interval.low)} to {number(interval.high)}"
    return _Cell(number(value), ends)


@dataclass(frozen=True)
class _Row:
    """A measure on both sides."""

    title: str
    cells: Sequence[_Cell]
    verdict: str
    meaning: str
    good: str


def measures_html(found: Sequence[Contrast], *, titles: tuple[str, str], judged: str) -> str:
    """The table of measures: both sides, what each means and which way is good.

    Args:
        found: the measures.
        titles: what the sides are called.
        judged: what the column of verdicts is called.
    """
    rows = [
        _Row(
            each.measure.title,
            [_cell(v, i) for v, i in zip(each.values, each.intervals, strict=True)],
            each.change,
            each.measure.meaning,
            each.measure.good,
        )
        for each in found
    ]
    return render("disentanglement_measures", rows=rows, titles=titles, judged=judged)


@dataclass(frozen=True)
class _Level:
    """A level on both sides: its dimensions, and its measures."""

    name: str
    dimensions: Sequence[str]
    rows: Sequence[tuple[str, Sequence[_Cell], str]]


def levels_html(stages: tuple[Stage, Stage], *, titles: tuple[str, str], judged: str) -> str:
    """The measures of each level that both sides have, or that they share none.

    Args:
        stages: both sides.
        titles: what they are called.
        judged: what the column of verdicts is called.
    """
    one, two = (stage.levels for stage in stages)
    levels = [
        _Level(
            name.capitalize(),
            [f"{side[name].label_free.dimensions:,}" for side in (one, two)],
            [
                (
                    each.measure.title,
                    [_cell(v, i) for v, i in zip(each.values, each.intervals, strict=True)],
                    each.change,
                )
                for each in contrast(one[name], two[name])
                if each.name in _BY_LEVEL
            ],
        )
        for name in one
        if name in two
    ]
    return render("disentanglement_levels", levels=levels, titles=titles, judged=judged)


def measures_csv(stages: tuple[Stage, Stage], *, titles: tuple[str, str]) -> str:
    """A row for every measure of the whole and of each level, with both sides' 95 % intervals."""
    both = [("all", *stages)]
    both += [
        (name, level, stages[1].levels[name])
        for name, level in stages[0].levels.items()
        if name in stages[1].levels
    ]
    columns = ["level", "measure"]
    columns += [f"{title} {what}" for title in titles for what in ("value", "low", "high")]

    def ends(interval: Estimate | None) -> tuple[object, object]:
        return ("", "") if interval is None else (interval.low, interval.high)

    rows = [
        (
            level,
            each.name,
            *(each.values[0], *ends(each.intervals[0])),
            *(each.values[1], *ends(each.intervals[1])),
            each.change,
        )
        for level, one, two in both
        for each in contrast(one, two)
    ]
    return csv_text([*columns, "change"], rows)


def number(value: float) -> str:
    """A number with about three digits that count."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
