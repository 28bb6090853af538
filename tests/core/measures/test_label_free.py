"""Measures without labels: the published values, closed forms, and what each one does not see."""

from __future__ import annotations

import dataclasses
import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from core.measures.label_free import (
    alignment,
    between_views,
    domain_gap,
    gaussian_total_correlation,
    label_free,
    linear_cka,
    mean_abs_correlation,
    paired,
    participation_ratio,
    rankme,
    uniformity,
)
from core.measures.reports import MEASURES, Agreement

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=15, deadline=None)


def normal(seed: int, n: int, d: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def rotation(seed: int, d: int) -> np.ndarray:
    return stats.ortho_group.rvs(d, random_state=seed)


def mixed(seed: int, n: int, d: int) -> np.ndarray:
    """Correlated dimensions of different scales and means."""
    return normal(seed, n, d) @ normal(seed + 1, d, d) + normal(seed + 2, 1, d)


def related(seed: int, *, n: int = 2_000, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Two domains with the same concepts in the same basis and noise of their own."""
    shared = mixed(seed, n, d)
    return shared + 0.5 * normal(seed + 7, n, d), shared + 0.5 * normal(seed + 8, n, d) + 1


def white_isotropic(n: int, d: int) -> np.ndarray:
    """Centred rows whose singular values are all the same."""
    rows = normal(0, n, d)
    return np.linalg.qr(rows - rows.mean(axis=0))[0]


# Spread


def test_label_free_matches_the_definitions_computed_literally():
    rows = mixed(0, 50, 4)
    correlation = np.corrcoef(rows.T)
    covariance = np.cov(rows.T, bias=True)
    off = [abs(correlation[i, j]) for i in range(4) for j in range(4) if i != j]
    logs = sum(math.log(covariance[i, i]) for i in range(4))
    singular = linalg.svdvals(rows)
    eigenvalues = np.linalg.eigvalsh(covariance)

    report = label_free(rows)

    assert (report.images, report.dimensions, report.constant_dimensions) == (50, 4, 0)
    assert report.mean_abs_correlation == pytest.approx(sum(off) / 12)
    assert report.total_correlation == pytest.approx(
        (logs - math.log(np.linalg.det(covariance))) / 2
    )
    assert report.shrinkage == 0
    assert report.rankme == pytest.approx(math.exp(stats.entropy(singular)), abs=1e-4)
    assert report.participation_ratio == pytest.approx(
        eigenvalues.sum() ** 2 / (eigenvalues**2).sum()
    )


def test_rankme_has_the_value_of_the_published_code():
    """Of ``RankMe._calculate_rankme``, by the lab of an author of Garrido et al. 2023.

    https://github.com/sami-bg/stable-SSL/blob/462d4b2a0e33964a476ec59da3410a83b0f40cb5/
    stable_ssl/monitors.py, run in double precision with its own epsilon of 1e-7.
    """
    i, j = np.arange(12)[:, None], np.arange(5)[None]
    rows = ((7 * i + 3 * j * j + i * j) % 11 - 4) / (1.0 + j)
    assert rankme(rows) == pytest.approx(3.3718244705509774, rel=1e-10)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.3, 0.99])
def test_total_correlation_of_two_gaussians_has_its_closed_form(rho: float):
    covariance = np.array([[4.0, 2 * rho], [2 * rho, 1.0]])
    value, shrinkage = gaussian_total_correlation(covariance)
    assert value == pytest.approx(-math.log(1 - rho**2) / 2)
    assert shrinkage == 0


def test_total_correlation_of_equally_correlated_gaussians_is_recovered_from_a_sample():
    d, rho = 5, 0.5
    covariance = (1 - rho) * np.eye(d) + rho
    exact = -(math.log(1 + (d - 1) * rho) + (d - 1) * math.log(1 - rho)) / 2
    rows = normal(0, 20_000, d) @ np.linalg.cholesky(covariance).T
    assert gaussian_total_correlation(covariance)[0] == pytest.approx(exact)
    assert label_free(rows).total_correlation == pytest.approx(exact, rel=0.03)


def test_sampling_alone_gives_the_total_correlation_that_the_table_states():
    n, d = 400, 12
    values = [label_free(normal(seed, n, d)).total_correlation for seed in range(40)]
    assert np.mean(values) == pytest.approx(d * (d - 1) / (4 * n), rel=0.15)


def test_total_correlation_of_a_singular_covariance_says_how_far_it_was_shrunk():
    rows = normal(0, 5, 8)
    report = label_free(rows)
    correlation = np.corrcoef(rows.T)
    lifted = (1 - report.shrinkage) * correlation + report.shrinkage * np.eye(8)
    assert 0 < report.shrinkage < 1.1e-6
    assert np.linalg.eigvalsh(lifted)[0] == pytest.approx(1e-6, rel=1e-3)
    assert report.total_correlation == pytest.approx(-np.linalg.slogdet(lifted)[1] / 2, rel=1e-3)


@quick
@given(seed=seeds)
def test_correlation_measures_do_not_see_shift_scale_or_order_of_dimensions(seed: int):
    rng = np.random.default_rng(seed)
    rows = mixed(seed, 60, 5)
    changed = (rows * rng.uniform(0.1, 10, 5) + rng.normal(size=5))[:, rng.permutation(5)]
    before, after = label_free(rows), label_free(changed)
    assert after.mean_abs_correlation == pytest.approx(before.mean_abs_correlation)
    assert after.total_correlation == pytest.approx(before.total_correlation)
    assert 0 <= before.mean_abs_correlation <= 1
    assert before.total_correlation >= 0


@quick
@given(seed=seeds)
def test_ranks_do_not_see_rotation_or_scale_and_stay_in_range(seed: int):
    rows = mixed(seed, 60, 5)
    before, after = label_free(rows), label_free(3 * rows @ rotation(seed % 1_000, 5))
    assert after.rankme == pytest.approx(before.rankme)
    assert after.participation_ratio == pytest.approx(before.participation_ratio)
    assert 1 <= before.rankme <= 5 + 1e-4
    assert 1 <= before.participation_ratio <= 5 + 1e-9


def test_ranks_of_isotropic_and_of_rank_one_rows():
    rows = white_isotropic(200, 7)
    line = np.outer(normal(0, 200, 1)[:, 0], np.arange(1.0, 8.0))
    assert rankme(rows) == pytest.approx(7, abs=1e-4)
    assert participation_ratio(rows.T @ rows) == pytest.approx(7)
    assert rankme(line) == pytest.approx(1 - 6e-7 * math.log(1e-7) - 1e-7, abs=1e-9)
    assert participation_ratio(line.T @ line) == pytest.approx(1)


def test_whitened_rows_have_no_correlation_and_correlated_ones_have():
    rows = white_isotropic(200, 5)
    assert label_free(rows).mean_abs_correlation == pytest.approx(0, abs=1e-12)
    assert label_free(rows).total_correlation == pytest.approx(0, abs=1e-12)
    assert mean_abs_correlation(np.array([[2.0, -1.0], [-1.0, 2.0]])) == pytest.approx(0.5)


def test_constant_dimensions_are_counted_and_left_out_of_correlations():
    rows = mixed(0, 40, 3).astype(np.float32)
    padded = np.concatenate([rows, np.full((40, 1), 0.1, np.float32)], axis=1)
    bare, report = label_free(rows), label_free(padded)
    assert report.constant_dimensions == 1
    assert report.total_correlation == pytest.approx(bare.total_correlation)
    assert report.mean_abs_correlation == pytest.approx(bare.mean_abs_correlation)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((1, 4)), "two rows"),
        (np.zeros((4, 1)), "two columns"),
        (np.array([[0.0, 1.0], [np.nan, 2.0]]), "not finite"),
        (np.ones((5, 3)), "two dimensions that vary, got 0"),
    ],
)
def test_label_free_refuses_what_cannot_be_measured(rows: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        label_free(rows)


# Views


def test_alignment_and_uniformity_match_double_loops():
    a, b = normal(0, 12, 3), normal(1, 12, 3)
    unit_a = [row / np.linalg.norm(row) for row in a]
    unit_b = [row / np.linalg.norm(row) for row in b]
    close = [np.linalg.norm(u - v) ** 2 for u, v in zip(unit_a, unit_b, strict=True)]

    def potential(rows: list[np.ndarray]) -> float:
        pairs = [
            math.exp(-2 * np.linalg.norm(rows[i] - rows[j]) ** 2)
            for i in range(12)
            for j in range(i)
        ]
        return math.log(sum(pairs) / len(pairs))

    report = between_views(a, b)
    assert report.alignment == pytest.approx(sum(close) / 12)
    assert report.uniformity == pytest.approx((potential(unit_a) + potential(unit_b)) / 2)


def test_uniformity_in_blocks_equals_uniformity_at_once():
    rows = normal(0, 50, 4)
    rows[3] = 0
    assert uniformity(rows, block=7) == pytest.approx(uniformity(rows))


def test_identical_views_align_and_coincident_images_are_not_uniform():
    rows = normal(0, 300, 64)
    assert alignment(rows, rows) == 0
    assert alignment(rows, -rows) == pytest.approx(4)
    assert alignment(rows, normal(1, 300, 64)) == pytest.approx(2, abs=0.05)
    assert uniformity(np.ones((5, 3))) == pytest.approx(0)
    assert -4 < uniformity(rows) < -3.8


def test_cka_matches_hsic_of_the_centred_gram_matrices():
    a, b = mixed(0, 30, 4), mixed(5, 30, 6)
    centre = np.eye(30) - 1 / 30

    def hsic(k: np.ndarray, other: np.ndarray) -> float:
        return float(np.trace(k @ centre @ other @ centre))

    k, other = a @ a.T, b @ b.T
    expected = hsic(k, other) / math.sqrt(hsic(k, k) * hsic(other, other))
    assert linear_cka(a, b) == pytest.approx(expected)


@quick
@given(seed=seeds)
def test_cka_does_not_see_rotation_scale_or_shift_but_sees_other_linear_maps(seed: int):
    a, b = mixed(seed, 40, 4), mixed(seed + 9, 40, 4)
    moved = 5 * b @ rotation(seed % 1_000, 4) + 3
    assert linear_cka(a, moved) == pytest.approx(linear_cka(a, b))
    assert linear_cka(b, moved) == pytest.approx(1)
    assert linear_cka(b, b * np.array([100, 1, 1, 1])) < 1 - 1e-6
    assert 0 <= linear_cka(a, b) <= 1


def test_views_must_have_one_shape_and_vary():
    rows = normal(0, 6, 3)
    unchecked = inspect.unwrap(between_views)  # the shapes alone, without the tests' type checks
    with pytest.raises(ValueError, match=r"\(6, 3\) and \(5, 3\)"):
        unchecked(rows, rows[:5])
    with pytest.raises(ValueError, match="6 rows of one side are the same"):
        between_views(rows, np.ones((6, 3)))


# Domains


def test_domain_gap_is_half_without_and_one_with_a_shift():
    real, synthetic = normal(0, 400, 5), normal(1, 300, 5)
    same = domain_gap(real, synthetic, seed=0)
    apart = domain_gap(real, synthetic + np.array([20.0, 0, 0, 0, 0]), seed=0)
    assert same.domain_auc == pytest.approx(0.5, abs=0.06)
    assert apart.domain_auc == 1
    assert apart.mean_distance == pytest.approx(20, abs=0.3)
    assert (same.real_images, same.synthetic_images) == (400, 300)


def test_domain_auc_nears_the_best_possible_one_for_shifted_gaussians():
    real, synthetic = normal(0, 1_500, 4), normal(1, 1_500, 4) + np.array([1.0, 0, 0, 0])
    best = stats.norm.cdf(1 / math.sqrt(2))
    assert domain_gap(real, synthetic, seed=0).domain_auc == pytest.approx(best, abs=0.02)


def test_domain_auc_is_scored_on_images_that_the_probe_has_not_seen():
    """With more dimensions than images a probe fits anything; scored in sample this would be 1."""
    report = domain_gap(normal(0, 60, 100), normal(1, 60, 100), seed=0)
    assert report.domain_auc < 0.7


def test_domain_gap_repeats_with_its_seed():
    sides = normal(0, 40, 3), normal(1, 40, 3)
    assert domain_gap(*sides, seed=3) == domain_gap(*sides, seed=3)
    assert domain_gap(*sides, seed=3) != domain_gap(*sides, seed=4)


def test_domain_gap_refuses_few_images_and_other_dimensions():
    with pytest.raises(ValueError, match=r"5 images per domain needed, got \[9, 4\]"):
        domain_gap(normal(0, 9, 3), normal(0, 4, 3), seed=0)
    with pytest.raises(ValueError, match="real has 3 dimensions, synthetic 2"):
        inspect.unwrap(domain_gap)(normal(0, 9, 3), normal(0, 9, 2), seed=0)


# Pairs


def literal_cross(real: np.ndarray, synthetic: np.ndarray, ridge: float) -> np.ndarray:
    n, d = real.shape
    x, y = real - real.mean(axis=0), synthetic - synthetic.mean(axis=0)
    s_rr, s_ss, s_rs = x.T @ x / n, y.T @ y / n, x.T @ y / n
    s_rr, s_ss = (s + ridge * np.trace(s) / d * np.eye(d) for s in (s_rr, s_ss))
    return linalg.inv(linalg.sqrtm(s_rr)) @ s_rs @ linalg.inv(linalg.sqrtm(s_ss))


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_paired_matches_the_definitions_computed_literally(ridge: float):
    real, synthetic = mixed(0, 60, 4), mixed(3, 60, 4) + mixed(0, 60, 4)
    cross = literal_cross(real, synthetic, ridge)
    rho = [np.corrcoef(real[:, i], synthetic[:, i])[0, 1] for i in range(4)]
    off = [cross[i, j] ** 2 for i in range(4) for j in range(4) if i != j]

    report = paired(real, synthetic, ridge=ridge)

    assert report.pairs == 60
    assert report.p_values is None
    np.testing.assert_allclose(report.dimension_correlations, rho)
    assert report.mean_dimension_correlation == pytest.approx(np.mean(rho))
    assert report.mean_diagonal == pytest.approx(np.trace(cross) / 4)
    assert report.rms_off_diagonal == pytest.approx(math.sqrt(sum(off) / 12))
    assert report.asymmetry == pytest.approx(linalg.norm(cross - cross.T) / linalg.norm(cross))
    negative = linalg.eigvalsh((cross + cross.T) / 2) < 0
    assert report.negative_share == pytest.approx(negative.mean())


def test_canonical_correlations_without_ridge_solve_the_generalised_eigenproblem():
    real, synthetic = mixed(0, 60, 4), mixed(3, 60, 4) + mixed(0, 60, 4)
    joint = np.cov(np.concatenate([real, synthetic], axis=1).T)
    s_rr, s_ss, s_rs = joint[:4, :4], joint[4:, 4:], joint[:4, 4:]
    squared = linalg.eigh(s_rs @ linalg.inv(s_ss) @ s_rs.T, s_rr, eigvals_only=True)
    report = paired(real, synthetic, ridge=0.0)
    np.testing.assert_allclose(report.canonical_correlations, np.sqrt(squared[::-1]))
    assert report.mean_canonical_correlation == pytest.approx(np.sqrt(squared).mean())


def test_identical_sides_give_the_identity():
    rows = mixed(0, 100, 5)
    report = paired(rows, rows, ridge=0.0)
    np.testing.assert_allclose(report.canonical_correlations, 1)
    np.testing.assert_allclose(report.dimension_correlations, 1)
    assert report.mean_diagonal == pytest.approx(1)
    assert report.rms_off_diagonal == pytest.approx(0, abs=1e-9)
    assert report.asymmetry == pytest.approx(0, abs=1e-9)
    assert report.negative_share == 0


def test_one_basis_is_symmetric_and_a_rotation_of_one_side_is_not():
    real, synthetic = related(0)
    one = paired(real, synthetic, ridge=0.0)
    two = paired(real, synthetic @ rotation(0, 6), ridge=0.0)
    assert one.asymmetry < 0.1 < 1 < two.asymmetry
    assert one.negative_share == 0 < two.negative_share
    assert one.mean_diagonal == pytest.approx(one.mean_canonical_correlation, rel=0.02)
    assert two.mean_diagonal < one.mean_diagonal / 2
    # The relation itself is still there: only the bases differ.
    np.testing.assert_allclose(two.canonical_correlations, one.canonical_correlations)


@quick
@given(seed=seeds)
def test_one_rotation_of_both_sides_changes_no_measure_of_the_spectrum(seed: int):
    real, synthetic = related(seed, n=80, d=4)
    turn = rotation(seed % 1_000, 4)
    before = paired(real, synthetic, ridge=0.1)
    after = paired(real @ turn, synthetic @ turn, ridge=0.1)
    np.testing.assert_allclose(after.canonical_correlations, before.canonical_correlations)
    assert after.mean_diagonal == pytest.approx(before.mean_diagonal)
    assert after.asymmetry == pytest.approx(before.asymmetry)
    assert after.negative_share == before.negative_share


@quick
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_shift_and_scale_of_one_side_change_nothing(seed: int, scale: float):
    real, synthetic = related(seed, n=80, d=4)
    before = paired(real, synthetic, ridge=0.1)
    after = paired(real, scale * synthetic + 5, ridge=0.1)
    for field in dataclasses.fields(Agreement):
        assert getattr(after, field.name) == pytest.approx(getattr(before, field.name), abs=1e-9)


def test_p_values_are_small_for_related_pairs():
    real, synthetic = related(0, n=100)
    p_values = paired(real, synthetic, ridge=0.01, permutations=99).p_values
    assert p_values is not None
    for name in ("mean_dimension_correlation", "mean_canonical_correlation", "mean_diagonal"):
        assert getattr(p_values, name) == 0.01
    assert p_values.asymmetry == 0.01
    assert p_values.negative_share <= 0.05


@pytest.mark.slow
def test_p_values_are_uniform_when_sides_are_unrelated():
    reports = [
        paired(normal(s, 25, 3), normal(s + 500, 25, 3), ridge=0.01, permutations=39, seed=s)
        for s in range(150)
    ]
    for name in ("mean_dimension_correlation", "mean_canonical_correlation", "asymmetry"):
        values = [getattr(report.p_values, name) for report in reports]
        assert stats.kstest(values, "uniform").pvalue > 0.01, name


def test_permutations_repeat_with_their_seed():
    sides = normal(0, 30, 3), normal(1, 30, 3)
    first = paired(*sides, ridge=0.1, permutations=50, seed=1).p_values
    assert first == paired(*sides, ridge=0.1, permutations=50, seed=1).p_values
    assert first != paired(*sides, ridge=0.1, permutations=50, seed=2).p_values


def test_a_constant_dimension_has_correlation_zero_under_a_ridge():
    real, synthetic = related(0, n=50, d=3)
    real[:, 1] = 0.1
    report = paired(real, synthetic, ridge=0.1)
    assert report.dimension_correlations[1] == 0
    assert np.isfinite(report.canonical_correlations).all()


def test_paired_refuses_singular_covariances_and_wrong_values():
    real, synthetic = normal(0, 5, 8), normal(1, 5, 8)
    with pytest.raises(ValueError, match=r"singular at ridge 0\.0; raise it"):
        paired(real, synthetic, ridge=0.0)
    assert paired(real, synthetic, ridge=0.1).mean_canonical_correlation < 1
    with pytest.raises(ValueError, match="ridge -1"):
        paired(real, synthetic, ridge=-1.0)
    with pytest.raises(ValueError, match="permutations -1"):
        paired(real, synthetic, ridge=0.1, permutations=-1)
    with pytest.raises(ValueError, match="same"):
        paired(np.full((5, 8), 0.1), synthetic, ridge=0.1)


# The table


def test_every_number_of_a_report_is_explained():
    real, synthetic = related(0, n=50)
    reports = [
        label_free(real),
        between_views(real, synthetic),
        domain_gap(real, synthetic, seed=0),
        paired(real, synthetic, ridge=0.1),
    ]
    numbers = {k for r in reports for k, v in vars(r).items() if isinstance(v, float)}
    assert numbers - set(MEASURES) == {"shrinkage"}
    for measure in MEASURES.values():
        assert measure.title
        assert measure.meaning.endswith(".")
        assert measure.better in ("higher", "lower", "nearer", "neither")


def test_both_ends_of_the_domain_auc_are_as_bad():
    """Domains told apart by a probe that points the other way counted as mixed."""
    auc = MEASURES["domain_auc"]
    assert auc.good == "nearer to 0.5 is better"
    assert auc.merit(0.51) > auc.merit(0.28) == pytest.approx(auc.merit(0.72))
    assert MEASURES["rankme"].merit(3.0) > MEASURES["rankme"].merit(2.0)
    assert MEASURES["mean_distance"].merit(3.0) < MEASURES["mean_distance"].merit(2.0)
