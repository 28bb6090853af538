"""The bars of the evidence count what they say, and what is kept is of the same question."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks.evidence.__main__ import _one_per_group
from benchmarks.evidence.bars import (
    Judged,
    Setting,
    calibration_error,
    false_attributions,
    fitted,
    largest_count,
)
from benchmarks.evidence.law import fit_law
from benchmarks.evidence.plots import curves, plot
from benchmarks.evidence.ranked import KEPT, Ranked, kept, resaves
from core.config import NullConfig


def _scores(standings):
    """Rankings whose best group stands out by so much."""
    scores = np.zeros((len(standings), KEPT))
    scores[:, 0] = standings
    return scores


def _setting(seed=0, *, turning=3.0, steepness=2.0, n=120):
    """Standings and truth that follow a known law, in medians of the null."""
    rng = np.random.default_rng(seed)
    null = rng.uniform(0.5, 1.5, 1001)
    unit = float(np.median(null))
    there = rng.uniform(0, 6, n)
    right = rng.random(n) < 1 / (1 + np.exp(-steepness * (there - turning)))
    pairs = [
        SimpleNamespace(generator="gan" if i % 2 else "edit", cluster=str(i), half="tune")
        for i in range(n)
    ]
    absent = np.full(n, -50.0)  # so far away that they teach nothing
    return Setting(
        null=_scores(null),
        held_out=Judged(_scores(null), [str(i) for i in range(len(null))]),
        synthetic={},
        pairs=pairs,  # pyright: ignore[reportArgumentType]
        present=_scores(there * unit),
        right=right,
        absent=_scores(absent),
    )


def test_the_fit_recovers_the_law_that_made_the_outcomes():
    law = fit_law([_setting(seed, n=400) for seed in range(3)])
    assert law.turning == pytest.approx(3.0, abs=0.3)
    assert law.steepness == pytest.approx(2.0, rel=0.25)


def test_a_generator_that_is_left_out_teaches_nothing():
    setting = _setting()
    spoilt = np.where(setting.generators == "edit", ~setting.right, setting.right)
    other = Setting(**{**vars(setting), "right": spoilt})
    assert fit_law([setting], without="edit") == fit_law([other], without="edit")
    assert fit_law([setting]) != fit_law([other])


def test_most_successes_that_a_binomial_test_allows():
    assert [largest_count(4000, a) for a in (0.01, 0.05)] == [51, 223]
    assert [largest_count(956, a) for a in (0.01, 0.05)] == [15, 59]
    assert [largest_count(160, a) for a in (0.01, 0.05)] == [4, 13]
    assert [largest_count(116, a) for a in (0.01, 0.05)] == [3, 10]


def test_queries_of_one_cluster_count_once():
    null = fitted(_scores(np.linspace(0, 1, 999)))
    judged = Judged(_scores(np.array([5.0] * 40 + [0.1, 0.2])), ["a"] * 40 + ["b", "c"])
    assert false_attributions(null, judged, level=0.01, draws=9) == (1, 3)


def test_stated_shares_that_come_true_have_no_calibration_error():
    stated, weight = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 20), np.ones(100)
    right = np.concatenate([np.arange(20) < n for n in (2, 6, 10, 14, 18)])
    assert calibration_error(stated, right, weight) == pytest.approx(0, abs=1e-9)
    assert calibration_error(1 - stated, right, weight) > 0.4


def test_one_row_of_every_group_is_drawn():
    groups = np.array([0, 0, 2, 3, 3, 3])
    drawn = _one_per_group(groups)
    assert sorted(groups[drawn]) == [0, 2, 3]


def test_a_ranking_is_kept_for_its_question_alone(tmp_path):
    """Keyed by name alone, rankings of one set of queries were read for another."""

    def rank(value):
        return lambda: Ranked(np.full((2, KEPT), value), np.zeros((2, KEPT), int))

    first = kept(tmp_path, "photos", ("a", np.arange(3)), rank(1.0))
    assert kept(tmp_path, "photos", ("a", np.arange(3)), rank(2.0)).scores[0, 0] == 1
    assert first.scores[0, 0] == 1
    assert kept(tmp_path, "photos", ("a", np.arange(4)), rank(2.0)).scores[0, 0] == 2
    assert kept(tmp_path, "photos", ("b", np.arange(3)), rank(3.0)).scores[0, 0] == 3


def test_resaves_differ_from_their_image_and_from_each_other():
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    image = Image.fromarray(noise).resize((160, 120))
    made = resaves(image, 10)
    assert len({copy.tobytes() for copy in made}) == 10
    assert image.tobytes() not in {copy.tobytes() for copy in made}
    assert NullConfig().queries >= 2_000


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
