"""Parts of a cosine sum to it: over dimensions, and over an image's own features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import HeadConfig
from core.explain.contributions import (
    contributions,
    cosine_weights,
    excitement,
    factor_codes,
    factor_shares,
    matched_similarity,
)
from core.heads.fit import fit_head
from core.values import ImageRecord


def _unit(seed, d):
    values = np.random.default_rng(seed).standard_normal(d)
    return (values / np.linalg.norm(values)).astype(np.float32)


@given(st.integers(0, 1000), st.integers(1, 300))
def test_contributions_sum_to_the_cosine(seed, d):
    query, source = _unit(seed, d), _unit(seed + 1, d)
    found = contributions(query, source)
    assert sorted(c.dimension for c in found) == list(range(d))
    cosine = float(query.astype(np.float64) @ source)
    assert sum(c.value for c in found) == pytest.approx(cosine, abs=1e-6)
    assert sum(c.share for c in found) == pytest.approx(1, abs=1e-5)
    magnitudes = [abs(c.value) for c in found]
    assert magnitudes == sorted(magnitudes, reverse=True)


def test_the_first_contributions_are_the_largest():
    query, source = _unit(0, 20), _unit(1, 20)
    assert contributions(query, source, top=5) == contributions(query, source)[:5]
    products = np.abs(query * source)
    assert contributions(query, source)[0].dimension == products.argmax()


def test_a_cosine_of_zero_has_no_shares():
    found = contributions(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert [c.share for c in found] == [0.0, 0.0]


def test_excitement_orders_both_ends():
    values = np.array([[0.3], [-2.0], [5.0], [0.1], [1.0]])
    found = excitement(values, 0, count=2)
    assert found.most.tolist() == [2, 4]
    assert found.least.tolist() == [1, 3]
    everything = excitement(values, 0, count=99)
    assert everything.most.tolist() == everything.least.tolist()[::-1]


@pytest.mark.parametrize("dimension", [-1, 3])
def test_dimensions_that_are_not_there_are_refused(dimension):
    with pytest.raises(ValueError, match=r"0\.\.2"):
        excitement(np.zeros((4, 3)), dimension, count=1)


@pytest.mark.parametrize("kind", ["identity", "center", "whiten", "infomax", "logdet"])
@pytest.mark.parametrize("role", ["gallery", "query"])
def test_the_cosine_is_linear_in_the_features_of_one_image(kind, role):
    rng = np.random.default_rng(0)
    features = (rng.laplace(size=(200, 12)) @ rng.standard_normal((12, 12)) + 2).astype(np.float32)
    apart = kind != "identity"
    config = HeadConfig(kind=kind, k=8, per_domain=apart)
    head = fit_head(features, config=config, synthetic=features[:50] + 1 if apart else None)
    other = head(features[7:8], role="gallery")[0]
    for row in (3, 7):
        weights, constant = cosine_weights(features[row], other, head, role=role)
        cosine = float(head(features[row : row + 1], role=role)[0] @ other)
        assert float(features[row] @ weights) + constant == pytest.approx(cosine, abs=1e-4)


def test_the_roles_differ_where_the_head_centres_them_apart():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((100, 6)).astype(np.float32)
    head = fit_head(features, config=HeadConfig(per_domain=True), synthetic=features + 3)
    other = head(features[:1], role="gallery")[0]
    one, two = (cosine_weights(features[5], other, head, role=r) for r in ("gallery", "query"))
    assert np.abs(one[0] - two[0]).max() > 1e-3


def test_an_image_at_the_mean_has_finite_weights():
    features = np.random.default_rng(2).standard_normal((100, 6)).astype(np.float32)
    head = fit_head(features, config=HeadConfig())
    other = head(features[:1], role="gallery")[0]
    weights, constant = cosine_weights(head.mean_gallery, other, head, role="gallery")
    assert np.isfinite(weights).all()
    assert np.isfinite(constant)


# Dimensions


def test_a_permutation_and_signs_change_no_similarity():
    rows = np.random.default_rng(0).standard_normal((500, 6))
    order = np.array([3, 1, 5, 0, 2, 4])
    other = rows[:, order] * np.array([1, -2, 3, -1, 1, -5.0]) + 7
    np.testing.assert_allclose(matched_similarity(rows, other), 1)


def test_partners_are_matched_one_to_one():
    """The second dimension would also choose the first one's partner."""
    rng = np.random.default_rng(1)
    one = rng.standard_normal((4000, 2))
    two = np.stack([one[:, 0] + 0.5 * one[:, 1], rng.standard_normal(4000)], axis=1)
    found = matched_similarity(one, two)
    assert found[0] == pytest.approx(1 / np.sqrt(1.25), abs=0.03)
    assert found[1] < 0.1


def test_unrelated_and_missing_dimensions_are_not_similar():
    rng = np.random.default_rng(2)
    one, two = rng.standard_normal((2, 4000, 5))
    assert matched_similarity(one, two).max() < 0.1
    found = matched_similarity(one, one[:, :2])
    np.testing.assert_allclose(found, [1, 1, 0, 0, 0])
    assert matched_similarity(np.ones((9, 2)), np.ones((9, 2))).tolist() == [0, 0]


def test_factor_shares_are_the_variance_explained():
    rng = np.random.default_rng(3)
    colour, shape = rng.integers(0, 4, 2000), rng.integers(0, 3, 2000)
    noise = rng.standard_normal(2000)
    means = np.array([-1.0, 0.0, 2.0, 5.0])[colour]
    rows = np.stack([means, means + noise * means.std(), noise, np.ones(2000)], axis=1)
    shares = factor_shares(rows, {"colour": colour, "shape": shape})
    assert shares[0, 0] == pytest.approx(1)
    assert shares[1, 0] == pytest.approx(0.5, abs=0.04)
    assert shares[2:, 0].max() < 0.01
    assert shares[:, 1].max() < 0.01


def test_many_values_explain_no_more_by_chance():
    """The plain correlation ratio of 50 values over 100 images is a half."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(50), 2)
    shares = factor_shares(rng.standard_normal((100, 200)), {"a": codes})
    assert shares.mean() < 0.1


def test_factors_are_columns_that_repeat():
    columns = [("red", "1", "x"), ("blue", "2", "x"), ("red", "3", "x"), ("blue", "4", "x")]
    records = [
        ImageRecord(i, f"{i}", "", "", 1, 1, extra=dict(zip(("b", "id", "all"), row, strict=True)))
        for i, row in enumerate(columns)
    ]
    found = factor_codes(records)
    assert list(found) == ["b"]
    assert found["b"].tolist() == [1, 0, 1, 0]
    assert factor_shares(np.eye(4), {}).shape == (4, 0)
