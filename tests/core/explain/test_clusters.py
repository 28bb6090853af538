from __future__ import annotations

import time

import numpy as np
import pytest

from core.explain import clusters as module
from core.explain.clusters import cluster
from core.values import Cancelled


def blobs(*sizes: int) -> tuple[np.ndarray, np.ndarray]:
    """Well separated round groups in the plane, and the group of every row."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    centres = 20 * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])[: len(sizes)]
    return (centres[truth] + rng.normal(size=(len(truth), 2))).astype(np.float32), truth


def test_dense_regions_are_found_and_numbered_by_size():
    rows, truth = blobs(30, 90, 60)
    found = cluster(rows, kind="density")
    for group, expected in ((1, 0), (2, 1), (0, 2)):
        inside = found[truth == group]
        assert np.mean(inside == expected) > 0.8
        assert set(inside) <= {expected, -1}


def test_lonely_points_are_in_no_dense_region():
    rows, _ = blobs(60, 60)
    found = cluster(np.vstack([rows, [[400, 400], [-400, 90]]]).astype(np.float32), kind="density")
    assert found[-2:].tolist() == [-1, -1]


def test_means_split_all_rows_and_never_two_far_groups_together():
    rows, truth = blobs(50, 50, 50, 50)
    found = cluster(rows, kind="means")
    assert found.min() == 0
    assert np.all(np.diff(np.bincount(found)) <= 0)
    for number in range(found.max() + 1):
        assert len(set(truth[found == number])) == 1


@pytest.mark.parametrize("kind", ["density", "means"])
def test_the_same_rows_give_the_same_clusters(kind):
    rows, _ = blobs(40, 40)
    assert cluster(rows, kind=kind).tolist() == cluster(rows, kind=kind).tolist()


@pytest.mark.parametrize("kind", ["density", "means"])
@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_few_rows_are_no_error(kind, n: int):
    assert len(cluster(np.eye(4, 3, dtype=np.float32)[:n], kind=kind)) == n


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="finite"):
        cluster(np.full((3, 2), np.nan, np.float32), kind="means")


@pytest.mark.slow
def test_dense_regions_of_many_rows_are_the_same_in_a_process_of_their_own(monkeypatch):
    rows, _ = blobs(2_000, 1_000)
    here = cluster(rows, kind="density")
    monkeypatch.setattr(module, "AT_ONCE", 0)
    told: list[str] = []
    apart = cluster(rows, kind="density", progress=lambda *each: told.append(each[2]))
    np.testing.assert_array_equal(apart, here)
    assert {*told} == {"finding clusters"}


@pytest.mark.slow
def test_a_stop_ends_the_search_for_dense_regions_at_once():
    """HDBSCAN was waited for: six seconds for 40,000 points, an hour for a million."""
    rows, _ = blobs(60_000, 60_000)
    started, asked = time.monotonic(), list[float]()

    def stop(*_: object) -> None:
        asked.append(time.monotonic())
        if asked[-1] - started > 3:  # it is at work by then
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        cluster(rows, kind="density", progress=stop)
    assert time.monotonic() - asked[-1] < 2
