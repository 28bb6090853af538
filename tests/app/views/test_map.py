from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from app.views import map as views_map
from app.views import near, selection
from app.views.map import Drawing, Panel
from app.views.scene import Groups, Scene, group
from core.service import Example
from tests.app.views.records import record


def test_many_groups_share_the_last_colour():
    records = tuple(record(i, extra={"k": f"v{i % 30}"}) for i in range(90))
    scene = Scene(records, (Example(Path("q.png"), (), ""),))
    groups = group(scene, "factor:k")
    value: Any = views_map.value(
        Drawing("t", scene, (Panel("m", np.zeros((91, 2))),), groups, chosen=[2])
    )
    names = [entry["name"] for entry in value["legend"]]
    assert names[10:] == ["20 more", "Generated examples"]
    assert [entry["count"] for entry in value["legend"]] == [3] * 10 + [60, 1]
    of = np.frombuffer(base64.b64decode(value["groups"]), "<u2")
    assert np.bincount(of).tolist() == [3] * 10 + [60, 1]


def test_missing_values_are_a_grey_group_at_the_end():
    records = tuple(record(i, extra={"kind": "ab"[i % 2]} if i else {}) for i in range(9))
    groups = group(Scene(records, ()), "factor:kind")
    assert groups.names[-1] == "Not given"
    value: Any = views_map.value(
        Drawing("t", Scene(records, ()), (Panel("m", np.zeros((9, 2))),), groups)
    )
    assert value["legend"][-1]["shade"] == 11


def test_a_selection_names_the_groups_that_the_legend_joins():
    records = tuple(record(i, extra={"k": f"v{i % 30:02}"}) for i in range(90))
    scene = Scene(records, ())
    groups = group(scene, "factor:k")
    rows = [row for row in range(90) if row % 30 >= 20]
    words = selection.selection_words(scene, rows, groups, shown=60)
    assert "v20 (3), v21 (3)" in words
    assert "v29 (3)" in words
    every = selection.selection_words(scene, range(90), groups, shown=60)
    assert "v11 (3), 18 more groups" in every


def test_a_selection_counts_only_what_is_in_it():
    """ "0 gallery images and 2 generated examples selected"."""
    scene = Scene((record(0),), (Example(Path("q.png"), (), ""), Example(Path("r.png"), (), "")))
    words = selection.selection_words(scene, [1, 2], group(scene, "domain"), shown=60)
    assert words == "2 generated examples selected."


def test_words_of_a_selection_are_no_markdown():
    """A creator's name was a link to anywhere."""
    texts = ("[a](https://b)", "<i>c</i>") * 2
    scene = Scene(tuple(record(i, extra={"k": text}) for i, text in enumerate(texts)), ())
    words = selection.selection_words(scene, [0, 1], group(scene, "factor:k"), shown=60)
    assert r"\[a\]\(https://b\) (1)" in words and r"\<i\>c" in words
    told = near.neighbour_words(record(0, title="[a](https://b)"), [(record(1, title="*"), 0.5)])
    assert r"\[a\]\(https://b\)" in told and r"is \*," in told


def test_no_cell_of_the_table_is_a_formula():
    scene = Scene((record(0, title="=1+1", creator="@x", extra={"k": "-2"}),), ())
    groups = Groups(("=A",), (0,))
    rows = list(csv.reader(io.StringIO(selection.table(scene, [0], [], groups))))
    assert not any(cell.startswith(("=", "@", "-")) for row in rows for cell in row)


def test_a_selection_follows_images_that_moved_and_drops_those_that_left():
    old, new = (Scene(tuple(record(i) for i in ids), ()) for ids in ((0, 1, 2), (2, 0)))
    drawing = Drawing("t", old, (), Groups(("all",), (0, 0, 0)), chosen=[1, 2])
    assert selection.kept_rows(drawing, new) == [0]
