"""Micro average precision against scikit-learn, and its intervals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from core.measures.pooled import (
    MICRO,
    Pool,
    micro_average_precision,
    pooled_differences,
    pooled_table,
)
from core.measures.retrieval import Pair


def _pool(scores, right):
    right = np.asarray(right, bool)
    return Pool(np.asarray(scores, np.float32), right, right.sum(1))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 9), st.booleans())
def test_it_is_the_precision_of_scikit_learn_over_all_pairs(seed, queries, k, tied):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (queries, k)) if tied else rng.normal(size=(queries, k))
    right = rng.random((queries, k)) < 0.3
    right[0, 0] = True
    counts = rng.integers(0, 4, queries)
    counts[0] = 1
    pool = _pool(scores, right)
    wanted = [
        average_precision_score(right.ravel(), scores.ravel().astype("f4")),
        average_precision_score(
            right.ravel(), scores.ravel().astype("f4"), sample_weight=np.repeat(counts, k)
        ),
    ]
    weights = np.stack([np.ones(queries), counts])
    np.testing.assert_allclose(micro_average_precision(pool, weights=weights), wanted)
    np.testing.assert_allclose(micro_average_precision(pool), wanted[:1])


def test_known_values():
    perfect = _pool([[3, 1], [2, 0]], [[1, 0], [1, 0]])
    assert micro_average_precision(perfect).tolist() == [1]
    # each query ranks its source first, but the scores of two queries are no measure of both
    shifted = _pool([[3, 2.5], [2, 0]], [[1, 0], [1, 0]])
    np.testing.assert_allclose(micro_average_precision(shifted), [(1 + 2 / 3) / 2])
    alone = _pool([[3, 1], [2, 0], [5, 4]], [[1, 0], [1, 0], [0, 0]])
    np.testing.assert_allclose(micro_average_precision(alone), [(1 / 3 + 2 / 4) / 2])


def test_answers_that_were_not_ranked_are_never_found():
    pool = Pool(np.array([[2.0, -np.inf]], np.float32), np.array([[True, False]]), np.array([2]))
    assert micro_average_precision(pool).tolist() == [0.5]
    missed = Pool(np.array([[2.0, 1.0]], np.float32), np.zeros((1, 2), bool), np.array([1]))
    assert micro_average_precision(missed).tolist() == [0]


def test_queries_without_any_source_have_none():
    with pytest.raises(ValueError, match="needs a query that has a source"):
        micro_average_precision(_pool([[1.0, 0]], [[0, 0]]))


PAIRS = [Pair("ab"[i % 2], "g", (f"e{i // 4}",), f"g{i}") for i in range(40)]


def _of_pairs(*, without=0, seed=0, help_by=2.0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(40 + without, 5)).astype(np.float32)
    right = np.zeros((40 + without, 5), bool)
    right[:40, 0] = True
    scores[:40, 0] += help_by
    return Pool(scores, right, right.sum(1))


def test_images_without_a_source_are_in_the_list_of_every_source():
    few, many = _of_pairs(), _of_pairs(without=200)
    before, after = (pooled_table(PAIRS, {"x": pool}) for pool in (few, many))
    assert [(c.source, c.column, c.measure) for c in after] == [(s, "x", MICRO) for s in "ab"] + [
        ("all", "x", MICRO)
    ]
    for one, two in zip(before, after, strict=True):
        assert two.interval.mean < one.interval.mean
        assert (two.interval.queries, two.interval.clusters) == (
            one.interval.queries,
            one.interval.clusters,
        )
        assert two.interval.low < two.interval.mean < two.interval.high
    rows = np.arange(0, 40, 2).tolist() + list(range(40, 240))
    alone = micro_average_precision(many[np.array(rows)])[0]
    assert after[0].interval.mean == pytest.approx(alone)


def test_differences_are_paired():
    one, two = _of_pairs(), _of_pairs(help_by=4.0)
    (gap,) = [c for c in pooled_differences(PAIRS, {"x": two, "y": one}) if c.source == "all"]
    assert gap.column == "x - y"
    assert 0 < gap.interval.low < gap.interval.mean
    same = pooled_differences(PAIRS, {"x": one, "y": one})
    assert all(c.interval.low == c.interval.high == 0 for c in same)
