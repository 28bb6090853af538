"""Measures against known factors: what they tell apart, and the values of the published code.

Published values are those of https://github.com/google-research/disentanglement_lib/tree/
76f41e39cdeff8517f7fba9d57b09f35703efca9/disentanglement_lib/evaluation/metrics (Locatello et al.
2019, Apache-2.0), whose functions were run on the arrays below with numpy 2.4 and scikit-learn 1.9.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from sklearn.metrics import balanced_accuracy_score, mutual_info_score, roc_curve

from core.config import FactorConfig
from core.measures.reports import MEASURES, FactorReport
from core.measures.supervised import (
    balanced_accuracy,
    concentration,
    factor_vae,
    least_varying,
    mean_gap,
    mutual_information_gap,
    threshold_scores,
    with_factors,
)

N = 800
NAMES = ("hue", "shape", "size", "light")
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def factors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(4, size=N) for name in NAMES}


@pytest.fixture(scope="module")
def coded(factors: dict[str, np.ndarray]) -> np.ndarray:
    """Each factor in one dimension with a little noise, and two dimensions of noise alone."""
    rng = np.random.default_rng(1)
    values = np.stack(list(factors.values()), axis=1)
    return np.concatenate([values, rng.normal(size=(N, 2))], axis=1) + 0.05 * rng.normal(
        size=(N, 6)
    )


@pytest.fixture(scope="module")
def ideal(coded: np.ndarray, factors: dict[str, np.ndarray]) -> FactorReport:
    return with_factors(coded, factors, seed=0)


def test_a_factor_per_dimension_scores_near_the_top(ideal: FactorReport):
    assert (ideal.images, ideal.factors) == (N, NAMES)
    assert ideal.disentanglement > 0.97
    assert ideal.completeness > 0.97
    assert ideal.informativeness > 0.99
    assert ideal.mig > 0.9
    assert ideal.sap > 0.65  # four values: at most .75
    assert ideal.factor_vae == 1
    np.testing.assert_array_equal(ideal.importance.argmax(axis=1), range(4))
    np.testing.assert_allclose(ideal.importance.sum(axis=1), 1)


@pytest.mark.slow
def test_a_rotation_that_mixes_all_factors_alike_scores_clearly_lower_but_stays_informative(
    coded: np.ndarray, factors: dict[str, np.ndarray], ideal: FactorReport
):
    """Any rotation lowers all but FactorVAE; one that mixes evenly lowers FactorVAE too."""
    turn = linalg.block_diag(linalg.hadamard(4) / 2, np.eye(2))
    turned = with_factors(coded @ turn, factors, seed=0)
    for name in ("disentanglement", "completeness", "mig", "sap", "factor_vae"):
        assert getattr(turned, name) < getattr(ideal, name) - 0.3, name
    assert turned.informativeness > 2 * turned.chances.mean()
    random = with_factors(coded @ stats.ortho_group.rvs(6, random_state=0), factors, seed=0)
    for name in ("disentanglement", "completeness", "mig", "sap"):
        assert getattr(random, name) < getattr(ideal, name) - 0.3, name


def test_independent_noise_scores_near_nothing(factors: dict[str, np.ndarray]):
    noise = with_factors(np.random.default_rng(5).normal(size=(N, 6)), factors, seed=0)
    assert noise.disentanglement < 0.1
    assert noise.completeness < 0.1
    assert noise.mig < 0.05
    assert noise.sap < 0.05
    assert noise.factor_vae == pytest.approx(1 / 4, abs=0.15)
    np.testing.assert_allclose(noise.accuracies, noise.chances, atol=0.08)


def test_a_factor_in_two_dimensions_is_disentangled_but_not_complete():
    rng = np.random.default_rng(0)
    a, b = rng.integers(4, size=(2, N))
    codes = np.stack([a, a, b, b], axis=1) + 0.05 * rng.normal(size=(N, 4))
    report = with_factors(codes, {"a": a, "b": b}, seed=0)
    assert report.disentanglement > 0.95
    assert report.completeness < 0.7
    assert report.mig < 0.1
    assert report.sap < 0.1


def test_a_dimension_of_two_factors_is_complete_but_not_disentangled():
    rng = np.random.default_rng(0)
    a, b, c, e = rng.integers(2, size=(4, N))
    codes = np.stack([2 * a + b, 2 * c + e], axis=1) + 0.05 * rng.normal(size=(N, 2))
    report = with_factors(codes, {"a": a, "b": b, "c": c, "e": e}, seed=0)
    assert report.completeness > 0.9
    assert report.disentanglement < 0.6
    assert report.informativeness > 0.99


@pytest.mark.slow
def test_the_same_seed_repeats_and_order_of_dimensions_does_not_matter_to_mig(
    coded: np.ndarray, factors: dict[str, np.ndarray], ideal: FactorReport
):
    again = with_factors(coded, factors, seed=0)
    np.testing.assert_array_equal(again.importance, ideal.importance)
    assert (again.sap, again.factor_vae) == (ideal.sap, ideal.factor_vae)
    other = with_factors(coded[:, ::-1], factors, seed=1)
    assert other.mig == pytest.approx(ideal.mig)
    assert (other.importance != ideal.importance).any()


def test_labels_are_names_not_amounts(
    coded: np.ndarray, factors: dict[str, np.ndarray], ideal: FactorReport
):
    renamed = {name: np.array([70, -3, 900, 5])[values] for name, values in factors.items()}
    report = with_factors(coded, renamed, seed=0)
    assert report.mig == pytest.approx(ideal.mig)
    assert report.sap == pytest.approx(ideal.sap, abs=0.02)
    assert report.factor_vae == pytest.approx(ideal.factor_vae, abs=0.05)


# Published values

PLACES = np.arange(240)


def test_dci_has_the_values_of_the_published_code():
    """``completeness`` and ``disentanglement`` of dci.py, which adds 1e-11 to every importance."""
    codes_by_factors = np.array(
        [[8, 1, 1, 0], [0, 2, 2, 4], [0, 0, 0, 0], [3, 3, 3, 3], [0, 5, 0, 0.5]]
    )
    disentanglement = concentration(codes_by_factors)
    completeness = concentration(codes_by_factors.T)
    assert disentanglement == pytest.approx(0.3290631777659876, abs=1e-9)
    assert completeness == pytest.approx(0.4262932141599949, abs=1e-9)


def test_dci_of_importances_without_order_and_of_none():
    assert concentration(np.eye(3)) == pytest.approx(1)
    assert concentration(np.ones((3, 3))) == pytest.approx(0)
    assert concentration(np.zeros((3, 3))) == 0


def test_mig_has_the_value_of_the_published_code():
    """``discrete_mig`` of mig.py with ``histogram_discretizer`` of 20 bins."""
    i = PLACES
    labels = np.stack([i % 3, i // 3 % 4, i * 7 % 5])
    codes = [
        labels[0] + (i * 37 % 100) / 107,
        3 * labels[1] + labels[0] + (i * 53 % 97) / 89,
        (i * 29 % 90) / 89,
        labels[2] ** 2 + labels[1] / 2 + (i * 61 % 83) / 83,
        (labels[2] + (i * 41 % 107) / 101) % 4,
    ]
    found = mutual_information_gap(np.stack(codes, axis=1), labels, bins=20)
    assert found == pytest.approx(0.3336684382520479, rel=1e-12)


def test_sap_has_the_value_of_the_published_code():
    """``_compute_score_matrix`` and ``_compute_avg_diff_top_two`` of sap_score.py.

    For factors of two equally frequent values, where a threshold is a linear classifier and plain
    accuracy is balanced; our trees can also tell a value that lies between two others.
    """
    i = PLACES
    labels = np.stack([i % 2, i // 2 % 2])
    first, second = 2 * labels - 1
    codes = [
        first * np.where(i // 4 % 10 < 9, 1, -1),
        first * np.where(i // 4 % 5 < 3, 1, -1),
        second * 3,
        second * np.where(i // 4 % 20 < 15, 1, -1),
        np.where(i // 4 % 2 == 0, 1, -1),
    ]
    found = threshold_scores(np.stack(codes, axis=1).astype(float), labels, fit=i, test=i)
    expected = np.array([[0.9, 0.5], [0.6, 0.5], [0.5, 1.0], [0.5, 0.75], [0.5, 0.5]])
    np.testing.assert_allclose(found, expected)
    assert mean_gap(found) == pytest.approx(0.275)


# Definitions


@quick
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_concentration_does_not_see_order_or_scale_and_stays_in_range(seed: int, scale: float):
    rng = np.random.default_rng(seed)
    importance = rng.gamma(0.3, size=(4, 5)) + 1e-12
    moved = scale * importance[rng.permutation(4)][:, rng.permutation(5)]
    assert concentration(moved) == pytest.approx(concentration(importance))
    assert -1e-12 <= concentration(importance) <= 1 + 1e-12


def test_mig_is_the_gap_of_mutual_information_over_entropy():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=(2, 90))
    codes = rng.normal(size=(90, 4))
    codes[:, 1] += 2 * labels[0]
    binned = [stats.binned_statistic(c, c, "count", bins=7).binnumber for c in codes.T]
    gaps = []
    for values in labels:
        ranked = sorted(mutual_info_score(values, column) for column in binned)
        gaps.append((ranked[-1] - ranked[-2]) / stats.entropy(np.bincount(values)))
    assert mutual_information_gap(codes, labels, bins=7) == pytest.approx(np.mean(gaps))


def test_mig_of_codes_that_are_the_factors_is_one_and_of_constant_codes_zero():
    grid = np.stack(np.meshgrid(range(4), range(3), range(5))).reshape(3, -1)
    assert mutual_information_gap(grid.T.astype(float), grid, bins=20) == pytest.approx(1)
    constant = np.zeros((grid.shape[1], 2))
    assert mutual_information_gap(constant, grid, bins=20) == pytest.approx(0)


def test_balanced_accuracy_matches_the_reference():
    rng = np.random.default_rng(0)
    truth = rng.choice(3, size=60, p=[0.7, 0.2, 0.1])
    guess = rng.integers(3, size=60)
    assert balanced_accuracy(truth, guess) == pytest.approx(balanced_accuracy_score(truth, guess))


def best_threshold(column: np.ndarray, truth: np.ndarray) -> float:
    """Largest balanced accuracy of one threshold on one dimension, either side up."""
    false, true, _ = roc_curve(truth, column, drop_intermediate=False)
    return (1 + float(np.abs(true - false).max())) / 2


def test_threshold_scores_near_the_exhaustive_optimum_for_two_values():
    rng = np.random.default_rng(0)
    truth = (rng.random(600) < 0.05).astype(int)
    codes = rng.normal(size=(600, 3))
    codes[:, 0] += 4 * truth
    codes[:, 1] -= 1.5 * truth  # a tree that ignores the balance answers 0 always
    everything = np.arange(600)
    found = threshold_scores(codes, truth[None], fit=everything, test=everything)[:, 0]
    best = [best_threshold(column, truth) for column in codes.T]
    assert (found <= np.array(best) + 1e-12).all()
    np.testing.assert_allclose(found[:2], best[:2], atol=0.05)


def test_thresholds_are_scored_on_the_half_that_did_not_fit_them(factors: dict[str, np.ndarray]):
    noise = np.random.default_rng(5).normal(size=(N, 3))
    fit, test = np.array_split(np.random.default_rng(0).permutation(N), 2)
    labels = np.stack(list(factors.values()))
    held_out = threshold_scores(noise, labels, fit=fit, test=test)
    in_sample = threshold_scores(noise, labels, fit=fit, test=fit)
    assert with_factors(noise, factors, seed=0).sap == pytest.approx(mean_gap(held_out))
    assert held_out.mean() == pytest.approx(1 / 4, abs=0.02)
    assert in_sample.mean() > held_out.mean() + 0.02


def test_sap_is_the_mean_gap_of_the_two_best_scores():
    table = np.array([[0.9, 0.3], [0.4, 0.8], [0.6, 0.75]])
    assert mean_gap(table) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.75)) / 2)


def test_factor_vae_votes_go_to_the_dimension_that_varies_least_for_its_scale():
    """The second dimension always has the smallest raw variance; only the normalised one tells."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=(2, N))
    codes = (labels.T + 0.05 * rng.normal(size=(N, 2))) * np.array([1_000.0, 0.001])
    halves = np.arange(N // 2), np.arange(N // 2, N)
    assert factor_vae(codes, labels, halves=halves, rng=rng) == 1
    raw = least_varying(codes, labels, rng=rng)
    assert (raw[:, 0] == 0).all()
    assert raw.sum() == FactorConfig().votes


def test_factor_vae_never_draws_a_group_of_one():
    """A single image has no variance in any dimension, and the first dimension would win."""
    rng = np.random.default_rng(0)
    shared = rng.integers(2, size=200)
    labels = np.stack([np.where(np.arange(200) < 150, np.arange(200), 150), shared])
    codes = np.stack([rng.normal(size=200), (labels[0] == 150) + 0.01 * rng.normal(size=200)], 1)
    assert least_varying(codes / codes.std(axis=0), labels, rng=rng)[0, 1] > 0
    assert least_varying(codes / codes.std(axis=0), labels, rng=rng)[0, 0] == 0


def test_a_constant_dimension_wins_no_vote_and_has_no_importance(
    coded: np.ndarray, factors: dict[str, np.ndarray], ideal: FactorReport
):
    dead = np.concatenate([np.full((N, 1), 0.1), coded], axis=1)
    report = with_factors(dead, factors, seed=0)
    assert (report.importance[:, 0] == 0).all()
    assert report.factor_vae == 1
    assert report.mig == pytest.approx(ideal.mig)


# The border


def test_more_than_64_dimensions_are_refused(factors: dict[str, np.ndarray]):
    with pytest.raises(ValueError, match=r"2 to 64 columns, got \(800, 65\)"):
        with_factors(np.zeros((N, 65)), factors, seed=0)


IN_TEST_HALF = np.random.default_rng(0).permutation(N)[-1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(N, int), "'bad' has fewer than two values"),
        (np.arange(N), "'bad' has too many values for 800 images"),
        (np.zeros(N - 1, int), r"'bad' must have shape \(800,\), got \(799,\)"),
        (1 * (np.arange(N) == IN_TEST_HALF), "'bad' has one value only in half of the images"),
    ],
)
def test_factors_that_cannot_be_scored_are_refused_by_name(
    coded: np.ndarray, factors: dict[str, np.ndarray], values: np.ndarray, message: str
):
    unchecked = inspect.unwrap(with_factors)  # without the tests' own check of shapes
    with pytest.raises(ValueError, match=message):
        unchecked(coded, {**factors, "bad": values}, seed=0)


def test_one_factor_and_codes_without_meaning_are_refused(
    coded: np.ndarray, factors: dict[str, np.ndarray]
):
    with pytest.raises(ValueError, match=r"two factors are needed, got \['hue'\]"):
        with_factors(coded, {"hue": factors["hue"]}, seed=0)
    holed = coded.copy()
    holed[3, 2] = np.inf
    with pytest.raises(ValueError, match="1 numbers that are not finite"):
        with_factors(holed, factors, seed=0)
    with pytest.raises(ValueError, match="all 800 rows of codes are the same"):
        with_factors(np.ones((N, 3)), factors, seed=0)


def test_every_score_is_explained(ideal: FactorReport):
    numbers = {name for name, value in vars(ideal).items() if isinstance(value, float)}
    assert numbers == {
        "disentanglement", "completeness", "informativeness", "mig", "sap", "factor_vae"
    }  # fmt: skip
    assert numbers <= set(MEASURES)
