"""The neighbour graph against brute force, exact and walked, and what is taken from it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from core.search.graph import WIDTH, csls_means_of, neighbour_graph, rescored, worth_linking
from core.search.index import csls_means
from core.search.walk import Walk

DIM = 24


def unit_rows_of(seed: int, *, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((30, DIM))
    rows = (centres[rng.integers(30, size=n)] + 0.7 * rng.standard_normal((n, DIM))).astype("f4")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return unit_rows_of(0, n=1_200)


@pytest.fixture(scope="module")
def walk(vectors) -> Walk:
    return Walk.build(vectors)


def nearest_by_sklearn(vectors, *, k):
    fitted = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(vectors)
    return fitted.kneighbors(return_distance=False)


def literal_means(vectors, groups, *, k, gone=()):
    """Mean cosine to the nearest first rows of other groups, one row at a time."""
    there = [row for row in range(len(vectors)) if row not in set(gone)]
    first = {groups[row]: row for row in reversed(there)}
    means = np.zeros(len(vectors))
    for row in there:
        others = [other for group, other in first.items() if group != groups[row]]
        means[row] = np.sort(vectors[others] @ vectors[row])[::-1][:k].mean() if others else 0
    return means


def test_an_exact_graph_is_that_of_scikit_learn(vectors):
    graph = neighbour_graph(vectors, walk=None)
    np.testing.assert_array_equal(graph.rows[:, :10], nearest_by_sklearn(vectors, k=10))
    assert graph.rows.shape == (1_200, WIDTH)
    assert graph.recall == 1


def test_a_walked_graph_has_exact_cosines_and_tells_its_recall(vectors, walk):
    graph = neighbour_graph(vectors, walk=walk)
    wanted = nearest_by_sklearn(vectors, k=10)
    recall = np.mean([np.isin(w, f).mean() for f, w in zip(graph.rows, wanted, strict=True)])
    assert recall >= 0.95
    assert graph.recall[0] == pytest.approx(recall, abs=0.02)
    assert (graph.rows != np.arange(1_200)[:, None]).all()
    cosines = np.einsum("nd,nkd->nk", vectors, vectors[graph.rows])
    wanted = np.where(graph.rows < 0, -1, cosines)
    np.testing.assert_allclose(graph.cosines, wanted, atol=2.5e-4)  # in 16 bits
    assert (np.diff(graph.cosines, axis=1) <= 0).all()


def test_a_graph_that_misses_much_says_so(vectors):
    """Walked over other rows, it finds little."""
    graph = neighbour_graph(vectors, walk=Walk.build(unit_rows_of(5, n=1_200)))
    assert graph.recall[0] < 0.3


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_small_galleries_have_small_graphs(n):
    vectors = unit_rows_of(3, n=n)
    graph = neighbour_graph(vectors, walk=None)
    assert graph.rows.shape == (n, min(WIDTH, n - 1))
    found = csls_means_of(graph, vectors, np.arange(n), k=10)
    np.testing.assert_allclose(found, literal_means(vectors, np.arange(n), k=10), atol=1e-5)


@pytest.mark.parametrize("copies", [1, 3, 36, 60])
@pytest.mark.slow
def test_means_equal_the_definition_however_many_copies_fill_the_table(copies):
    errors: list[float] = []
    for seed in range(1, 16):
        rng = np.random.default_rng(copies)
        vectors = np.repeat(unit_rows_of(seed, n=360 // copies), copies, axis=0)
        vectors = vectors + rng.normal(0, 0.01, vectors.shape).astype("f4")
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        groups = np.arange(360) // copies * copies
        wanted = literal_means(vectors, groups, k=5)
        exact = csls_means_of(neighbour_graph(vectors, walk=None), vectors, groups, k=5)
        np.testing.assert_allclose(exact, wanted, atol=1e-5)
        np.testing.assert_allclose(exact, csls_means(vectors, groups, k=5), atol=1e-6)
        walk = Walk.build(vectors, rows=worth_linking(vectors, groups.astype(np.uint64)))
        graph = neighbour_graph(vectors, walk=walk)
        walked = csls_means_of(graph, vectors, groups, k=5, walk=walk)
        errors.append(float(np.abs(walked - wanted).mean()))
    assert np.mean(errors) < 0.022  # of one draw it is .003 to .04, however rows are rounded


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_rows_that_are_left_out_count_for_nothing(vectors, walk, share):
    """Whole groups, and single rows of groups, the first among them."""
    rng = np.random.default_rng(0)
    groups = np.arange(1_200) // 4 * 4
    gone = rng.random(1_200) < share
    stays = ~gone
    wanted = literal_means(vectors, groups, k=6, gone=np.flatnonzero(gone))
    how = {"k": 6, "left_out": gone}
    exact = csls_means_of(neighbour_graph(vectors, walk=None), vectors, groups, **how)
    np.testing.assert_allclose(exact[stays], wanted[stays], atol=1e-5)
    graph = neighbour_graph(vectors, walk=walk)
    walked = csls_means_of(graph, vectors, groups, walk=walk, **how)
    assert np.abs(walked - wanted)[stays].mean() < 0.01


def test_a_graph_is_rescored_by_other_vectors(vectors):
    other = vectors + np.random.default_rng(1).normal(0, 0.02, vectors.shape).astype("f4")
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    found = rescored(neighbour_graph(vectors, walk=None), other)
    wanted = nearest_by_sklearn(other, k=10)
    np.testing.assert_array_equal(found.rows[:, 0], wanted[:, 0])
    assert (found.rows[:, :10] == wanted).mean() > 0.99
    cosines = np.einsum("nd,nkd->nk", other, other[found.rows])
    np.testing.assert_allclose(found.cosines, cosines, atol=1e-5)


def test_what_has_hundreds_of_copies_is_found_from_outside():
    """A graph of all copies falls apart: each is linked to others of its kind alone."""
    rng = np.random.default_rng(0)
    base = unit_rows_of(2, n=600)
    copies = base[7] + rng.normal(0, 0.003, (400, DIM)).astype("f4")
    vectors = np.concatenate([base, copies / np.linalg.norm(copies, axis=1, keepdims=True)])
    hashes = rng.integers(2**63, size=1_000).astype(np.uint64)
    hashes[600:] = hashes[7]
    rows = worth_linking(vectors, hashes)
    assert set(range(600)) <= set(rows.tolist())
    assert len(rows) < 640
    near = base[7] + rng.normal(0, 0.05, DIM).astype("f4")
    found = Walk.build(vectors, rows=rows).search(near[None], k=5, beam=64)[0]
    assert np.isin(found, [7, *range(600, 1_000)]).all()
    others = np.flatnonzero(~np.isin(np.arange(600), 7))
    assert np.isin(others, rows).all()


def test_images_of_one_hash_that_look_different_are_all_linked():
    vectors = unit_rows_of(4, n=200)
    rows = worth_linking(vectors, np.zeros(200, np.uint64))
    assert len(rows) > 190
