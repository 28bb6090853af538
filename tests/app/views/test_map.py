from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.views import map as views_map
from app.views.map import Drawing, Groups, Panel, Scene
from core.service import Example
from core.values import ImageRecord

PAGE: Any = SimpleNamespace(session_hash="page-0001")


def record(number: int, **fields: Any) -> ImageRecord:
    return ImageRecord(number, f"a/{number}.png", "0" * 64, "0" * 16, 8, 8, **fields)


def test_many_groups_share_the_last_colour():
    records = tuple(record(i, extra={"k": f"v{i % 30}"}) for i in range(90))
    scene = Scene(records, (Example(Path("q.png"), (), ""),))
    groups = views_map.group(scene, "factor:k")
    value: Any = views_map.value(
        Drawing("t", scene, (Panel("m", np.zeros((91, 2))),), groups, chosen=[2])
    )
    names = [entry["name"] for entry in value["legend"]]
    assert names[10:] == ["20 more", "Generated examples"]
    assert [entry["count"] for entry in value["legend"]] == [3] * 10 + [60, 1]
    of = np.frombuffer(base64.b64decode(value["groups"]), "<u2")
    assert np.bincount(of).tolist() == [3] * 10 + [60, 1]


def test_columns_that_name_every_image_are_no_colouring():
    records = tuple(record(i, extra={"seed": str(i), "kind": "ab"[i % 2]}) for i in range(9))
    keys = [key for _, key in views_map.colourings(Scene(records, ()))]
    assert "factor:kind" in keys
    assert "factor:seed" not in keys
    with pytest.raises(ValueError, match="cannot be coloured"):
        views_map.group(Scene(records, ()), "factor:seed")


def test_missing_values_are_a_grey_group_at_the_end():
    records = tuple(record(i, extra={"kind": "ab"[i % 2]} if i else {}) for i in range(9))
    groups = views_map.group(Scene(records, ()), "factor:kind")
    assert groups.names[-1] == "Not given"
    value: Any = views_map.value(
        Drawing("t", Scene(records, ()), (Panel("m", np.zeros((9, 2))),), groups)
    )
    assert value["legend"][-1]["shade"] == 11


def test_the_map_fills_the_square_whatever_its_outliers():
    """One far point had squeezed all others into a corner."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1_000, 2)) * [9, 1] + 100
    points[0] = [10_000, 100]
    first, second = views_map.within_square(points, points[:3])
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_allclose(first[:3], second)
    assert (np.quantile(first, 0.95, axis=0) - np.quantile(first, 0.05, axis=0) > 0.5).all()
    for axis in (0, 1):  # nobody passes anybody
        order = np.argsort(points[:, axis])
        assert (np.diff(first[order, axis]) >= 0).all()


def test_the_square_takes_points_that_are_all_alike():
    same = np.full((4, 2), 3.0)
    np.testing.assert_allclose(views_map.within_square(same, same)[0], 0.5, atol=1e-6)


def test_a_selection_names_the_groups_that_the_legend_joins():
    records = tuple(record(i, extra={"k": f"v{i % 30:02}"}) for i in range(90))
    scene = Scene(records, ())
    groups = views_map.group(scene, "factor:k")
    rows = [row for row in range(90) if row % 30 >= 20]
    words = views_map.selection_words(scene, rows, groups, shown=60)
    assert "v20 (3), v21 (3)" in words
    assert "v29 (3)" in words
    every = views_map.selection_words(scene, range(90), groups, shown=60)
    assert "v11 (3), 18 more groups" in every


def test_no_cell_of_the_table_is_a_formula():
    scene = Scene((record(0, title="=1+1", creator="@x", extra={"k": "-2"}),), ())
    groups = Groups(("=A",), (0,))
    rows = list(csv.reader(io.StringIO(views_map.table(scene, [0], [], groups))))
    assert not any(cell.startswith(("=", "@", "-")) for row in rows for cell in row)


def test_a_selection_follows_images_that_moved_and_drops_those_that_left():
    old, new = (Scene(tuple(record(i) for i in ids), ()) for ids in ((0, 1, 2), (2, 0)))
    drawing = Drawing("t", old, (), Groups(("all",), (0, 0, 0)), chosen=[1, 2])
    assert views_map.kept_rows(drawing, new) == [0]
