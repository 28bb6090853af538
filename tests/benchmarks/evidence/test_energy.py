"""What an energy is at its ends, and how statistics are judged."""

from __future__ import annotations

import numpy as np

from benchmarks.evidence import energy

SCORES = -np.sort(-np.random.default_rng(0).normal(size=(50, 20)), axis=1)


def test_an_energy_is_the_best_score_for_small_and_the_mean_for_large_temperatures():
    small, large = (energy.energy(SCORES, temperature=t) for t in (1e-4, 1e4))
    np.testing.assert_allclose(small, SCORES[:, 0], atol=1e-3)
    np.testing.assert_allclose(large - 1e4 * np.log(20), SCORES.mean(1), atol=1e-3)
    naive = 0.5 * np.log(np.exp(SCORES / 0.5).sum(1))
    np.testing.assert_allclose(energy.energy(SCORES, temperature=0.5), naive)


def test_a_source_that_stands_out_has_power_and_one_that_does_not_has_none():
    absent = SCORES
    present = SCORES.copy()
    present[:, 0] += 10
    rows = energy.rates(present, absent, SCORES, [str(i) for i in range(50)])
    named = {row[0]: row[1:] for row in rows}
    assert named["margin"] == ["1.000", "1.000 [1.000, 1.000]", ".000"]
    lost = energy.rates(absent, absent, SCORES, [str(i) for i in range(50)])
    assert lost[0][1:] == [".500", ".000 [.000, .000]", ".000"]
    lifted = energy.rates(SCORES + 3, absent, SCORES, [str(i) for i in range(50)])
    assert {row[0]: row[1] for row in lifted}["margin"] == ".500"  # what lifts all drops out
    assert float({row[0]: row[1] for row in lifted}["best score"]) > 0.9
