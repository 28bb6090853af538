from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from sklearn.metrics import balanced_accuracy_score

import core.measures.supervised as scores
from core.measures.reports import MEASURES, FactorReport
from core.measures.supervised import (
    balanced_accuracy,
    concentration,
    mutual_information_gap,
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


# Definitions


def test_concentration_matches_the_published_sums():
    importance = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    total = 0.0
    for row in importance[[0, 1, 3]]:
        shares = [x / row.sum() for x in row]
        entropy = -sum(p * math.log(p) / math.log(3) for p in shares if p > 0)
        total += row.sum() / importance.sum() * (1 - entropy)
    assert concentration(importance) == pytest.approx(total)
    assert concentration(np.eye(3)) == pytest.approx(1)
    assert concentration(np.ones((3, 3))) == pytest.approx(0)
    assert concentration(np.zeros((3, 3))) == 0


@quick
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_concentration_does_not_see_order_or_scale_and_stays_in_range(seed: int, scale: float):
    rng = np.random.default_rng(seed)
    importance = rng.gamma(0.3, size=(4, 5)) + 1e-12
    moved = scale * importance[rng.permutation(4)][:, rng.permutation(5)]
    assert concentration(moved) == pytest.approx(concentration(importance))
    assert -1e-12 <= concentration(importance) <= 1 + 1e-12


def literal_information(a: np.ndarray, b: np.ndarray) -> float:
    total = 0.0
    for x in set(a.tolist()):
        for y in set(b.tolist()):
            joint = np.mean((a == x) & (b == y))
            if joint > 0:
                total += joint * math.log(joint / (np.mean(a == x) * np.mean(b == y)))
    return total


def literal_bins(column: np.ndarray) -> np.ndarray:
    width = (column.max() - column.min()) / 20
    return np.array([min(19, int((value - column.min()) / width)) for value in column])


def test_mig_matches_double_loops():
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=(2, 90))
    codes = rng.normal(size=(90, 4))
    codes[:, 1] += 2 * labels[0]
    gaps = []
    for values in labels:
        ranked = sorted(literal_information(values, literal_bins(c)) for c in codes.T)
        entropy = -sum(p * math.log(p) for p in np.bincount(values) / 90)
        gaps.append((ranked[-1] - ranked[-2]) / entropy)
    assert mutual_information_gap(codes, labels) == pytest.approx(np.mean(gaps))


def test_mig_of_codes_that_are_the_factors_is_one_and_of_constant_codes_zero():
    grid = np.stack(np.meshgrid(range(4), range(3), range(5))).reshape(3, -1)
    assert mutual_information_gap(grid.T.astype(float), grid) == pytest.approx(1)
    constant = np.zeros((grid.shape[1], 2))
    assert mutual_information_gap(constant, grid) == pytest.approx(0)


def test_balanced_accuracy_matches_the_reference():
    rng = np.random.default_rng(0)
    truth = rng.choice(3, size=60, p=[0.7, 0.2, 0.1])
    guess = rng.integers(3, size=60)
    assert balanced_accuracy(truth, guess) == pytest.approx(balanced_accuracy_score(truth, guess))


def best_threshold(column: np.ndarray, truth: np.ndarray) -> float:
    """Largest balanced accuracy of one threshold on one dimension, by trying all."""
    sides = [(column > t).astype(int) for t in np.sort(column)]
    return max(balanced_accuracy(truth, guess) for side in sides for guess in (side, 1 - side))


def test_threshold_scores_near_the_exhaustive_optimum_for_two_values():
    rng = np.random.default_rng(0)
    truth = (rng.random(600) < 0.05).astype(int)
    codes = rng.normal(size=(600, 3))
    codes[:, 0] += 4 * truth
    codes[:, 1] -= 1.5 * truth  # a tree that ignores the balance answers 0 always
    everything = np.arange(600)
    found = scores._threshold_scores(codes, truth[None], fit=everything, test=everything)[:, 0]
    best = [best_threshold(column, truth) for column in codes.T]
    assert (found <= np.array(best) + 1e-12).all()
    np.testing.assert_allclose(found[:2], best[:2], atol=0.05)


def test_thresholds_are_scored_on_the_half_that_did_not_fit_them(factors: dict[str, np.ndarray]):
    noise = np.random.default_rng(5).normal(size=(N, 3))
    fit, test = np.array_split(np.random.default_rng(0).permutation(N), 2)
    labels = np.stack(list(factors.values()))
    held_out = scores._threshold_scores(noise, labels, fit=fit, test=test)
    in_sample = scores._threshold_scores(noise, labels, fit=fit, test=fit)
    assert with_factors(noise, factors, seed=0).sap == pytest.approx(scores._gap(held_out))
    assert held_out.mean() == pytest.approx(1 / 4, abs=0.02)
    assert in_sample.mean() > held_out.mean() + 0.02


def test_sap_is_the_mean_gap_of_the_two_best_scores():
    table = np.array([[0.9, 0.3], [0.4, 0.8], [0.6, 0.75]])
    assert scores._gap(table) == pytest.approx(((0.9 - 0.6) + (0.8 - 0.75)) / 2)


def test_factor_vae_votes_go_to_the_dimension_that_varies_least_for_its_scale():
    """The second dimension always has the smallest raw variance; only the normalised one tells."""
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=(2, N))
    codes = (labels.T + 0.05 * rng.normal(size=(N, 2))) * np.array([1_000.0, 0.001])
    halves = np.arange(N // 2), np.arange(N // 2, N)
    assert scores._factor_vae(codes, labels, halves=halves, rng=rng) == 1
    raw = scores._votes(codes, labels, rng=rng)
    assert (raw[:, 0] == 0).all()
    assert raw.sum() == scores._VOTES


def test_factor_vae_never_draws_a_group_of_one():
    """A single image has no variance in any dimension, and the first dimension would win."""
    rng = np.random.default_rng(0)
    shared = rng.integers(2, size=200)
    labels = np.stack([np.where(np.arange(200) < 150, np.arange(200), 150), shared])
    codes = np.stack([rng.normal(size=200), (labels[0] == 150) + 0.01 * rng.normal(size=200)], 1)
    assert scores._votes(codes / codes.std(axis=0), labels, rng=rng)[0, 1] > 0
    assert scores._votes(codes / codes.std(axis=0), labels, rng=rng)[0, 0] == 0


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
