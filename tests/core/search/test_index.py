from __future__ import annotations

import threading

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.search.index import (
    Index,
    hubness,
    hubness_of_others,
    measured_recall,
    neighbours,
)
from core.values import GalleryError

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


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return np.random.default_rng(1).permutation(10_000)[:400]


def literal_hubness(rows: np.ndarray, *, k: int) -> np.ndarray:
    """The definition, one row at a time."""
    cosines = unit(rows.astype(float)) @ unit(rows.astype(float)).T
    values = []
    for row in range(len(rows)):
        others = np.sort(np.delete(cosines[row], row))[::-1][:k]
        values.append(others.mean() if len(others) else 0.0)
    return np.array(values)


def best(scores: np.ndarray, ids: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, axis=1)[:, :k]
    return ids[order], np.take_along_axis(scores, order, axis=1)


def test_cosine_search_equals_brute_force(gallery, queries, ids):
    hits = Index.build(gallery, ids).search(queries, k=7)
    wanted_ids, wanted = best(unit(queries) @ unit(gallery).T, ids, k=7)
    np.testing.assert_array_equal(hits.ids, wanted_ids)
    np.testing.assert_allclose(hits.scores, wanted, atol=1e-5)
    np.testing.assert_array_equal(hits.scores, hits.cosines)


def test_scaled_search_equals_the_literal_csls_formula(gallery, queries, ids):
    r = literal_hubness(gallery, k=10)
    hits = Index.build(gallery, ids, hubness=r).search(queries, k=20)
    cosines = unit(queries) @ unit(gallery).T
    wanted_ids, wanted = best(2 * cosines - r, ids, k=20)
    np.testing.assert_array_equal(hits.ids, wanted_ids)
    np.testing.assert_allclose(hits.scores, wanted, atol=1e-5)
    row_of = {image: row for row, image in enumerate(ids)}
    rows = np.vectorize(row_of.__getitem__)(hits.ids)
    np.testing.assert_allclose(hits.cosines, np.take_along_axis(cosines, rows, 1), atol=1e-5)


def test_scaling_changes_the_ranking(gallery, queries, ids):
    """Control: the comparison above would be empty if hubness moved nothing."""
    bare = Index.build(gallery, ids).search(queries, k=20)
    scaled = Index.build(gallery, ids, hubness=hubness(gallery)).search(queries, k=20)
    assert (bare.ids != scaled.ids).any()


def test_length_of_vectors_does_not_matter(gallery, queries, ids):
    lengths = np.random.default_rng(2).uniform(0.1, 9, (len(gallery), 1)).astype("f4")
    bare = Index.build(gallery, ids).search(queries, k=5)
    scaled = Index.build(gallery * lengths, ids).search(3 * queries, k=5)
    np.testing.assert_array_equal(bare.ids, scaled.ids)
    np.testing.assert_allclose(bare.scores, scaled.scores, atol=1e-5)


@pytest.mark.parametrize("n", [1, 2, 5, 11, 300])
def test_hubness_equals_its_definition(n):
    rows = clustered(3, n=n)
    np.testing.assert_allclose(hubness(rows), literal_hubness(rows, k=10), atol=1e-5)


def test_hubness_keeps_exact_duplicates():
    rows = np.repeat(np.random.default_rng(4).standard_normal((3, DIM)), 30, axis=0)
    np.testing.assert_allclose(hubness(rows), 1, atol=1e-5)
    table = neighbours(rows, k=10)
    assert (table.rows != np.arange(len(rows))[:, None]).all()
    np.testing.assert_array_equal(table.rows // 30, np.tile(np.arange(90)[:, None] // 30, 10))


def test_copies_of_one_group_count_once_in_hubness():
    rows = np.random.default_rng(5).standard_normal((30, 8)).astype(np.float32)
    copied = np.repeat(rows, 4, axis=0)
    found = hubness(copied, np.repeat(np.arange(30), 4), k=10)
    np.testing.assert_allclose(found, np.repeat(hubness(rows, k=10), 4), atol=1e-5)
    assert hubness(copied[:4], np.zeros(4, np.int64)).tolist() == [0] * 4


def test_neighbours_are_as_wide_as_there_are_others():
    assert neighbours(clustered(5, n=1), k=4).rows.shape == (1, 0)
    table = neighbours(clustered(5, n=3), k=4)
    np.testing.assert_array_equal(np.sort(table.rows, axis=1), [[1, 2], [0, 2], [0, 1]])


def test_more_asked_than_there_is(gallery, queries):
    hits = Index.build(gallery[:3], np.array([7, 5, 9])).search(queries, k=5)
    assert (np.sort(hits.ids[:, :3], axis=1) == [5, 7, 9]).all()
    assert (hits.ids[:, 3:] == -1).all()
    assert np.isneginf(hits.scores[:, 3:]).all()
    assert np.isneginf(hits.cosines[:, 3:]).all()


@pytest.mark.parametrize("kind", ["exact", "hnsw"])
def test_empty_index_finds_nothing_and_can_grow(kind, queries):
    index = Index.build(np.empty((0, DIM)), np.empty(0, np.int64), kind=kind)
    assert len(index) == 0
    assert (index.search(queries, k=2).ids == -1).all()
    index.add(queries, np.arange(len(queries)))
    assert (index.search(queries, k=1).ids[:, 0] == np.arange(len(queries))).all()


def test_zero_vectors_are_like_nothing(queries):
    index = Index.build(np.stack([np.zeros(DIM), queries[0]]), np.array([0, 1]))
    hits = index.search(queries[:1], k=2)
    np.testing.assert_array_equal(hits.ids, [[1, 0]])
    np.testing.assert_allclose(hits.cosines, [[1, 0]], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.booleans(), st.sets(st.integers(0, 30), max_size=8)), max_size=8),
    scaled=st.booleans(),
)
def test_ids_survive_adding_and_removing(steps, scaled):
    """Random operations beside a plain dictionary from id to vector and hubness."""
    rng = np.random.default_rng(6)
    model: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    none = np.empty(0, np.int64)
    index = Index.build(np.empty((0, DIM)), none, hubness=np.empty(0) if scaled else None)
    for grow, chosen in steps:
        if grow:
            fresh = sorted(chosen - model.keys())
            rows, r = rng.standard_normal((len(fresh), DIM)), rng.uniform(0, 0.5, len(fresh))
            index.add(rows, np.array(fresh, np.int64), hubness=r if scaled else None)
            model.update(zip(fresh, zip(unit(rows), r, strict=True), strict=True))
        else:
            gone = sorted(chosen & model.keys())
            index.remove(np.array(gone, np.int64))
            for image in gone:
                del model[image]
    assert set(index.ids.tolist()) == model.keys()
    assert len(index) == len(model)
    query = unit(rng.standard_normal((1, DIM)))
    hits = index.search(query, k=31)
    wanted = {i: 2 * (v @ query[0]) - r if scaled else v @ query[0] for i, (v, r) in model.items()}
    found = {i: s for i, s in zip(hits.ids[0].tolist(), hits.scores[0], strict=True) if i >= 0}
    assert list(found) == sorted(wanted, key=lambda i: -wanted[i])
    np.testing.assert_allclose([found[i] for i in found], [wanted[i] for i in found], atol=1e-5)


def test_searching_while_the_index_changes(gallery, queries, ids):
    """Every answer belongs to the index before or after a change."""
    index = Index.build(gallery, ids)
    stay = set(ids[:200].tolist())
    failures: list[object] = []

    def search() -> None:
        while not done.is_set():
            found = index.search(queries[:1], k=400)
            kept = found.ids[0][found.ids[0] >= 0]
            if len(kept) not in (200, 400) or not stay <= set(kept.tolist()):
                failures.append(kept)

    done = threading.Event()
    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        index.remove(ids[200:])
        index.add(gallery[200:], ids[200:])
    done.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_hnsw_finds_what_the_exact_index_finds():
    rows = clustered(7, n=3_000)
    r = hubness(rows)
    ids = np.arange(len(rows))[::-1].copy()
    exact = Index.build(rows, ids, hubness=r)
    graph = Index.build(rows, ids, hubness=r, kind="hnsw")
    asked = clustered(7, n=50) + np.float32(0.1)
    assert measured_recall(graph, exact, queries=asked, k=10) >= 0.9
    np.testing.assert_array_equal(graph.search(asked, k=1).ids, exact.search(asked, k=1).ids)


def test_measured_recall_sees_what_is_missing(gallery, queries, ids):
    exact = Index.build(gallery, ids)
    half = Index.build(gallery[::2], ids[::2])
    assert measured_recall(exact, exact, queries=queries, k=10) == 1
    assert 0.3 < measured_recall(half, exact, queries=queries, k=10) < 0.7


@pytest.mark.parametrize("n", [0, 400])
def test_graph_survives_saving(tmp_path, gallery, queries, ids, n):
    r = hubness(gallery)[:n]
    index = Index.build(gallery[:n], ids[:n], hubness=r, kind="hnsw")
    index.save(tmp_path / "graph.faiss")
    opened = Index.load(tmp_path / "graph.faiss", ids[:n], dim=DIM, hubness=r)
    before, after = index.search(queries, k=9), opened.search(queries, k=9)
    np.testing.assert_array_equal(before.ids, after.ids)
    np.testing.assert_array_equal(before.scores, after.scores)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.faiss"]


def test_graph_of_other_embeddings_is_refused(tmp_path, gallery, ids):
    path = tmp_path / "graph.faiss"
    r = hubness(gallery)
    Index.build(gallery, ids, hubness=r, kind="hnsw").save(path)
    for wrong in (
        {"ids": ids, "dim": DIM + 1, "hubness": r},
        {"ids": ids[:-1], "dim": DIM, "hubness": r[:-1]},
        {"ids": ids, "dim": DIM, "hubness": r[::-1].copy()},
        {"ids": ids, "dim": DIM, "hubness": None},
    ):
        with pytest.raises(GalleryError, match="other embeddings"):
            Index.load(path, **wrong)
    faiss.write_index(faiss.IndexFlatIP(DIM + 1), str(path))
    with pytest.raises(GalleryError, match="other embeddings"):
        Index.load(path, ids[:0], dim=DIM)


@pytest.mark.parametrize("content", [b"", b"not an index", None])
def test_damaged_graph_is_refused(tmp_path, gallery, ids, content):
    path = tmp_path / "graph.faiss"
    Index.build(gallery, ids, kind="hnsw").save(path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(GalleryError, match="not a readable"):
        Index.load(path, ids, dim=DIM)


def test_saving_keeps_the_old_graph_when_it_fails(tmp_path, gallery, ids, monkeypatch):
    path = tmp_path / "graph.faiss"
    index = Index.build(gallery, ids, kind="hnsw")
    index.save(path)
    before = path.read_bytes()

    def full(_engine: object, name: str) -> None:
        with open(name, "wb") as file:  # noqa: PTH123 - as a C library would
            file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(faiss, "write_index", full)
    with pytest.raises(OSError, match="no space"):
        index.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["graph.faiss"]


def test_wrong_input_is_named(tmp_path, gallery, queries, ids):
    index = Index.build(gallery, ids)
    holes = gallery.copy()
    holes[3, 4] = np.nan
    with pytest.raises(ValueError, match="embedding 3 is not finite"):
        Index.build(holes, ids)
    with pytest.raises(ValueError, match="embedding 0 is not finite"):
        index.search(np.full((1, DIM), np.inf), k=1)
    with pytest.raises(ValueError, match="16 dimensions, got 3"):
        index.search(queries[:, :3], k=1)
    with pytest.raises(ValueError, match="16 dimensions, got 3"):
        index.add(gallery[:1, :3], np.array([10_001]))
    with pytest.raises(ValueError, match="id 4 comes more than once"):
        Index.build(gallery[:2], np.array([4, 4]))
    with pytest.raises(ValueError, match="not be negative, got -1"):
        Index.build(gallery[:2], np.array([4, -1]))
    with pytest.raises(ValueError, match=f"id {ids[0]} is in the index already"):
        index.add(gallery[:1], ids[:1])
    with pytest.raises(ValueError, match="id 10001 is not in the index"):
        index.remove(np.array([10_001]))
    with pytest.raises(ValueError, match="hubness of row 0"):
        Index.build(gallery[:1], ids[:1], hubness=np.array([np.nan]))
    with pytest.raises(ValueError, match="hubness goes with"):
        index.add(gallery[:1], np.array([10_001]), hubness=np.zeros(1))
    with pytest.raises(ValueError, match="k must be positive, got 0"):
        index.search(queries, k=0)
    with pytest.raises(ValueError, match="no file of its own"):
        index.save(tmp_path)
    assert len(index) == len(gallery)


def test_a_graph_cannot_forget(gallery, ids):
    with pytest.raises(ValueError, match="cannot forget"):
        Index.build(gallery, ids, kind="hnsw").remove(ids[:1])


def test_hubness_of_an_image_that_is_not_there_is_that_of_one_that_comes():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((30, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = hubness_of_others(rows[:2], rows[2:], k=4)
    for i in range(2):
        among = hubness(np.concatenate([rows[i : i + 1], rows[2:]]), k=4)
        assert found[i] == pytest.approx(among[0], abs=1e-6)
    assert hubness_of_others(rows[:2], rows[:0], k=4).tolist() == [0, 0]
