"""The bars of the evidence count what they say."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.evidence.bars import (
    Judged,
    Setting,
    calibration_error,
    false_attributions,
    largest_count,
    power_bars,
)
from benchmarks.evidence.galleries import Asked
from benchmarks.evidence.law import fit_law
from benchmarks.evidence.plots import curves, plot


def _asked(strengths, *, p_values=None, right=False):
    """Answers whose first groups are so strong."""
    strengths = np.asarray(strengths, float)
    stated = 1 / (1 + np.exp(-2.0 * (strengths - 3)))
    sizes = np.full(len(strengths), 2_000)
    counted = 1 / (sizes + 1) if p_values is None else np.asarray(p_values)  # bounds no confidence
    p_values = np.ones(len(strengths)) if p_values is None else np.asarray(p_values)
    yes = np.full(len(strengths), True)
    return Asked(p_values, counted, counted, strengths, stated, sizes, yes, yes & right)


def _setting(seed=0, *, midpoint=3.0, slope=2.0, n=120):
    """Strengths and truth that follow a known law."""
    rng = np.random.default_rng(seed)
    there = rng.uniform(0, 6, n)
    right = rng.random(n) < 1 / (1 + np.exp(-slope * (there - midpoint)))
    pairs = [
        SimpleNamespace(generator="gan" if i % 2 else "edit", cluster=str(i), half="tune")
        for i in range(n)
    ]
    absent = np.full(n, -50.0)  # so far away that they teach nothing
    return Setting(
        held_out=Judged(_asked(absent), [str(i) for i in range(n)]),
        of_their_kind=Judged(_asked(absent), [str(i) for i in range(n)]),
        synthetic={},
        pairs=pairs,  # pyright: ignore[reportArgumentType]
        present=_asked(there, right=right),
        absent=_asked(absent),
    )


def test_the_fit_recovers_the_law_that_made_the_outcomes():
    law = fit_law([_setting(seed, n=400) for seed in range(3)])
    assert law.midpoint == pytest.approx(3.0, abs=0.3)
    assert law.slope == pytest.approx(2.0, rel=0.25)


def test_a_generator_that_is_left_out_teaches_nothing():
    setting = _setting()
    right = setting.present.right
    spoilt = np.where(setting.generators == "edit", ~right, right)
    other = replace(setting, present=replace(setting.present, right=spoilt))
    assert fit_law([setting], without="edit") == fit_law([other], without="edit")
    assert fit_law([setting]) != fit_law([other])


def test_most_successes_that_a_binomial_test_allows():
    assert [largest_count(4000, a) for a in (0.01, 0.05)] == [51, 223]
    assert [largest_count(956, a) for a in (0.01, 0.05)] == [15, 59]
    assert [largest_count(160, a) for a in (0.01, 0.05)] == [4, 13]
    assert [largest_count(116, a) for a in (0.01, 0.05)] == [3, 10]


def test_queries_of_one_cluster_count_once():
    p_values = [0.001] * 40 + [0.9, 0.8]
    judged = Judged(_asked(np.zeros(42), p_values=p_values), ["a"] * 40 + ["b", "c"])
    assert false_attributions(judged, level=0.01, draws=9) == (1, 3)


@pytest.mark.parametrize(
    ("single", "edits", "held"),
    [(97, 45, [True, True, True]), (96, 44, [False, False, True])],
)
def test_power_is_held_to_its_bars(single, edits, held):
    """Of 100 images of a single-image generator, and of 100 edits of which 50 come first."""
    names = ["SinGAN"] * 100 + ["Gemini 2.5 Flash Image"] * 100
    pairs = [SimpleNamespace(generator=g, cluster=f"{i}") for i, g in enumerate(names)]
    p_values = np.full(200, 0.04)
    p_values[:single] = p_values[100 : 100 + edits] = 0.01
    asked = _asked(np.zeros(200), p_values=p_values, right=np.arange(200) < 150)
    bars = power_bars(replace(_setting(), pairs=pairs, present=replace(asked, named=asked.right)))
    assert [bar.holds for bar in bars] == held
    assert bars[1].found == f"{edits / 100:.2f} at 1 %, 0.50 at 5 %, 0.50 first"


@pytest.mark.parametrize(("wrong", "held"), [(3, True), (4, False)])
def test_names_are_held_to_their_precision(wrong, held):
    setting = _setting(n=100)
    asked = _asked(np.zeros(100), right=np.arange(100) >= wrong)
    pairs = [
        SimpleNamespace(generator=g, cluster=p.cluster)
        for p, g in zip(setting.pairs, ["SinGAN", "Gemini 2.5 Flash Image"] * 50, strict=True)
    ]
    bars = power_bars(replace(setting, pairs=pairs, present=asked))
    assert bars[-1].holds is held


def test_stated_shares_that_come_true_have_no_calibration_error():
    stated, weight = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 20), np.ones(100)
    right = np.concatenate([np.arange(20) < n for n in (2, 6, 10, 14, 18)])
    assert calibration_error(stated, right, weight) == pytest.approx(0, abs=1e-9)
    assert calibration_error(1 - stated, right, weight) > 0.4


def test_curves_follow_what_is_stated_and_what_is_right(tmp_path):
    found = curves(_setting(n=400), draws=5)
    stated, right = np.array(found["reliability"]).T
    assert (np.diff(stated) > 0).all()
    assert right[0] < 0.1 < 0.9 < right[-1]
    answered, wrong = np.array(found["risk"]).T
    assert (np.diff(answered) >= 0).all()
    assert answered[-1] == 1
    assert wrong[-1] > 0.4  # half of the sources are not there
    plot(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "evidence_reliability.svg",
        "evidence_risk.svg",
    }
