"""A bar that is missed is named, and ends a measurement with status 1."""

from __future__ import annotations

import pytest

from benchmarks.speed.bars import Bars


def test_bars_that_are_held_end_well(capsys: pytest.CaptureFixture[str]):
    bars = Bars()
    bars.hold("answer", 1.94, 2.0, "s")
    bars.hold("shift", 0.05, 0.05)
    bars.end()
    said = capsys.readouterr()
    assert "answer: 1.9 s (bar 2.0 s: held)" in said.out + said.err
    assert "shift: 0.050 (bar 0.050: held)" in said.out + said.err


def test_one_that_is_missed_is_named_in_the_end(capsys: pytest.CaptureFixture[str]):
    bars = Bars()
    bars.hold("answer", 2.04, 2.0, "s")
    bars.hold("shift", 0.01, 0.05)
    with pytest.raises(SystemExit) as ended:
        bars.end()
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert "MISSED" in said.out + said.err
    assert "1 missed: answer" in said.out + said.err


def test_what_is_to_be_reached_is_missed_from_below(capsys: pytest.CaptureFixture[str]):
    bars = Bars()
    bars.reach("build / parts", 0.95, 0.95)
    assert not bars.missed
    bars.reach("build / parts", 0.94, 0.95)
    assert bars.missed == ["build / parts"]
    said = capsys.readouterr()
    assert "build / parts: 0.940 (bar 0.950: MISSED)" in said.out + said.err
