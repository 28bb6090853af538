"""Ranking measures against scikit-learn, and intervals that respect the clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from core.measures.retrieval import (
    MEASURES,
    Pair,
    clustered_interval,
    differences,
    measures,
    table,
)


@given(st.data(), st.integers(2, 40))
def test_precision_is_that_of_scikit_learn_and_recall_counts(data, n):
    order = data.draw(st.permutations(range(n)))
    right = data.draw(st.sets(st.integers(0, n - 1), min_size=1))
    found = measures(np.array(order), np.array(sorted(right)))
    recalls = [len(set(order[:k]) & right) / len(right) for k in (1, 5, 10)]
    truth, scores = [row in right for row in order], -np.arange(n)
    np.testing.assert_allclose(found, [*recalls, average_precision_score(truth, scores)])


def test_known_measures():
    order = np.array([4, 2, 0, 1, 3, 5])
    np.testing.assert_allclose(measures(order, np.array([4])), [1, 1, 1, 1])
    np.testing.assert_allclose(measures(order, np.array([2])), [0, 1, 1, 0.5])
    np.testing.assert_allclose(measures(order, np.array([5])), [0, 0, 1, 1 / 6])
    np.testing.assert_allclose(measures(order, np.array([0, 4])), [0.5, 1, 1, (1 + 2 / 3) / 2])


# Intervals


def test_a_constant_has_an_interval_of_no_width():
    found = clustered_interval(np.full(12, 0.25), ["a"] * 5 + ["b"] * 7)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (found.queries, found.clusters) == (12, 2)


def test_intervals_follow_their_seed():
    values, clusters = np.random.default_rng(0).random(30), [str(i // 3) for i in range(30)]
    one = clustered_interval(values, clusters)
    assert clustered_interval(values, clusters) == one
    assert clustered_interval(values, clusters, seed=1) != one
    assert one.low < one.mean < one.high
    assert one.mean == pytest.approx(values.mean())


def test_the_order_of_the_queries_does_not_matter():
    values, clusters = np.random.default_rng(0).random(30), [str(i // 3) for i in range(30)]
    order = np.random.default_rng(1).permutation(30)
    one = clustered_interval(values, clusters)
    two = clustered_interval(values[order], [clusters[i] for i in order])
    assert (two.low, two.high) == pytest.approx((one.low, one.high))


def test_repeating_queries_within_a_cluster_does_not_narrow_the_interval():
    values, clusters = np.random.default_rng(0).random(20), [str(i) for i in range(20)]
    once = clustered_interval(values, clusters)
    repeated = clustered_interval(np.repeat(values, 9), [c for c in clusters for _ in range(9)])
    assert (repeated.low, repeated.high) == pytest.approx((once.low, once.high))
    apart = clustered_interval(np.repeat(values, 9), [str(i) for i in range(180)])
    assert apart.high - apart.low < 0.5 * (once.high - once.low)  # the mistake this avoids


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits, trials = 0, 200
    for trial in range(trials):
        sizes = rng.integers(1, 5, 40)
        effects = rng.standard_normal(40)
        values = np.repeat(effects, sizes) + 0.3 * rng.standard_normal(sizes.sum())
        clusters = np.repeat(np.arange(40), sizes).astype(str).tolist()
        found = clustered_interval(values, clusters, draws=300, seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.88 <= hits / trials <= 0.99


@pytest.mark.parametrize(("values", "clusters"), [([], []), ([0.5, 1.0], ["a"])])
def test_intervals_need_a_cluster_for_every_value(values, clusters):
    with pytest.raises(ValueError, match="clusters"):
        clustered_interval(np.array(values, float), clusters)


# Tables


def _pair(number, source="s", *, exemplar=None):
    name = exemplar or f"real/{number}.png"
    return Pair(source, "g", (name,), f"made/{number}.png")


def test_a_table_has_every_source_column_and_measure():
    pairs = [_pair(i, "one" if i < 4 else "two") for i in range(10)]
    results = {"a/x": np.random.default_rng(0).random((10, 4)), "b/x": np.zeros((10, 4))}
    cells = {(c.source, c.column, c.measure): c.interval for c in table(pairs, results)}
    assert len(cells) == 3 * 2 * 4
    for m, measure in enumerate(MEASURES):
        assert cells["one", "a/x", measure].mean == pytest.approx(results["a/x"][:4, m].mean())
        assert cells["two", "a/x", measure].queries == 6
        assert cells["all", "a/x", measure].mean == pytest.approx(results["a/x"][:, m].mean())


def test_paired_differences_are_narrower_than_their_parts():
    pairs = [_pair(i) for i in range(40)]
    hard = np.random.default_rng(0).random((40, 1)) * np.ones((40, 4))
    results = {"a": hard + 0.1, "b": hard, "c": hard * 0}
    cells = {(c.column, c.measure): c.interval for c in differences(pairs, results)}
    assert {name for name, _ in cells} == {"a - b", "a - c", "b - c"}
    found = cells["a - b", "R@1"]
    assert (found.mean, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert cells["b - c", "R@1"].high - cells["b - c", "R@1"].low > 0.1


def test_images_of_one_exemplar_are_one_cluster():
    pairs = [_pair(i, exemplar=f"real/{i % 3}.png") for i in range(9)]
    cells = table(pairs, {"a": np.zeros((9, 4))})
    assert {cell.interval.clusters for cell in cells} == {3}


# Halves and files


def test_halves_are_disjoint_whole_and_of_similar_size():
    pairs = [_pair(i) for i in range(400)]
    tune = [pair for pair in pairs if pair.half == "tune"]
    untouched = [pair for pair in pairs if pair.half == "untouched"]
    assert len(tune) + len(untouched) == 400
    assert 140 < len(tune) < 260


@given(st.integers(0, 10_000), st.text(), st.text(), st.sampled_from(["", "a/", "a/b/", "c d/"]))
def test_the_half_depends_on_the_file_name_of_the_exemplar_alone(number, source, made, folder):
    one = Pair("s", "g", (f"{number}.png",), "x.png")
    two = Pair(source, made, (f"{folder}{number}.png", "other.png"), made)
    assert one.half == two.half


def test_a_ranking_may_leave_rows_out():
    np.testing.assert_allclose(measures(np.array([4, 0, 1]), np.array([0])), [0, 1, 1, 0.5])
