"""After images came and went a walk finds as many of the nearest as one that is made anew."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from core.search.graph import WIDTH, Graph, neighbour_graph
from core.search.links import Links
from core.search.walk import Walk
from core.search.walked import cosines_of, joined, walked, walked_again
from core.values import Cancelled, GalleryError

DIM = 24


def world(seed: int, n: int) -> np.ndarray:
    """Unit rows around many centres."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((60, DIM))
    rows = centres[rng.integers(60, size=n)] + 0.7 * rng.standard_normal((n, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def recall(rows: np.ndarray, vectors: np.ndarray) -> float:
    """Share of the ten nearest rows that are there, over all rows."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    wanted = np.argsort(-cosines, axis=1)[:, :10]
    return float(np.mean([np.isin(w, r).mean() for w, r in zip(wanted, rows, strict=True)]))


def changed(path: Path, every: np.ndarray, before: np.ndarray, after: np.ndarray):
    """A walk over some rows, changed to one over others, and where the rows are now."""
    Walk.build(every[before]).save(path)
    now = np.full(len(every), -1)
    now[after] = np.arange(len(after))
    vectors, rows = every[after], np.arange(len(after))
    return Walk.changed(path, vectors, now=now[before], rows=rows), now[before]


@pytest.mark.parametrize(("gone", "came"), [(0, 300), (300, 0), (150, 150), (1, 1), (0, 0)])
@pytest.mark.slow
def test_a_changed_walk_and_its_neighbours_are_as_good_as_new_ones(tmp_path, gone, came):
    every, rng = world(0, 2_300), np.random.default_rng(1)
    drawn = rng.permutation(len(every))
    before = np.sort(drawn[:2_000])
    after = np.sort(drawn[gone : 2_000 + came])
    walk, now = changed(tmp_path / "walk.npz", every, before, after)
    vectors = every[after]
    assert len(walk) == len(after)
    fresh = neighbour_graph(vectors, walk=Walk.build(vectors))
    assert recall(walked(vectors, np.arange(len(after)), width=WIDTH, walk=walk)[0], vectors) >= (
        recall(fresh.rows, vectors) - 0.005
    )
    old = every[before]
    graph = neighbour_graph(old, walk=Walk.build(old))
    tables = (graph.rows, graph.cosines)
    rows, cosines = walked_again(vectors, tables, now, walk=walk, moved=False)
    assert recall(rows, vectors) >= recall(fresh.rows, vectors) - 0.01
    row = np.arange(len(after))[:, None]
    assert not (rows == row).any()
    meant = np.where(rows >= 0, (vectors[rows] @ vectors[:, :, None])[:, :, 0], -1)
    np.testing.assert_allclose(cosines, meant, atol=2.5e-4)  # kept in 16 bits
    assert (np.diff(cosines, axis=1) <= 0).all()
    assert all(len({*r[r >= 0]}) == (r >= 0).sum() for r in rows)


def test_what_only_one_that_goes_led_to_is_still_found(tmp_path):
    """Rows of which all links went could not be reached any more."""
    every = world(2, 1_500)
    hubs = np.argsort(-(every @ every.mean(axis=0)))[:300]
    after = np.setdiff1d(np.arange(1_500), hubs)
    walk, _ = changed(tmp_path / "walk.npz", every, np.arange(1_500), after)
    found = walk.search(every[after], k=1, beam=64)[:, 0]
    assert (found == np.arange(len(after))).mean() >= 0.995


def test_neighbours_are_compared_anew_where_vectors_moved(tmp_path):
    every = world(3, 800)
    walk, now = changed(tmp_path / "walk.npz", every, np.arange(700), np.arange(800))
    graph = neighbour_graph(every[:700], walk=Walk.build(every[:700]))
    other = every + np.float32(0.02)
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    tables = (graph.rows, graph.cosines)
    rows, cosines = walked_again(other, tables, now, walk=walk, moved=True)
    meant = np.where(rows >= 0, (other[rows] @ other[:, :, None])[:, :, 0], -1)
    np.testing.assert_allclose(cosines, meant, atol=1e-5)


def test_a_changed_walk_survives_saving_and_leads_somewhere(tmp_path):
    every = world(4, 900)
    walk, _ = changed(tmp_path / "one.npz", every, np.arange(800), np.arange(100, 900))
    walk.save(tmp_path / "two.npz")
    again = Walk.load(tmp_path / "two.npz", every[100:])
    asked = every[100:160]
    np.testing.assert_array_equal(
        again.search(asked, k=9, beam=40), walk.search(asked, k=9, beam=40)
    )


def test_a_walk_of_fewer_images_than_it_names_is_refused(tmp_path):
    rows = world(5, 200)
    Walk.build(rows).save(tmp_path / "walk.npz")
    with pytest.raises(GalleryError, match="other embeddings"):
        Walk.changed(tmp_path / "walk.npz", rows, now=np.arange(150), rows=np.arange(150))
    with pytest.raises(GalleryError, match="not a readable"):
        Walk.changed(tmp_path / "none.npz", rows, now=np.arange(200), rows=np.arange(200))


def test_all_may_go_and_others_come(tmp_path):
    every = world(6, 400)
    walk, now = changed(tmp_path / "walk.npz", every, np.arange(200), np.arange(200, 400))
    assert (now == -1).all()
    assert (walk.search(every[200:], k=1, beam=32)[:, 0] == np.arange(200)).mean() > 0.98
    nothing, _ = changed(tmp_path / "walk.npz", every, np.arange(200), np.arange(0))
    assert len(nothing) == 0


def test_many_that_came_to_one_place_take_no_more_memory_than_their_lists(tmp_path):
    """A list as long as all that lie near was made for each: 3 GB for 4,000 copies."""
    every = world(9, 3_000)
    every[2_000:] = every[7] + np.float32(1e-3) * world(10, 1_000)
    every /= np.linalg.norm(every, axis=1, keepdims=True)
    walk, now = changed(tmp_path / "walk.npz", every, np.arange(2_000), np.arange(3_000))
    graph = neighbour_graph(every[:2_000], walk=Walk.build(every[:2_000]))
    tables = (graph.rows, graph.cosines)
    tracemalloc.start()
    rows, cosines = walked_again(every, tables, now, walk=walk, moved=False)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * rows.nbytes + 50_000_000
    assert (rows[7] >= 2_000).all()
    best = np.sort(every[2_000:] @ every[7])[::-1][:WIDTH]
    assert np.mean(np.isin(np.round(best, 5), np.round(cosines[7], 5))) > 0.8


def test_a_stop_is_heard(tmp_path):
    every = world(7, 300)
    Walk.build(every[:200]).save(tmp_path / "walk.npz")

    def stop(*_: object) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        Walk.changed(
            tmp_path / "walk.npz", every, now=np.arange(200), rows=np.arange(300), progress=stop
        )


def test_the_likest_behind_a_node_that_goes_take_its_place():
    """Three nodes in a chain, 0 - 1 - 2 and 1 - 3: without 1, 0 leads to the one that is liker."""
    widths = np.array([0, 2], np.int32)
    links = np.array([1, -1, 2, 3, 1, -1, 1, -1], np.int32)
    chain = Links(np.ones(4, np.int32), links, 1)
    assert chain.lead_somewhere(widths)

    def likeness(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return -np.abs(one - two).astype(float)

    left = chain.without(widths, np.array([True, False, True, True]), likeness)
    assert left.links.reshape(3, 2).tolist() == [[1, 2], [2, -1], [1, -1]]
    assert left.lead_somewhere(widths)
    assert left.top == 0


def test_graphs_are_of_their_width(tmp_path):
    rows = world(8, 20)
    graph = neighbour_graph(rows, walk=Walk.build(rows))
    assert isinstance(graph, Graph)
    assert graph.rows.shape == (20, WIDTH)
    assert (graph.rows[:, 19:] == -1).all()


def test_what_one_row_misses_its_neighbour_may_know():
    """Row 3 has row 0 in its list, and row 0 a farther one in its own."""
    rows = np.array([[1, 2], [0, 2], [0, 1], [0, 1]], np.int32)
    cosines = np.array([[0.9, 0.5], [0.9, 0.6], [0.6, 0.5], [0.8, 0.1]], np.float32)
    joined(rows, cosines)
    assert rows.tolist() == [[1, 3], [0, 2], [0, 1], [0, 1]]
    assert np.allclose(cosines, [[0.9, 0.8], [0.9, 0.6], [0.6, 0.5], [0.8, 0.1]])


def test_joining_lists_finds_more_and_none_twice():
    vectors = world(4, 1_500)
    rows, cosines = walked(vectors, np.arange(1_500), width=12, walk=Walk.build(vectors))
    lost = np.random.default_rng(0).random(rows.shape) < 0.3
    order = np.argsort(lost, axis=1, kind="stable")
    rows = np.where(np.take_along_axis(lost, order, 1), -1, np.take_along_axis(rows, order, 1))
    cosines = np.where(rows < 0, np.float32(-1), np.take_along_axis(cosines, order, 1))
    before = recall(rows, vectors)
    joined(rows, cosines)
    assert recall(rows, vectors) > before + 0.1
    assert all(len({*row[row >= 0]}) == (row >= 0).sum() for row in rows)
    assert (np.diff(cosines, axis=1) <= 0).all()
    own = np.arange(1_500)[:, None]
    assert np.allclose(cosines_of(vectors, own[:, 0], rows)[rows >= 0], cosines[rows >= 0])


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_cosines_are_those_of_any_rows(kind):
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((200, 7)).astype(kind)
    vectors[3] = 0
    rows, others = rng.integers(200, size=150), rng.integers(-1, 200, size=(150, 5))
    wide = vectors.astype(float)
    lengths = np.linalg.norm(wide, axis=1)
    wanted = wide @ wide.T / np.maximum(lengths[:, None] * lengths, 1e-30)
    found = cosines_of(vectors, rows, others)
    assert np.allclose(found, np.where(others < 0, -1, wanted[rows[:, None], others]), atol=1e-5)
