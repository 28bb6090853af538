"""Reverse look-up as it is shown: of which generated images is an image a likely source?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.views.names import number_of
from app.views.templates import render
from core.report import csv_text, words
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

    @property
    def too_few(self) -> bool:
        """Whether the gallery has too few different images to tell a source from chance."""
        return any(finding.p_value is None for finding in self.findings)


def lookup_html(lookup: Lookup) -> str:
    """The images as a table, and what their being named means."""
    return render("reverse", headline=_headline(lookup), note=_note(lookup), lookup=lookup)


def _headline(lookup: Lookup) -> str:
    if lookup.too_few:
        return words.TOO_FEW
    named = sum(finding.named for finding in lookup.findings)
    count = len(lookup.findings) + len(lookup.problems)
    looked = number_of(lookup.given, "image")
    if count < lookup.given:
        looked = f"{count} of {looked}"
    return f"Candidate source of {named or 'none'} of {looked}"


def _note(lookup: Lookup) -> str:
    """What the rate promises, and where nothing could have been named."""
    if lookup.too_few:
        return words.missing(lookup.null_size)
    rate = words.share(lookup.rate)
    promise = f"Of the images that are named, {rate} are expected to be wrong at most."
    alone = math.floor(lookup.rate * (lookup.null_size + 1) + 1e-9)
    if len(lookup.findings) <= alone:
        return promise
    return (
        f"{promise} No p-value of this gallery is below 1 in {lookup.null_size + 1}, so at {rate} "
        f"a lone image can be named among {alone} at most; here are {len(lookup.findings)}."
    )


def lookup_csv(lookup: Lookup) -> str:
    """The table as CSV."""
    none = [""] * (len(_COLUMNS) - 2)
    problems = [(name, *none, problem) for name, problem in lookup.problems]
    return csv_text(_COLUMNS, [*map(_cells, lookup.findings), *problems])


def _cells(finding: Finding) -> tuple[object, ...]:
    return (
        finding.generated,
        finding.source,
        finding.image_id,
        _rounded(finding.score),
        words.number(finding.p_value, ".6g"),
        words.number(finding.p_adjusted, ".6g"),
        "yes" if finding.named else "no",
        "",
    )


def _rounded(value: float | None) -> float | None:
    """A number of six digits."""
    return None if value is None else float(f"{value:.6g}")
