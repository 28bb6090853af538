"""Reverse look-up as it is shown: of which generated images is an image a likely source?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.views.matches import Bar, bars_of
from app.views.names import maker_of, number_of
from app.views.templates import render
from core.config import AnswerConfig
from core.report import Line, Pairs, Run, Sought, conclusion, csv_text, outcomes, pairs_html, words
from core.service import Finding, fewest_named
from core.values import ImageRecord

Kind = outcomes.Pair | Literal["refused"]
"""What becomes of a generated image, as people look for it."""

_LABELS: dict[Kind, str] = {**outcomes.PAIR_LABELS, "refused": outcomes.REFUSED}
_COLUMNS = (
    "generated",
    "source",
    "image_id",
    "score",
    "confidence",
    "p_value",
    "p_adjusted",
    "named",
    "problem",
)


@dataclass(frozen=True)
class Source:
    """The image that is looked for."""

    name: str
    picture: str
    """Address that holds a small copy of it."""
    record: ImageRecord | None = None
    """What the gallery knows of it; ``None`` for an image of the visitor's own."""

    @property
    def maker(self) -> str:
        """Creator and licence, where they are known."""
        return maker_of(self.record)


@dataclass(frozen=True)
class Lookup:
    """Generated images that sources were looked for in, each in all of them."""

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
    sources: tuple[Source, ...] = ()
    pictures: tuple[str, ...] = ()
    """Addresses that hold small copies of the images, finding by finding."""
    by: str = ""
    """With what they were asked for."""
    level: float = AnswerConfig().level
    """Largest p-value at which an image stands out by itself."""

    @property
    def several(self) -> bool:
        """Whether more than one source was looked for."""
        return len(self.sources) > 1

    @property
    def images(self) -> int:
        """Number of generated images that were looked at."""
        return len(self.findings) // max(len(self.sources), 1)

    @property
    def named(self) -> int:
        """Number of generated images of which some source is named."""
        return len({f.generated for f in self.findings if f.named})

    def source_of(self, finding: Finding) -> str:
        """Name of the source that a finding is about, where there are several."""
        known = {source.record and source.record.id: source.name for source in self.sources}
        return known.get(finding.image_id, "") if self.several else ""

    @property
    def too_few(self) -> bool:
        """Whether the gallery has too few different images to tell a source from chance."""
        return any(finding.p_value is None for finding in self.findings)

    def kind(self, finding: Finding) -> outcomes.Pair:
        """What becomes of an image."""
        if finding.named:
            return "named"
        alone = finding.p_value is not None and finding.p_value <= self.level
        return "stands out" if alone else "no"


@dataclass(frozen=True)
class _Line:
    """One row of the table."""

    place: int
    finding: Finding
    kind: outcomes.Pair
    result: str
    picture: str
    bars: Sequence[Bar]
    source: str
    """Name of the source, where there are several."""


def lookup_html(lookup: Lookup) -> str:
    """The images as a table, and what their being named means."""
    lines = [_line(place, finding, lookup) for place, finding in enumerate(lookup.findings)]
    kinds = [*(line.kind for line in lines), *["refused"] * len(lookup.problems)]
    return render(
        "reverse",
        headline=_headline(lookup),
        note=_note(lookup),
        lookup=lookup,
        lines=lines,
        kinds=[(k, name, kinds.count(k)) for k, name in _LABELS.items() if k in kinds],
    )


def _line(place: int, finding: Finding, lookup: Lookup) -> _Line:
    kind = lookup.kind(finding)
    return _Line(
        place,
        finding,
        kind,
        "" if lookup.too_few else outcomes.PAIRS[kind],
        lookup.pictures[place] if lookup.pictures else "",
        bars_of(finding.aspects, level=lookup.level),
        lookup.source_of(finding),
    )


def _headline(lookup: Lookup) -> str:
    if lookup.too_few:
        return words.TOO_FEW
    if lookup.several:
        return _headline_of_several(lookup)
    kinds = [lookup.kind(finding) for finding in lookup.findings]
    named, alone = kinds.count("named"), kinds.count("stands out")
    count = len(lookup.findings) + len(lookup.problems)
    looked = number_of(lookup.given, "image")
    if count < lookup.given:
        looked = f"{count} of {looked}"
    if named or not alone:
        return f"Candidate source of {named or 'none'} of {looked}"
    stand, them = ("stands out", "it") if alone == 1 else ("stand out", "them")
    told = (
        f"{alone} of {looked} {stand}" if count == lookup.given else f"{alone} {stand} in {looked}"
    )
    rate = words.share(lookup.rate)
    needed = fewest_named(len(kinds), null_size=lookup.null_size, rate=lookup.rate)
    if needed is None or alone < needed:
        return f"{told}, too few images here to name {them} at {rate}"
    return f"{told}, but may be chance among so many at {rate}"


def _headline_of_several(lookup: Lookup) -> str:
    alone = sum(lookup.kind(finding) == "stands out" for finding in lookup.findings)
    looked = number_of(lookup.images + len(lookup.problems), "image")
    more = f"; {number_of(alone, 'pair')} not named, but out of the ordinary" if alone else ""
    return f"Candidate sources of {lookup.named or 'none'} of {looked}{more}"


def _note(lookup: Lookup) -> str:
    """What the rate promises, and where nothing could have been named."""
    if lookup.too_few:
        return words.missing(lookup.null_size, level=lookup.level)
    promise = (
        f"Of the images that are named, {words.share(lookup.rate)} are expected to be wrong at "
        "most."
    )
    if lookup.several:
        return (
            f"Of the pairs of image and source that are named, {words.share(lookup.rate)} are "
            "expected to be wrong at most; pairs of several sources have to stand out farther."
        )
    limit = foretold(len(lookup.findings), images=lookup.null_size, rate=lookup.rate)
    return " ".join(filter(None, (promise, limit)))


def foretold(given: int, *, images: int, rate: float) -> str:
    """What a gallery is too small for, before anything is looked at; nothing where it is not.

    Args:
        given: generated images.
        images: different images of the gallery that p-values rest on, at most.
        rate: false-discovery rate.
    """
    at, here = words.share(rate), number_of(images, "image")
    needed = fewest_named(max(given, 1), null_size=images, rate=rate)
    if needed is None:
        least = conclusion.fewest(rate)
        return (
            f"At {at} nothing can be named here: that takes {least:,} images; there are {images}."
        )
    if needed == 1:
        return ""
    alone = int(rate * (images + 1) + 1e-9)
    return (
        f"With {here} here, none of {given} is named at {at} unless at least {needed} of them "
        f"stand out; a lone one can be named among {alone} at most."
    )


def lookup_report(lookup: Lookup, run: Run) -> str:
    """The table as a report for people.

    Args:
        lookup: what was found.
        run: how.
    """
    lines = [_line(place, finding, lookup) for place, finding in enumerate(lookup.findings)]
    pairs = Pairs(
        _headline(lookup),
        tuple(filter(None, (lookup.by, _note(lookup)))),
        [Sought(each.name, each.maker, each.picture) for each in lookup.sources],
        [Line(line.finding, line.result, line.source, line.picture) for line in lines],
    )
    return pairs_html(pairs, replace(run, refused=dict(lookup.problems)))


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
        words.number(finding.confidence, ".6f"),
        words.number(finding.p_value, ".6g"),
        words.number(finding.p_adjusted, ".6g"),
        "yes" if finding.named else "no",
        "",
    )


def _rounded(value: float | None) -> float | None:
    """A number of six digits."""
    return None if value is None else float(f"{value:.6g}")
