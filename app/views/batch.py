"""Answers to many images: the table on the page and the table as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.views.answer import contenders_of, headline
from app.views.names import name_of, number_of
from app.views.templates import render
from core.report import csv_text, words
from core.service import adjust_known
from core.values import Answer

_COLUMNS = (
    "file",
    "answer",
    "named",
    "best_source",
    "confidence",
    "p_value",
    "p_adjusted",
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


@dataclass(frozen=True)
class Judged:
    """An answer among the others of its batch."""

    answer: Answer
    p_adjusted: float | None
    """The p-value adjusted for the number of images that were answered."""

    @property
    def holds(self) -> bool:
        """Whether there are sources, and still are among as many images."""
        if words.outcome(self.answer) == "identical":
            return True
        rare = self.p_adjusted is not None and self.p_adjusted <= self.answer.level
        return rare and bool(words.sources(self.answer.groups))

    @property
    def named(self) -> bool:
        """Whether the best source is named among as many images."""
        return self.holds and self.answer.named

    @property
    def source(self) -> str:
        """The source, those among which the answer cannot choose, or nothing."""
        if not self.holds:
            return ""
        if self.named:
            return name_of(self.answer.groups[0].best.image)
        return contenders_of(self.answer)

    @property
    def confidence(self) -> float | None:
        """Confidence of the best candidate, whether it is a source or not."""
        return self.answer.groups[0].confidence if self.answer.groups else None

    def sentence(self, *, total: int) -> str:
        """The answer in one sentence, among a number of images."""
        if words.sources(self.answer.groups) and not self.holds:
            return f"Stands out by itself, but not among {number_of(total, 'image')}."
        return headline(self.answer)


def judge(rows: Sequence[Row]) -> list[Judged | None]:
    """The answers of rows, adjusted for their number (Benjamini-Hochberg); none for problems."""
    answers = [row.answer for row in rows if row.answer is not None]
    levels = iter(adjust_known([answer.p_value for answer in answers]))
    return [None if row.answer is None else Judged(row.answer, next(levels)) for row in rows]


def table_html(rows: Sequence[Row], *, total: int) -> str:
    """The table so far.

    Args:
        rows: the images done.
        total: the images given.
    """
    done = number_of(total, "image")
    if len(rows) < total:
        done = f"{len(rows)} of {done}"
    return render("batch", done=done, rows=list(zip(rows, judge(rows), strict=True)))


def table_csv(rows: Sequence[Row]) -> str:
    """The table as CSV."""
    judged = judge(rows)
    return csv_text(_COLUMNS, [_cells(*pair) for pair in zip(rows, judged, strict=True)])


def _cells(row: Row, judged: Judged | None) -> tuple[str, ...]:
    if judged is None:
        return (row.name, "", "", "", "", "", "", row.problem)
    return (
        row.name,
        words.sentence(judged.answer),
        "yes" if judged.named else "no",
        judged.source,
        words.number(judged.confidence, ".6f"),
        words.number(judged.answer.p_value, ".6g"),
        words.number(judged.p_adjusted, ".6g"),
        "",
    )
