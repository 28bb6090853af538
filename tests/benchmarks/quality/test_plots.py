import re

import pytest

from benchmarks.quality.plots import Point, lines

POINTS = [Point(0.0, 0, 0), Point(1.0, 1, 1)]


def test_a_line_stands_where_its_values_are(tmp_path):
    text = lines(tmp_path / "a.svg", "a < b", {"one": POINTS}, places=["x", "y"], unit="z")
    assert text == "![a < b](plots/a.svg)"
    drawn = (tmp_path / "a.svg").read_text()
    assert "a &lt; b" in drawn
    path = re.search(r'<path d="M ([\d. ]+) \nL ([\d. ]+) \n" clip-path[^>]*stroke: #1f77b4', drawn)
    (x0, y0), (x1, y1) = ([float(v) for v in point.split()] for point in path.groups())
    assert x0 < x1
    assert y0 > y1 + 100


def test_the_same_numbers_are_the_same_bytes(tmp_path):
    """A date and random identifiers made every plot of the docs a change."""
    for name in ("a", "b"):
        lines(tmp_path / name, "t", {"one": POINTS}, places=["x", "y"], unit="z")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    lines(tmp_path / "b", "t", {"two": POINTS}, places=["x", "y"], unit="z")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_a_line_has_a_point_for_every_place(tmp_path):
    with pytest.raises(ValueError, match="one has 2 points for 1 places"):
        lines(tmp_path / "a.svg", "", {"one": POINTS}, places=["x"], unit="")
