"""What a change is said to have done."""

from __future__ import annotations

import csv
import io

from core.gallery.commit import Change
from core.gallery.metadata import TableAccount
from core.gallery.source import Account
from core.report.changes import account_csv, change_lines, change_object


def test_the_recall_of_a_walk_is_told_and_nothing_where_all_are_compared() -> None:
    plain, walked = Change(3, 3, 0), Change(30_000, 3, 0, recall={"lite0": 0.9662, "edges": 0.985})
    assert not any("walk" in line for line in change_lines(plain, prune=""))
    told = [line for line in change_lines(walked, prune="") if "walk" in line]
    assert told[0].startswith("lite0: ")
    assert "96.6%" in told[0]
    assert "98.5%" in told[1]
    assert change_object(walked)["recall"] == {"lite0": 0.9662, "edges": 0.985}


def test_words_table_and_object_agree_on_images_with_a_row() -> None:
    """Files that could not be read were counted as images."""
    table = TableAccount("metadata.csv", 3, {"the exact path": 3}, (), 0, ())
    account = Account(3, ("c.png",), ("x.jpg",), (table,), ("labels.csv",), {"creator": 1}, {}, ())
    change = Change(3, 3, 0, account=account)
    lines = change_lines(change, prune="")
    assert "2 of 3 images have a row; without: c.png" in lines
    assert "1 file with a row, but no image of the gallery: x.jpg" in lines
    rows = {(row["what"], row["name"]) for row in csv.DictReader(io.StringIO(account_csv(change)))}
    assert rows == {
        ("image without row", "c.png"),
        ("row of a file left out", "x.jpg"),
        ("table not read", ""),
    }
    assert any(
        line.startswith("1 file not read, though") and "labels.csv" in line for line in lines
    )
    told = change_object(change)["account"]
    assert isinstance(told, dict)
    assert (told["images"], told["bare"], told["left_out"]) == (3, ("c.png",), ("x.jpg",))
