"""How often the self-test traced a variation to its photograph, as measured along the dial."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from app.views.templates import render
from core.service import WAYS, encoder_infos

MEASURED = Path(__file__).parents[2] / "assets" / "app" / "selftest.json"
"""The counts, which ``python -m benchmarks.evidence.selftest`` writes."""


def dial_html(ways: Sequence[str], far: float, measured: Mapping[str, Any] | None = None) -> str:
    """What was measured of the chosen ways at a place of the dial.

    Args:
        ways: names of the ways.
        far: the place of the dial, percent.
        measured: the counts; by default those that come with the program.
    """
    known = _shipped() if measured is None else measured
    lines = [(WAYS[way].title, _words(way, round(far), known["rows"])) for way in ways]
    if not lines:
        return ""
    name = known["encoder"]
    encoder = next((info.title for info in encoder_infos() if info.name == name), name)
    return render("dial", at=round(far), lines=lines, encoder=encoder)


def _words(way: str, far: int, rows: Sequence[Mapping[str, Any]]) -> str:
    """The count at a place, or that there is none and what the nearest places have."""
    found = {
        round(100 * row["far"]): f"{row['found']} of {row['images']} photographs"
        for row in rows
        if row["way"] == way
    }
    if far in found:
        return found[far]
    below, above = [p for p in found if p < far], [p for p in found if p > far]
    near = [*sorted(below)[-1:], *sorted(above)[:1]]
    beside = ", ".join(f"{found[place]} at {place} %" for place in near)
    return f"not measured here; {beside}" if beside else "not measured here"


@cache
def _shipped() -> Mapping[str, Any]:
    return json.loads(MEASURED.read_text(encoding="utf-8"))
