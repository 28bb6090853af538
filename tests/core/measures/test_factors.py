"""Factors of the metadata, and the variance that they explain, against the analysis of variance."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression

from core.measures.factors import explained_variance, factor_codes, factors_of, likenesses
from core.values import ImageRecord


def record(number: int, **extra: str) -> ImageRecord:
    return ImageRecord(number, f"{number}.png", "", "", 1, 1, extra=extra)


def test_factors_are_columns_whose_values_come_twice():
    records = [record(i, colour="ab"[i % 2], seed=str(i), all="x") for i in range(6)]
    assert factors_of(records) == {"colour": ["a", "b"] * 3}


def test_codes_follow_the_order_of_the_values():
    columns = [("red", "1", "x"), ("blue", "2", "x"), ("red", "3", "x"), ("blue", "4", "x")]
    records = [
        ImageRecord(i, f"{i}", "", "", 1, 1, extra=dict(zip(("b", "id", "all"), row, strict=True)))
        for i, row in enumerate(columns)
    ]
    found = factor_codes(factors_of(records))
    assert list(found) == ["b"]
    assert found["b"].tolist() == [1, 0, 1, 0]
    assert explained_variance(np.eye(4), {}).shape == (4, 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), values=st.integers(2, 8))
def test_shares_are_epsilon_squared_of_the_analysis_of_variance(seed: int, values: int):
    """From F, g - 1 and n - g: (F - 1)(g - 1) / (F (g - 1) + n - g), scipy's F (Kelley 1935)."""
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(values), np.arange(values), rng.integers(values, size=60)])
    rows = rng.normal(size=(len(codes), 3)) + np.array([0.0, 0.3, 2.0]) * codes[:, None]
    found = explained_variance(rows, {"a": codes})[:, 0]
    between, within = values - 1, len(codes) - values
    for column, share in zip(rows.T, found, strict=True):
        f = stats.f_oneway(*(column[codes == value] for value in range(values))).statistic
        expected = (f - 1) * between / (f * between + within)
        assert share == pytest.approx(max(expected, 0))


def test_shares_are_the_adjusted_r_squared_of_a_regression_on_the_values():
    rng = np.random.default_rng(1)
    codes = rng.integers(4, size=90)
    column = rng.normal(size=90) + np.array([0.0, 1.0, 0.5, -1.0])[codes]
    dummies = np.eye(4)[codes]
    plain = LinearRegression(fit_intercept=False).fit(dummies, column).score(dummies, column)
    adjusted = 1 - (1 - plain) * 89 / 86
    found = explained_variance(column[:, None], {"a": codes})
    assert found[0, 0] == pytest.approx(adjusted)


def test_shares_are_all_some_or_none_of_the_variance():
    rng = np.random.default_rng(3)
    colour, shape = rng.integers(0, 4, 2000), rng.integers(0, 3, 2000)
    noise = rng.standard_normal(2000)
    means = np.array([-1.0, 0.0, 2.0, 5.0])[colour]
    rows = np.stack([means, means + noise * means.std(), noise, np.ones(2000)], axis=1)
    shares = explained_variance(rows, {"colour": colour, "shape": shape})
    assert shares[0, 0] == pytest.approx(1)
    assert shares[1, 0] == pytest.approx(0.5, abs=0.04)
    assert shares[2:, 0].max() < 0.01
    assert shares[:, 1].max() < 0.01


@pytest.mark.parametrize("values", [50, 100])
def test_many_values_explain_no_more_by_chance(values: int):
    """The plain correlation ratio of 50 values over 100 images is a half."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(values), 2)
    shares = explained_variance(rng.standard_normal((len(codes), 200)), {"a": codes})
    assert shares.mean() < 0.1


def test_the_formula_is_unbiased_where_nothing_is_explained():
    """Its mean over random data is 0 before negative shares are cut off."""
    rng = np.random.default_rng(5)
    codes = np.repeat(np.arange(3), 20)
    rows = rng.standard_normal((60, 20_000))
    f = stats.f_oneway(*(rows[codes == value] for value in range(3))).statistic
    whole = (f - 1) * 2 / (f * 2 + 57)
    assert whole.mean() == pytest.approx(0, abs=1e-3)
    found = explained_variance(rows, {"a": codes})[:, 0]
    np.testing.assert_allclose(found, np.maximum(whole, 0), atol=1e-12)


def test_values_that_never_come_twice_explain_nothing():
    rows = np.random.default_rng(6).normal(size=(9, 2))
    assert not explained_variance(rows, {"a": np.arange(9)}).any()


def test_one_value_is_needed_for_each_image():
    unchecked = inspect.unwrap(explained_variance)  # without the tests' own check of shapes
    with pytest.raises(ValueError, match="4 images, 3 values of 'a'"):
        unchecked(np.eye(4), {"a": np.arange(3)})


def test_a_value_is_told_by_the_other_images_that_have_it():
    rng = np.random.default_rng(0)
    colour, size = rng.choice(["red", "blue"], 200), rng.choice(["big", "small"], 200)
    similarity = rng.normal(size=200) + 2.0 * (colour == "red")
    factors = {"size": size.tolist(), "colour": colour.tolist(), "shape": [""] * 200}
    found = likenesses(
        similarity,
        factors,
        values={"colour": "red", "size": "big"},
        others=np.ones(200, bool),
    )
    assert [each.factor for each in found] == ["colour", "size"], "nothing is said of a shape"
    assert found[0].auc == pytest.approx(
        np.mean(similarity[colour == "red"][:, None] > similarity[colour == "blue"])
    )
    assert found[0].p_value < 1e-6 < found[1].p_value
    turned = likenesses(-similarity, factors, values={"colour": "red"}, others=np.ones(200, bool))
    assert turned[0].auc == pytest.approx(1 - found[0].auc) and turned[0].p_value > 0.5


def test_a_value_that_only_the_match_has_tells_nothing():
    """Its own nearness would else count as that of its colour."""
    colour = ["red"] * 3 + ["blue"] * 9
    others = np.arange(12) > 0
    found = likenesses(
        np.arange(12.0)[::-1].copy(), {"colour": colour}, values={"colour": "red"}, others=others
    )
    assert found == []
