"""Reverse look-up as it is shown: of which generated images is an image a likely source?"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.views.answer import number_of, percent
from app.views.batch import breakable, inert
from app.views.templates import Html, fill
from core.report import words
from core.service import Finding

_COLUMNS = (
    "generated",
    "source",
    "image_id",
    "score",
    "p_value",
    "p_adjusted",
    "named",
    "problem",
)


@dataclass(frozen=True)
class Lookup:
    """Generated images that one source was looked for in."""

    findings: tuple[Finding, ...]
    """The smallest p-values first."""
    problems: tuple[tuple[str, str], ...]
    """Names of images that could not be taken, and why."""
    given: int
    """Number of images that were given."""
    rate: float
    """False-discovery rate at which images are named."""
    null_size: int
    """Images of the gallery's null."""


def lookup_html(lookup: Lookup) -> Html:
    """The images as a table, and what their being named means."""
    named = sum(found.named for found in lookup.findings)
    rows = [
        *(_row_html(found) for found in lookup.findings),
        *(
            fill("reverse_problem", name=breakable(name), problem=problem)
            for name, problem in lookup.problems
        ),
    ]
    untold = any(found.p_value is None for found in lookup.findings)
    count = len(lookup.findings) + len(lookup.problems)
    looked = number_of(lookup.given, "image")
    if count < lookup.given:
        looked = f"{count} of {looked}"
    return fill(
        "reverse",
        headline=words.TOO_FEW if untold else f"Candidate source of {named or 'none'} of {looked}",
        note=_note(lookup),
        rows=Html("".join(rows)),
    )


def _row_html(found: Finding) -> Html:
    return fill(
        "reverse_row",
        name=breakable(found.generated),
        named="Candidate source" if found.named else "not named",
        p_value=words.number(found.p_value),
        p_adjusted=words.number(found.p_adjusted),
        score=words.number(found.score, ".2f"),
    )


def _note(lookup: Lookup) -> str:
    """What the rate promises, and where nothing could have been named."""
    if any(found.p_value is None for found in lookup.findings):
        return words.missing(lookup.null_size)
    rate = percent(lookup.rate)
    promise = f"Of the images that are named, {rate} are expected to be wrong at most."
    alone = math.floor(lookup.rate * (lookup.null_size + 1) + 1e-9)
    if len(lookup.findings) <= alone:
        return promise
    return (
        f"{promise} No p-value of this gallery is below 1 in {lookup.null_size + 1}, so at {rate} "
        f"a lone image can be named among {alone} at most; here are {len(lookup.findings)}."
    )


def lookup_csv(lookup: Lookup) -> bytes:
    """The table as CSV, UTF-8; no cell is taken for a formula by a spreadsheet."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    for found in lookup.findings:
        writer.writerow([inert(cell) for cell in _cells(found)])
    for name, problem in lookup.problems:
        writer.writerow([inert(name), *[""] * (len(_COLUMNS) - 2), inert(problem)])
    return file.getvalue().encode()


def _cells(found: Finding) -> Sequence[str]:
    return (
        found.generated,
        found.source,
        "" if found.image_id is None else str(found.image_id),
        words.number(found.score, ".6g"),
        words.number(found.p_value, ".6g"),
        words.number(found.p_adjusted, ".6g"),
        "yes" if found.named else "no",
        "",
    )
