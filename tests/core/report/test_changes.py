"""What a change is said to have done."""

from __future__ import annotations

from core.gallery.commit import Change
from core.report.changes import change_lines, change_object


def test_the_recall_of_a_walk_is_told_and_nothing_where_all_are_compared() -> None:
    plain, walked = Change(3, 3, 0), Change(30_000, 3, 0, recall={"lite0": 0.9662, "edges": 0.985})
    assert not any("walk" in line for line in change_lines(plain, prune=""))
    told = [line for line in change_lines(walked, prune="") if "walk" in line]
    assert told[0].startswith("lite0: ")
    assert "96.6%" in told[0]
    assert "98.5%" in told[1]
    assert change_object(walked)["recall"] == {"lite0": 0.9662, "edges": 0.985}
