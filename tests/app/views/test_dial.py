"""Beside the dial stands what was measured there, and where nothing was, that."""

from __future__ import annotations

import json

from app.views.dial import MEASURED, dial_html
from benchmarks.quality.study import stored

ROWS = [
    {"way": "patches", "far": 0.25, "images": 20, "found": 19},
    {"way": "patches", "far": 0.75, "images": 30, "found": 7},
    {"way": "style", "far": 0.5, "images": 80, "found": 77},
]
KNOWN = {"encoder": "lite0", "rows": ROWS}


def test_the_counts_of_the_chosen_ways_and_place_are_told():
    html = dial_html(["patches"], 25, KNOWN)
    assert "at 25 %" in html
    assert "19 of 20 photographs" in html
    assert "77 of 80" not in html
    assert "7 of 30 photographs" in dial_html(["patches"], 75, KNOWN)


def test_a_place_without_a_measurement_says_so_and_names_its_neighbours():
    html = dial_html(["patches", "style", "paste"], 60, KNOWN)
    assert "not measured here; 19 of 20 photographs at 25 %, 7 of 30 photographs at 75 %" in html
    assert "not measured here; 77 of 80 photographs at 50 %</b>" in html
    assert "<b>not measured here</b>" in html
    assert dial_html([], 50, KNOWN) == ""


def test_what_ships_is_what_is_stored():
    """``python -m benchmarks.evidence.selftest --ship`` copies it."""
    shipped, measured = json.loads(MEASURED.read_text()), stored("selftest")
    assert measured is not None
    assert shipped["encoder"] == measured["encoder"]
    assert shipped["rows"] == [{name: row[name] for name in ROWS[0]} for row in measured["rows"]]
