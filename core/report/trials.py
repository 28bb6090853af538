"""Trials of the self-test as JSON; docs/cli.md has the schema."""

from __future__ import annotations

from core.report.objects import answer_object
from core.service.selftest import Trial


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
        "present": answer_object(query, trial.present),
        "absent": answer_object(query, trial.absent),
    }
