"""What a trial is said to come to, and what that word counts as elsewhere on the page."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from app.views.selftest import trial_html
from core.service import Trial, verdict_of
from tests.app.made import answer, group, record


def test_a_missed_partner_is_not_called_right():
    """It was, while the table of what is said counted the same answer as wrong."""
    picture = Image.new("RGB", (8, 8))
    nothing = answer(group(1, influence=0.0), none=1.0, named=False, p_value=0.6)
    mixed = Trial("blend", 0.5, record(9), record(1), picture, replace(nothing), nothing)
    alone = replace(mixed, way="patches", partner=None)
    shown = dict.fromkeys((1, 9), picture)
    assert not verdict_of(mixed).claims[1].right
    assert "No false answer: nothing is taken for a source, not even" in trial_html(mixed, shown)
    assert verdict_of(alone).claims[1].right
    assert "Right: nothing is taken for a source." in trial_html(alone, shown)
