"""The words of an answer that stands among others: its cell of a table, its filter, its sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from core.evidence.conclusion import Outcome, outcome, sources
from core.evidence.words import TOO_FEW, Name, contender_names, sureness, title_or_path
from core.values import Answer

Kind = Literal["named", "one of", "none"]
"""What becomes of an image, as people look for it among many."""

KINDS: Mapping[Outcome, Kind] = {
    "named": "named",
    "identical": "named",
    "one of": "one of",
    "none": "none",
    "too few": "none",
    "empty": "none",
}
LABELS: Mapping[Kind, str] = {"named": "Named", "one of": "One of several", "none": "None"}
"""Filters of a table."""

COUNTED: Mapping[Kind, str] = {
    "named": "with a named source",
    "one of": "with one of several",
    "none": "without a source",
}
"""Behind a number of images."""

UNNAMED: Mapping[Outcome, str] = {
    "named": "",
    "identical": "",
    "one of": "the runner-up is too near",
    "none": "nothing stands out",
    "too few": "too few different images",
    "empty": "the gallery is empty",
}
"""Why an answer names no source; nothing where it does."""

Pair = Literal["named", "stands out", "no"]
"""What becomes of a generated image and a possible source of it."""

PAIR_LABELS: Mapping[Pair, str] = {"named": "Named", "stands out": "Stands out", "no": "Not"}
"""Filters of a table."""

PAIRS: Mapping[Pair, str] = {
    "named": "Candidate source",
    "stands out": "Stands out by itself, not named",
    "no": "Not told from chance",
}
"""Cells of a table."""

REFUSED = "Refused"
"""The filter of images that could not be taken."""


def kind_of(answer: Answer) -> Kind:
    """What becomes of an answer's image."""
    return KINDS[outcome(answer)]


def in_short(answer: Answer, *, name: Name = title_or_path) -> str:
    """An answer by itself in a few words; its source is named beside them.

    Args:
        answer: the answer.
        name: what an image is called.
    """
    found = outcome(answer)
    told = {
        "empty": "The gallery is empty",
        "identical": "Candidate source, the very same file",
        "too few": TOO_FEW,
        "none": "None stands out",
    }
    if found in told:
        return told[found]
    shared = sources(answer.groups)
    sures = [group.confidence or 0.0 for group in shared]
    if found == "one of":
        several = "One of these" if len(shared) == 1 else "One or more of these"
        return f"{several}, {sureness(max(sures))}: {contender_names(answer, name=name)}"
    count = "Candidate source" if len(shared) == 1 else f"{len(shared)} candidate sources"
    return f"{count}, {sureness(min(sures))}"
