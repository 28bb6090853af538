"""A walk finds most of the nearest rows; its file is whole, and of the rows that it is read for."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import pytest

from core.search.walk import Walk
from core.values import Cancelled, GalleryError

DIM = 18  # no whole number of registers


def rows_of(seed: int, *, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((20, DIM))
    return (centres[rng.integers(20, size=n)] + 0.4 * rng.standard_normal((n, DIM))).astype("f4")


@pytest.fixture(scope="module")
def gallery() -> np.ndarray:
    return rows_of(0, n=1_500)


@pytest.fixture(scope="module")
def walk(gallery) -> Walk:
    return Walk.build(gallery)


def nearest(queries, gallery, *, k):
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, gallery)]
    return np.argsort(-(unit[0] @ unit[1].T), axis=1)[:, :k]


def recall(found, wanted):
    return np.mean([np.isin(w, f).mean() for f, w in zip(found, wanted, strict=True)])


def test_most_of_the_nearest_are_found_and_lengths_do_not_count(walk, gallery):
    queries = 3 * gallery[:60] + np.float32(0.1)
    wanted = nearest(queries, gallery, k=10)
    assert recall(walk.search(queries, k=20, beam=64), wanted) >= 0.95
    narrow = recall(walk.search(queries, k=10, beam=1), wanted)
    assert narrow <= recall(walk.search(queries, k=10, beam=128), wanted)


@pytest.mark.parametrize("dim", [32, 33])
def test_a_few_large_numbers_do_not_make_all_others_zero(dim):
    """One number of a row in a hundred is nearly all of it; the scale is that of the others."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((1_000, dim)).astype("f4")
    rows[::250, 0] = 1e4
    found = Walk.build(rows).search(rows[1:60], k=20, beam=64)
    assert recall(found, nearest(rows[1:60], rows, k=10)) >= 0.9


def test_rows_and_queries_of_zeros_are_taken(gallery):
    rows = gallery[:50].copy()
    rows[::7] = 0
    found = Walk.build(rows).search(np.vstack([rows[:1], rows[1:2]]), k=5, beam=50)
    assert found[1, 0] == 1
    assert (Walk.build(0 * rows).search(rows[1:2], k=5, beam=50) >= 0).all()


def test_a_query_may_be_of_one_number(walk, gallery):
    """It is scaled by its own largest number: with the rows' scale it would be clipped."""
    asked = np.zeros((1, DIM), np.float32)
    asked[0, 4], asked[0, 7] = 1, 0.2
    wanted = nearest(asked, gallery, k=10)
    assert recall(walk.search(asked, k=20, beam=128), wanted) >= 0.9


def test_only_the_rows_that_may_be_found_are(walk, gallery):
    among = np.zeros(len(gallery), bool)
    among[::3] = True
    found = walk.search(gallery[:40], k=10, beam=64, among=among)
    assert among[found[found >= 0]].all()
    wanted = np.flatnonzero(among)[nearest(gallery[:40], gallery[among], k=10)]
    assert recall(found, wanted) >= 0.9


@pytest.mark.parametrize("n", [0, 1_500])
def test_a_walk_survives_saving(tmp_path, gallery, n):
    walk = Walk.build(gallery[:n])
    walk.save(tmp_path / "walk.npz")
    opened = Walk.load(tmp_path / "walk.npz", gallery[:n])
    before, after = (each.search(gallery[:9], k=7, beam=32) for each in (walk, opened))
    np.testing.assert_array_equal(before, after)
    assert len(opened) == n
    assert [path.name for path in tmp_path.iterdir()] == ["walk.npz"]


def test_a_walk_over_other_embeddings_is_refused(tmp_path, walk, gallery):
    path = tmp_path / "walk.npz"
    walk.save(path)
    for wrong in (gallery[:-1], gallery[:, :-3], gallery[::-1].copy(), rows_of(1, n=1_500)):
        with pytest.raises(GalleryError, match="other embeddings"):
            Walk.load(path, wrong)
    with pytest.raises(GalleryError, match="other embeddings"):
        Walk.load(path, gallery[:0])


@pytest.mark.parametrize(
    ("name", "lie"),
    [
        ("links", lambda links: np.where(links == links[0], 1_500, links)),
        ("links", lambda links: np.where(links == links[0], -7, links)),
        ("links", lambda links: links[:-1]),
        ("links", lambda links: links.astype(np.int64)),
        ("levels", lambda levels: levels + np.int32(1)),
        ("levels", lambda levels: np.ones_like(levels)),
        ("levels", lambda levels: levels[::-1].copy()),
        ("top", lambda top: top + 1_500),
        ("top", lambda _: np.array([-1])),
        ("scale", lambda scale: -scale),
        ("scale", lambda scale: scale * 2),
        ("scale", lambda scale: scale * 1e-300),
        ("seen", lambda seen: seen[:-1]),
        ("seen", lambda seen: seen[:, :-1]),
        ("rows", lambda rows: np.where(rows == rows[5], rows[6], rows)),
        ("scale", lambda scale: scale * np.nan),
        ("scale", lambda scale: scale[:0]),
        ("scale", lambda scale: scale.astype(np.int64)),
    ],
)
def test_links_that_lead_nowhere_are_not_walked(tmp_path, walk, gallery, name, lie):
    """The library's own file was parsed by itself: one of a few bytes took gigabytes."""
    path = tmp_path / "walk.npz"
    walk.save(path)
    arrays = dict(np.load(path))
    np.savez(path, **{**arrays, name: lie(arrays[name])})
    with pytest.raises(GalleryError, match="search index"):
        Walk.load(path, gallery)


@pytest.mark.parametrize("content", [b"", b"not an index", None])
def test_a_damaged_file_is_refused(tmp_path, walk, gallery, content):
    path = tmp_path / "walk.npz"
    walk.save(path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(GalleryError, match="not a readable"):
        Walk.load(path, gallery)


def test_saving_keeps_the_old_file_when_it_fails(tmp_path, walk, monkeypatch):
    path = tmp_path / "walk.npz"
    walk.save(path)
    before = path.read_bytes()

    def full(file: BinaryIO, **_: object) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        walk.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["walk.npz"]


def test_a_stop_is_heard(gallery):
    def stop(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        Walk.build(gallery, progress=stop)


def test_like_rows_are_held_together():
    """Behind a fifth of all rows that come from everywhere."""
    rng = np.random.default_rng(7)
    centre = rng.integers(20, size=3_000)
    rows = rng.standard_normal((20, DIM))[centre] + 0.1 * rng.standard_normal((3_000, DIM))
    order = Walk.build(rows.astype("f4")).in_order(np.arange(3_000))
    assert sorted(order) == list(range(3_000))
    held = centre[order]
    alike = held[1:] == held[:-1]
    assert alike[:599].mean() > 0.9 and alike[600:].mean() > 0.9
    assert {*centre} == {*held[:600]}
    some = np.array([5, 2_999, 17])
    assert [*some[Walk.build(rows.astype("f4"), rows=np.arange(100)).in_order(some)]][-1] == 2_999
