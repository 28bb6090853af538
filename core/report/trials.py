"""Trials of the self-test as JSON and as a table; docs/cli.md has the schemas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.evidence import words
from core.measures.variations.ways import WAYS
from core.report.objects import answer_object
from core.report.tables import csv_text
from core.service.selftest import Trial
from core.service.trials import Verdict

_COLUMNS = (
    *("picture", "way", "far", "traced", "first", "confidence", "p_value", "false", "taken_out"),
    "problem",
)


def trial_object(query: str, trial: Trial) -> dict[str, object]:
    """A trial as the JSON object of ``selftest --json``."""
    return {
        "query": query,
        "way": trial.way,
        "far": trial.far,
        "original": trial.original.id,
        "partner": None if trial.partner is None else trial.partner.id,
        "first": trial.first,
        "found": trial.found,
        "false": trial.false,
        "taken_out": [record.id for record in trial.taken_out],
        "present": answer_object(query, trial.present),
        "absent": answer_object(query, trial.absent),
    }


def traced(verdict: Verdict) -> str:
    """Whether a variation was traced to its image, in a few words."""
    if verdict.found:
        return "traced"
    return "first, not certain" if verdict.first else "missed"


def held(taken_out: Sequence[str]) -> str:
    """What became of what the gallery held of a picture; nothing where it held none of it."""
    if not taken_out:
        return ""
    first, *others = taken_out
    copies = ", with all near-duplicates," if others else ""
    return f"The gallery holds this picture, as {first}; for the test that{copies} was taken out."


def trials_csv(trials: Iterable[tuple[str, Verdict | str]]) -> str:
    """Trials as CSV, one row for each; for a picture that was refused, the reason.

    Args:
        trials: what the picture is called, and what came of its trial or why there was none.
    """
    return csv_text(_COLUMNS, [_cells(name, found) for name, found in trials])


def _cells(name: str, found: Verdict | str) -> list[object]:
    if isinstance(found, str):
        return [name, *[""] * 8, found]
    numbers = [words.number(found.confidence, ".6f"), words.number(found.p_value, ".6g")]
    told = ["yes" if each else "no" for each in (found.found, found.first, found.false)]
    return [
        name,
        WAYS[found.way].title,
        found.far,
        *told[:2],
        *numbers,
        told[2],
        "; ".join(found.taken_out),
        "",
    ]
