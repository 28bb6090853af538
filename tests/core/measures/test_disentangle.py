from __future__ import annotations

import numpy as np
import pytest

from core.config import MeasureConfig
from core.measures.disentangle import (
    Contrast,
    Disentanglement,
    contrast,
    correlations,
    dimension_view,
    stage,
)
from core.measures.jackknife import Estimate
from core.measures.reports import MEASURES
from core.measures.rows import Pairs, Rows
from core.values import Cancelled


def rows(real: np.ndarray, *, synthetic: int = 0, pairs: int = 0, ordered: bool = True) -> Rows:
    made = real[:synthetic] + 0.01
    return Rows(
        real, made, Pairs(real[:pairs], made[:pairs]), np.arange(real.shape[1]) if ordered else None
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_correlations_are_those_of_numpy(rng: np.random.Generator):
    a, b = rng.normal(size=(50, 4)).astype("f4"), rng.normal(size=(50, 4)).astype("f4")
    expected = np.corrcoef(a.T, b.T)[:4, 4:]
    np.testing.assert_allclose(correlations(a, b), expected, atol=1e-6)
    np.testing.assert_allclose(np.diag(correlations(a, a)), 1, atol=1e-6)


def test_constant_column_correlates_with_nothing(rng: np.random.Generator):
    a = rng.normal(size=(20, 2)).astype("f4")
    a[:, 1] = 0.3
    assert not correlations(a, a)[1].any()
    with pytest.raises(ValueError, match="two rows of one shape"):
        correlations(a[:1], a[:1])


def test_dimension_view_names_the_factor_it_follows(rng: np.random.Generator):
    colour, size = ["red", "blue"] * 50, ["big"] * 50 + ["small"] * 50
    real = rng.normal(size=(100, 3)).astype("f4")
    real[::2, 1] += 4
    view = dimension_view(real, real[:5], dimension=1, factors={"size": size, "colour": colour})
    assert next(iter(view.explained)) == "colour"
    assert list(view.groups) == ["red", "blue"]
    assert len(view.synthetic) == 5
    assert dimension_view(real, real[:0], dimension=0, factors={}).groups == {}
    with pytest.raises(ValueError, match=r"0\.\.2, got 3"):
        dimension_view(real, real, dimension=3, factors={})


def test_stage_shows_the_dimensions_that_vary_most_unless_they_are_ordered(
    rng: np.random.Generator,
):
    real = rng.normal(size=(60, 40)).astype("f4")
    real[:, 39] *= 10
    loose = stage(rows(real, ordered=False), factors={}, what="")
    tight = stage(rows(real), factors={}, what="")
    assert loose.dimensions[0] == 39
    assert tight.dimensions.tolist() == list(range(MeasureConfig().shown))
    assert (tight.synthetic, tight.cross, tight.by_factor, tight.agreement) == (None,) * 4


def test_pairs_and_factors_are_measured_where_they_are_known(rng: np.random.Generator):
    real = rng.normal(size=(80, 6)).astype("f4")
    factors = {"sign": [str(v > 0) for v in real[:, 2]], "half": ["a", "b"] * 40}
    found = stage(rows(real, synthetic=30, pairs=20), factors=factors, what="")
    assert found.cross is not None
    assert found.by_factor is not None
    np.testing.assert_allclose(np.diag(found.cross), 1, atol=1e-3)
    row = found.by_factor.factors.index("sign")
    assert found.by_factor.importance[row].argmax() == 2
    assert {"mean_diagonal", "domain_auc", "mig", "rankme"} <= found.values().keys()


def test_whitening_shows_in_the_table(rng: np.random.Generator):
    white = rng.normal(size=(400, 5)).astype("f4")
    mixed = (white @ rng.normal(size=(5, 5))).astype("f4")
    before, after = (stage(rows(r), factors={}, what="") for r in (mixed, white))
    found = Disentanglement(before, after, images=400, examples=0, pairs=0)
    table = {each.name: each for each in found.table()}
    correlation = table["mean_abs_correlation"]
    assert correlation.values[0] > 2 * correlation.values[1]
    assert correlation.change == "better"
    assert {each.change for each in contrast(before, before)} == {"no clear difference"}
    assert "mig" not in table


def test_intervals_need_images_and_hold_what_was_measured(rng: np.random.Generator):
    factors = {"sign": ["a", "b"] * 40, "half": ["c"] * 40 + ["d"] * 40}
    found = stage(
        rows(rng.normal(size=(80, 6)).astype("f4"), synthetic=30, pairs=20),
        factors=factors,
        what="",
    )
    told = {each.name: each for each in contrast(found, found)}
    for name in ("rankme", "mean_diagonal", "domain_auc", "informativeness"):
        interval = told[name].intervals[0]
        assert interval is not None and interval.low <= told[name].values[0] <= interval.high
    assert told["mig"].intervals == (None, None)
    assert told["mig"].change == "not tested"
    few = stage(rows(rng.normal(size=(19, 3)).astype("f4")), factors={}, what="")
    assert {each.change for each in contrast(few, few)} == {"not tested"}


@pytest.mark.parametrize(("second", "change"), [(35.81, "no clear difference"), (36.4, "better")])
def test_a_sure_difference_that_is_too_small_is_not_called_one(second: float, change: str):
    """35.8 against 35.8 was called better."""
    gain = Estimate(second - 35.8, second - 35.8005, second - 35.7995)
    found = Contrast("rankme", MEASURES["rankme"], (35.8, second), (None, None), gain)
    assert found.change == change


def test_stage_can_be_stopped(rng: np.random.Generator):
    def stop(*_: object) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        stage(rows(rng.normal(size=(9, 3)).astype("f4")), factors={}, what="", progress=stop)


def test_factors_with_too_few_images_leave_the_rest_measured(rng: np.random.Generator):
    real = rng.normal(size=(8, 3)).astype("f4")
    factors = {"a": list("aabbccdd"), "b": list("abcdabcd")}
    found = stage(rows(real), factors=factors, what="")
    assert found.by_factor is None
    assert "rankme" in found.values()
