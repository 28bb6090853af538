from __future__ import annotations

import numpy as np
import pytest

from core.search import index
from core.search.engine import Among, Walked
from core.search.index import (
    Index,
    csls_means,
    csls_means_of_others,
    measured_recall,
    nearest,
    neighbours,
)
from core.search.walk import Walk

DIM = 16


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clustered(seed: int, *, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, DIM))
    return (centres[rng.integers(20, size=n)] + 0.4 * rng.standard_normal((n, DIM))).astype("f4")


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    return clustered(0, n=400)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return clustered(0, n=30) + np.float32(0.1)


def _walked(rows: np.ndarray) -> Walked:
    return Walked(Walk.build(rows), len(rows))


def literal_means(rows: np.ndarray, *, k: int) -> np.ndarray:
    """The definition, one row at a time."""
    cosines = unit(rows.astype(float)) @ unit(rows.astype(float)).T
    values = []
    for row in range(len(rows)):
        others = np.sort(np.delete(cosines[row], row))[::-1][:k]
        values.append(others.mean() if len(others) else 0.0)
    return np.array(values)


def best(scores: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, axis=1)[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def test_cosine_search_equals_brute_force(gallery, queries):
    hits = Index(gallery).search(queries, k=7)
    wanted_rows, wanted = best(unit(queries) @ unit(gallery).T, k=7)
    np.testing.assert_array_equal(hits.rows, wanted_rows)
    np.testing.assert_allclose(hits.scores, wanted, atol=1e-5)
    np.testing.assert_array_equal(hits.scores, hits.cosines)


def test_scaled_search_equals_the_literal_csls_formula(gallery, queries):
    r = literal_means(gallery, k=10)
    hits = Index(gallery, csls_means=r).search(queries, k=20)
    cosines = unit(queries) @ unit(gallery).T
    wanted_rows, wanted = best(2 * cosines - r, k=20)
    np.testing.assert_array_equal(hits.rows, wanted_rows)
    np.testing.assert_allclose(hits.scores, wanted, atol=1e-5)
    taken = np.take_along_axis(cosines, hits.rows, 1)
    np.testing.assert_allclose(hits.cosines, taken, atol=1e-5)


def test_scaling_changes_the_ranking(gallery, queries):
    """Control: the comparison above would be empty if the means moved nothing."""
    bare = Index(gallery).search(queries, k=20)
    scaled = Index(gallery, csls_means=csls_means(gallery)).search(queries, k=20)
    assert (bare.rows != scaled.rows).any()


def test_length_of_vectors_does_not_matter(gallery, queries):
    lengths = np.random.default_rng(2).uniform(0.1, 9, (len(gallery), 1)).astype("f4")
    bare = Index(gallery).search(queries, k=5)
    scaled = Index(gallery * lengths).search(3 * queries, k=5)
    np.testing.assert_array_equal(bare.rows, scaled.rows)
    np.testing.assert_allclose(bare.scores, scaled.scores, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 11, 300])
def test_csls_means_equals_its_definition(n):
    rows = clustered(3, n=n)
    np.testing.assert_allclose(csls_means(rows), literal_means(rows, k=10), atol=1e-5)


def test_csls_means_keeps_exact_duplicates():
    rows = np.repeat(np.random.default_rng(4).standard_normal((3, DIM)), 30, axis=0)
    np.testing.assert_allclose(csls_means(rows), 1, atol=1e-5)
    table = neighbours(rows, k=10)
    assert (table.rows != np.arange(len(rows))[:, None]).all()
    np.testing.assert_array_equal(table.rows // 30, np.tile(np.arange(90)[:, None] // 30, 10))


def test_copies_of_one_group_count_once_in_csls_means():
    rows = np.random.default_rng(5).standard_normal((30, 8)).astype(np.float32)
    copied = np.repeat(rows, 4, axis=0)
    found = csls_means(copied, np.repeat(np.arange(30), 4), k=10)
    np.testing.assert_allclose(found, np.repeat(csls_means(rows, k=10), 4), atol=1e-5)
    assert csls_means(copied[:4], np.zeros(4, np.int64)).tolist() == [0] * 4


def test_neighbours_are_as_wide_as_there_are_others():
    assert neighbours(clustered(5, n=1), k=4).rows.shape == (1, 0)
    table = neighbours(clustered(5, n=3), k=4)
    np.testing.assert_array_equal(np.sort(table.rows, axis=1), [[1, 2], [0, 2], [0, 1]])


def test_more_asked_than_there_is(gallery, queries):
    hits = Index(gallery[:3]).search(queries, k=5)
    assert (np.sort(hits.rows[:, :3], axis=1) == [0, 1, 2]).all()
    assert (hits.rows[:, 3:] == -1).all()
    assert np.isneginf(hits.scores[:, 3:]).all()
    assert np.isneginf(hits.cosines[:, 3:]).all()


@pytest.mark.parametrize("walks", [False, True])
def test_empty_index_finds_nothing(walks, queries):
    rows = np.empty((0, DIM))
    index = Index(rows, engine=_walked(rows) if walks else None)
    assert len(index) == 0
    assert (index.search(queries, k=2).rows == -1).all()


def test_zero_vectors_are_like_nothing(queries):
    index = Index(np.stack([np.zeros(DIM), queries[0]]))
    hits = index.search(queries[:1], k=2)
    np.testing.assert_array_equal(hits.rows, [[1, 0]])
    np.testing.assert_allclose(hits.cosines, [[1, 0]], atol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_walk_finds_what_is_found_exactly_and_scores_it_alike(scaled):
    rows = clustered(7, n=3_000)
    r = csls_means(rows) if scaled else None
    exact = Index(rows, csls_means=r)
    walked = Index(rows, csls_means=r, engine=_walked(rows))
    asked = clustered(7, n=50) + np.float32(0.1)
    assert measured_recall(walked, exact, queries=asked, k=10) >= 0.95
    one, two = walked.search(asked, k=1), exact.search(asked, k=1)
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)
    np.testing.assert_allclose(one.cosines, two.cosines, atol=1e-5)


def test_a_walk_to_nearly_all_rows_compares_all(gallery, queries):
    walked = Index(gallery, engine=_walked(gallery))
    exact = Index(gallery)
    np.testing.assert_array_equal(
        walked.search(queries, k=300).rows, exact.search(queries, k=300).rows
    )
    assert (walked.search(queries, k=500).rows[:, 400:] == -1).all()


def test_nearest_rows_equal_brute_force(gallery, queries):
    wanted = np.argsort(-(queries @ gallery.T), axis=1)[:, :6]
    np.testing.assert_array_equal(nearest(queries, gallery, k=6), wanted)


def test_means_of_some_rows_are_those_of_all(gallery):
    groups = np.arange(400) // 3 * 3
    some = np.array([7, 0, 399])
    every = csls_means(gallery, groups)
    np.testing.assert_allclose(csls_means(gallery, groups, rows=some), every[some], atol=1e-6)


def test_measured_recall_sees_what_is_missing(gallery, queries):
    exact = Index(gallery)
    half = gallery.copy()
    half[::2] = 0
    half = Index(half)
    assert measured_recall(exact, exact, queries=queries, k=10) == 1
    assert 0.3 < measured_recall(half, exact, queries=queries, k=10) < 0.7


def test_wrong_input_is_named(gallery, queries):
    index = Index(gallery)
    holes = gallery.copy()
    holes[3, 4] = np.nan
    with pytest.raises(ValueError, match="embedding 3 is not finite"):
        Index(holes)
    with pytest.raises(ValueError, match="embedding 0 is not finite"):
        index.search(np.full((1, DIM), np.inf), k=1)
    with pytest.raises(ValueError, match="16 dimensions, got 3"):
        index.search(queries[:, :3], k=1)
    with pytest.raises(ValueError, match="CSLS mean of row 0"):
        Index(gallery[:1], csls_means=np.array([np.nan]))
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        index.search(queries, k=0)
    assert len(index) == len(gallery)


def test_csls_means_of_an_image_that_is_not_there_is_that_of_one_that_comes():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((30, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = csls_means_of_others(rows[:2], rows[2:], k=4)
    for i in range(2):
        among = csls_means(np.concatenate([rows[i : i + 1], rows[2:]]), k=4)
        assert found[i] == pytest.approx(among[0], abs=1e-6)
    assert csls_means_of_others(rows[:2], rows[:0], k=4).tolist() == [0, 0]


@pytest.mark.parametrize("share", [0.5, 0.02, 0.0])
@pytest.mark.parametrize("walks", [False, True])
@pytest.mark.slow
def test_a_search_among_some_rows_is_one_of_these_alone(walks, share):
    """However few they are: the control is an index that holds no others."""
    rows = clustered(3, n=6_000)
    means = csls_means(rows)
    among = np.random.default_rng(1).random(len(rows)) < share
    index = Index(rows, csls_means=means, engine=_walked(rows) if walks else None)
    alone = Index(rows[among], csls_means=means[among])
    asked = clustered(3, n=20) + np.float32(0.1)
    found, wanted = index.search(asked, k=10, among=Among(among)), alone.search(asked, k=10)
    assert found.rows.shape == (20, 10)
    places = np.flatnonzero(among)
    there = wanted.rows >= 0
    np.testing.assert_array_equal(found.rows >= 0, there)
    if share:
        assert among[found.rows].all()
        hits = [np.isin(places[w], f).mean() for w, f in zip(wanted.rows, found.rows, strict=True)]
        assert np.mean(hits) >= (0.95 if walks else 1)
        best = found.rows[:, 0] == places[wanted.rows[:, 0]]
        np.testing.assert_allclose(found.scores[best], wanted.scores[best], atol=1e-5)
        assert best.mean() >= 0.95


def test_copies_that_no_link_leads_to_are_found_where_the_linked_ones_may_not_be():
    rows = clustered(4, n=4_000)
    rows[3_000:] = rows[0]  # a thousand copies of one image, of which the first is linked
    walk = Walk.build(rows, rows=np.arange(3_000))
    among = np.ones(len(rows), bool)
    among[[0, *range(3_000, 3_900)]] = False
    index = Index(rows, engine=Walked(walk, len(rows)))
    found = index.search(rows[:1], k=5, among=Among(among)).rows[0]
    assert (found >= 3_900).all()
    assert walk.linked(len(rows)).sum() == 3_000


def test_rows_of_half_width_are_widened_a_part_at_a_time(monkeypatch):
    """A million rows of float16 were copied whole, in twice their space."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((500, 24)).astype(np.float16)
    asked = rng.standard_normal((7, 24)).astype(np.float32)
    wanted = index.nearest(asked, rows.astype(np.float32), k=9)
    monkeypatch.setattr(index, "WIDENED", 64)
    np.testing.assert_array_equal(index.nearest(asked, rows, k=9), wanted)
    few = index.nearest(asked, rows[:4], k=9)
    assert (np.sort(few[:, :4]) == np.arange(4)).all()
    assert (few[:, 4:] == -1).all()
