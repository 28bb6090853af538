"""Answers to many images: the table on the page and the table as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.views.answer import contenders_of
from app.views.matches import Bar, bars_of
from app.views.names import maker_of, name_of, number_of
from app.views.templates import render
from core.report import conclusion, csv_text, outcomes, words
from core.service import adjust_known
from core.values import Answer, ImageRecord

Kind = outcomes.Kind | Literal["refused"]
"""What becomes of an image, as people look for it."""

_LABELS: dict[Kind, str] = {**outcomes.LABELS, "refused": outcomes.REFUSED}
_COLUMNS = (
    "file",
    "answer",
    "outcome",
    "best_source",
    "creator",
    "licence",
    "confidence",
    "p_value",
    "p_adjusted",
    "named",
    "problem",
)


@dataclass(frozen=True)
class Row:
    """One image of a batch."""

    name: str
    sha256: str = ""
    answer: Answer | None = None
    problem: str = ""
    """Why there is no answer."""
    file: str = ""
    """Where the image lies; never shown."""
    picture: str = ""
    """Address that holds a small copy of it; empty where there is none."""
    source: str = ""
    """The same of its first candidate."""


@dataclass(frozen=True)
class Judged:
    """An answer by itself and among the others of its batch."""

    answer: Answer
    p_adjusted: float | None
    """The p-value adjusted for the number of images that were answered."""

    @property
    def kind(self) -> outcomes.Kind:
        """What the answer comes to by itself."""
        return outcomes.kind_of(self.answer)

    @property
    def alone(self) -> str:
        """The answer by itself, in a few words."""
        return outcomes.in_short(self.answer, name=name_of)

    @property
    def holds(self) -> bool:
        """Whether there are sources, and still are among as many images."""
        if conclusion.outcome(self.answer) == "identical":
            return True
        rare = self.p_adjusted is not None and self.p_adjusted <= self.answer.level
        return rare and bool(conclusion.sources(self.answer.groups))

    @property
    def named(self) -> bool:
        """Whether the best source is named among as many images."""
        return self.holds and self.answer.named

    @property
    def best(self) -> ImageRecord | None:
        """The first candidate, whether it is a source or not."""
        return self.answer.groups[0].best.image if self.answer.groups else None

    @property
    def source(self) -> str:
        """By itself: the source, those among which the answer cannot choose, or nothing."""
        if self.kind == "none":
            return ""
        if self.kind == "one of":
            return contenders_of(self.answer)
        return name_of(self.answer.groups[0].best.image)

    @property
    def confidence(self) -> float | None:
        """The confidence that the answer goes by, whether there is a source or not."""
        return outcomes.confidence_of(self.answer)

    def among(self, count: int) -> str:
        """What is left of a source among a number of images."""
        if self.kind == "none" or conclusion.outcome(self.answer) == "identical":
            return ""
        images = number_of(count, "image")
        return f"Holds among {images}" if self.holds else f"Not among {images}: may be chance"


def judge(rows: Sequence[Row]) -> list[Judged | None]:
    """The answers of rows, adjusted for their number (Benjamini-Hochberg); none for problems."""
    answers = [row.answer for row in rows if row.answer is not None]
    levels = iter(adjust_known([answer.p_value for answer in answers]))
    return [None if row.answer is None else Judged(row.answer, next(levels)) for row in rows]


@dataclass(frozen=True)
class _Line:
    """One row of the table."""

    place: int
    row: Row
    kind: Kind
    judged: Judged | None
    title: str
    """What its first candidate is called."""
    maker: str
    """Creator and licence of that."""
    bars: Sequence[Bar]


def table_html(rows: Sequence[Row], *, total: int, by: str = "", stopped: bool = False) -> str:
    """The table so far.

    Args:
        rows: the images done.
        total: the images given.
        by: with what they were asked for.
        stopped: whether no more will come.
    """
    lines = [_line(place, *pair) for place, pair in enumerate(zip(rows, judge(rows), strict=True))]
    done = number_of(total, "image")
    if len(rows) < total:
        done = f"{len(rows)} of {done}{', then stopped' if stopped else ''}"
    kinds = [line.kind for line in lines]
    return render(
        "batch",
        done=done,
        by=by,
        stopped=stopped,
        lines=lines,
        answered=len(rows) - kinds.count("refused"),
        kinds=[(kind, name, kinds.count(kind)) for kind, name in _LABELS.items() if kind in kinds],
    )


def _line(place: int, row: Row, judged: Judged | None) -> _Line:
    if judged is None:
        return _Line(place, row, "refused", None, "", "", ())
    best = judged.best
    bars = bars_of(judged.answer.groups[0].aspects, level=judged.answer.level) if best else ()
    title = name_of(best) if best else ""
    return _Line(place, row, judged.kind, judged, title, maker_of(best), bars)


def table_csv(rows: Sequence[Row]) -> str:
    """The table as CSV."""
    judged = judge(rows)
    return csv_text(_COLUMNS, [_cells(*pair) for pair in zip(rows, judged, strict=True)])


def _cells(row: Row, judged: Judged | None) -> tuple[str, ...]:
    if judged is None:
        return (row.name, "", "refused", *[""] * 7, row.problem)
    best = judged.best if judged.source else None
    return (
        row.name,
        outcomes.sentence(judged.answer),
        judged.kind,
        judged.source,
        best.creator if best else "",
        best.licence if best else "",
        words.number(judged.confidence, ".6f"),
        words.number(judged.answer.p_value, ".6g"),
        words.number(judged.p_adjusted, ".6g"),
        "yes" if judged.named else "no",
        "",
    )
