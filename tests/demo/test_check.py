"""The printed account of the example queries counts what it says."""

from __future__ import annotations

from pathlib import Path

from core.gallery.examples import Example
from demo.check import Result, line, totals


def outcome(*ranks: int | None, none: bool = False, control: tuple[int | None, ...] = ()) -> Result:
    sources = tuple(f"{number}.webp" for number in range(len(ranks)))
    return Result(Example(Path("q-000.webp"), sources, "kind"), ranks, none, control)


def test_totals_count_each_claim_over_its_own_queries():
    found = [
        outcome(1, control=(1,)),
        outcome(2, 1, control=(None, 3)),
        outcome(1, 6, none=True, control=(1, 2)),
        outcome(None, control=(None,)),
        outcome(none=True),
        outcome(),
    ]
    assert [text.rpartition(": ")[2] for text in totals(found)] == [
        "3 of 4",
        "1 of 2",
        "3 of 4",
        "1 of 2",
        "2 of 4",
    ]


def test_a_line_tells_ranks_and_verdict():
    text = line(outcome(3, None, none=True, control=(7, 1)))
    assert "3 -" in text
    assert "7 1" in text
    assert text.endswith("none of these")
    assert line(outcome(1)).endswith("attributed")
