"""Answers to many images: the table on the page and the table as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from app.views import Html, fill, headline, name_of, percent
from core.values import Answer

_COLUMNS = ("file", "answer", "best_source", "confidence", "p_value", "problem")


@dataclass(frozen=True)
class Row:
    """One image of a batch."""

    name: str
    sha256: str = ""
    answer: Answer | None = None
    problem: str = ""
    """Why there is no answer."""


def table_html(rows: Sequence[Row], *, total: int, size: int) -> Html:
    """The table so far.

    Args:
        rows: the images done.
        total: the images given.
        size: number of images in the gallery.
    """
    done = f"{len(rows)} of {total} images" if len(rows) < total else f"{total} images"
    cells = (_row_html(row, size=size) for row in rows)
    return fill("batch", done=done, rows=Html("".join(cells)))


def _row_html(row: Row, *, size: int) -> Html:
    if row.answer is None:
        return fill("batch_problem", name=row.name, problem=row.problem)
    source, confidence = _best(row.answer)
    return fill(
        "batch_row",
        name=row.name,
        answer=headline(row.answer, size=size),
        source=source or "none",
        confidence=percent(confidence) if source else "",
        p_value=f"{row.answer.p_value:.2g}",
    )


def table_csv(rows: Sequence[Row]) -> bytes:
    """The table as CSV, UTF-8; no cell is taken for a formula by a spreadsheet."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([inert(cell) for cell in _cells(row)])
    return file.getvalue().encode()


def _cells(row: Row) -> tuple[str, ...]:
    if row.answer is None:
        return (row.name, "", "", "", "", row.problem)
    source, confidence = _best(row.answer)
    sure = f"{confidence:.6f}" if source else ""
    return (row.name, row.answer.sentence, source, sure, f"{row.answer.p_value:.6g}", "")


def _best(answer: Answer) -> tuple[str, float]:
    """Name and confidence of the first source; no name where none stands out."""
    for group in answer.groups:
        if group.influence > 0:
            return name_of(group.best.image), group.confidence
    return "", 0.0


def inert(cell: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell
