"""Answers to many images: the table on the page and the table as a file."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.views.answer import contenders_of, headline, name_of, number_of, percent
from app.views.templates import Html, fill
from core.report import words
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
_JOINT = re.compile(r"(?<=[-_. ])")  # where a file name may go on in the next line


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

    def words(self, *, total: int) -> str:
        """The answer in one sentence; see :func:`headline`."""
        if words.sources(self.answer.groups) and not self.holds:
            return f"Stands out by itself, but not among {number_of(total, 'image')}."
        return headline(self.answer)


def judge(rows: Sequence[Row]) -> list[Judged | None]:
    """The answers of rows, adjusted for their number (Benjamini-Hochberg); none for problems."""
    found = [row.answer for row in rows if row.answer is not None]
    levels = iter(adjust_known([answer.p_value for answer in found]))
    return [None if row.answer is None else Judged(row.answer, next(levels)) for row in rows]


def table_html(rows: Sequence[Row], *, total: int) -> Html:
    """The table so far.

    Args:
        rows: the images done.
        total: the images given.
    """
    done = number_of(total, "image")
    if len(rows) < total:
        done = f"{len(rows)} of {done}"
    cells = (
        _row_html(row, judged, total=len(rows))
        for row, judged in zip(rows, judge(rows), strict=True)
    )
    return fill("batch", done=done, rows=Html("".join(cells)))


def _row_html(row: Row, judged: Judged | None, *, total: int) -> Html:
    name = breakable(row.name)
    if judged is None:
        return fill("batch_problem", name=name, problem=row.problem)
    unsure = "one of: " if judged.holds and not judged.named else ""
    return fill(
        "batch_row",
        name=name,
        answer=judged.words(total=total),
        source=f"{unsure}{judged.source}" or "none",
        confidence=percent(_confidence(judged.answer)),
        p_value=words.number(judged.answer.p_value),
        p_adjusted=words.number(judged.p_adjusted),
    )


def _confidence(answer: Answer) -> float | None:
    """Confidence of the best candidate, whether it is a source or not."""
    return answer.groups[0].confidence if answer.groups else None


def breakable(name: str) -> Html:
    """A file name that is broken between its words."""
    return Html("<wbr>".join(html.escape(part) for part in _JOINT.split(name)))


def table_csv(rows: Sequence[Row]) -> bytes:
    """The table as CSV, UTF-8; no cell is taken for a formula by a spreadsheet."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    for row, judged in zip(rows, judge(rows), strict=True):
        writer.writerow([inert(cell) for cell in _cells(row, judged)])
    return file.getvalue().encode()


def _cells(row: Row, judged: Judged | None) -> tuple[str, ...]:
    if judged is None:
        return (row.name, "", "", "", "", "", "", row.problem)
    return (
        row.name,
        words.sentence(judged.answer),
        "yes" if judged.named else "no",
        judged.source,
        words.number(_confidence(judged.answer), ".6f"),
        words.number(judged.answer.p_value, ".6g"),
        words.number(judged.p_adjusted, ".6g"),
        "",
    )


def inert(cell: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell
