"""Lines are those of least relative squares; the plan follows from what is stored and assumed."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scale.plan import (
    FITTED,
    SIZES,
    Inputs,
    Line,
    breaking,
    fitted,
    lines,
    planned,
    table,
)
from benchmarks.scale.table import PAGE, RESULTS

STORED = json.loads(RESULTS.read_text())


def test_a_line_is_found_again() -> None:
    line = fitted({n: 3 + 0.25 * n for n in (10, 100, 1_000)})
    assert (line.base, line.slope) == pytest.approx((3, 0.25))
    assert line.at(10_000) == pytest.approx(2_503)
    assert line.reaches(2_503) == pytest.approx(10_000)


def test_nothing_gets_smaller_with_more_images() -> None:
    line = fitted({10: 5.0, 1_000: 4.0})
    assert line.slope == 0 and 4 < line.base < 5
    assert line.reaches(100) == math.inf


def test_small_galleries_count_as_much_as_large_ones() -> None:
    """By plain squares the largest would decide alone."""
    values = {10: 2.0, 20: 3.0, 10_000: 1_400.0}
    relative = [abs(fitted(values).at(n) / value - 1) for n, value in values.items()]
    slope, base = np.polyfit(list(values), list(values.values()), 1)
    plain = [abs(Line(base, slope).at(n) / value - 1) for n, value in values.items()]
    assert sum(np.square(relative)) < sum(np.square(plain))


def test_what_is_checked_was_not_fitted() -> None:
    """A line that is checked does not change with the larger gallery that it is checked by."""
    capacity = STORED["capacity"]
    larger = max(capacity["sizes"], key=int)
    assert int(larger) > FITTED
    without = {n: each for n, each in capacity["sizes"].items() if n != larger}
    assert lines(capacity, most=FITTED) == lines({**capacity, "sizes": without})
    assert lines(capacity, most=FITTED) != lines(capacity)


def test_a_plan_follows_its_inputs() -> None:
    found = lines(STORED["capacity"])

    def number(name: str, inputs: Inputs, n: int = SIZES[0]) -> float:
        return float(planned(STORED, found, inputs, n=n)[name].replace(",", ""))

    one, name = Inputs(), "encoding on 1 GPU, hours"
    assert number(name, replace(one, gpu_images=one.gpu_images / 10)) == pytest.approx(
        10 * number(name, one), rel=0.05
    )
    assert number(name, one) == pytest.approx(SIZES[0] / one.gpu_images / 3_600, abs=0.05)
    machines = "machines that search"
    assert number(machines, replace(one, memory=0.1)) == math.ceil(
        found["index bytes"].at(SIZES[0]) / 1e8
    )
    assert number("build, euros", replace(one, gpu=25)) > 2 * number("build, euros", one)


def test_what_breaks_first_comes_first() -> None:
    at = [n for n, _ in breaking(STORED, lines(STORED["capacity"]), Inputs())]
    assert at == sorted(at) and len(at) == 7
    less = breaking(STORED, lines(STORED["capacity"]), replace(Inputs(), memory=1e-6))
    assert "codes take" in less[0][1]


def test_the_page_has_what_is_stored() -> None:
    assert table(STORED, Inputs()) in PAGE.read_text(encoding="utf-8")
