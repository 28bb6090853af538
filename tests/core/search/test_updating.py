"""A graph that is brought up to date is the one that is found from nothing, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from core.search.graph import WIDTH, neighbour_graph
from core.search.survivors import names_of, rows_now
from core.search.updating import compared, summed_cosines, updated
from core.values import Cancelled

D = 24


def world(seed: int, n: int = 500) -> np.ndarray:
    """Unit rows, some of them nearly or quite copies of others."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, D)).astype(np.float32)
    rows[10:14], rows[20:22] = rows[3], rows[4] + np.float32(1e-4)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def moved(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    return rows_now(*(names_of([""] * len(rows), rows) for rows in (before, now)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("gone", "come"), [(0, 7), (4, 0), (3, 20), (0, 0), (1, 1)])
@pytest.mark.slow
def test_an_updated_graph_is_that_from_nothing(seed, gone, come):
    every, rng = world(seed), np.random.default_rng(100 + seed)
    drawn = rng.permutation(len(every))
    before = np.sort(drawn[:460])
    now = np.sort(np.concatenate([drawn[gone:460], drawn[460 : 460 + come]]))
    old = compared(every[before], np.arange(len(before)), width=WIDTH)
    found = updated(every[now], old, moved(every[before], every[now]), width=WIDTH)
    assert found is not None
    meant = neighbour_graph(every[now], walk=None)
    np.testing.assert_array_equal(found[0], meant.rows)
    np.testing.assert_array_equal(found[1], meant.cosines)


@pytest.mark.parametrize(("before", "now"), [(20, 60), (60, 20), (60, 500), (400, 40), (1, 2)])
def test_much_that_changed_is_left_to_be_found_from_nothing(before, now):
    rows = world(1)
    old = compared(rows[:before], np.arange(before), width=WIDTH)
    assert updated(rows[:now], old, moved(rows[:before], rows[:now]), width=WIDTH) is None


def test_images_in_another_order_are_compared_from_nothing():
    rows = world(2, 100)
    old = compared(rows, np.arange(100), width=WIDTH)
    assert updated(rows[::-1], old, moved(rows, rows[::-1]), width=WIDTH) is None


def test_the_nearest_are_those_of_brute_force_and_a_cosine_depends_on_no_other():
    rows = world(3)
    found, cosines = compared(rows, np.arange(len(rows)), width=WIDTH)
    every = rows.astype(np.float64) @ rows.T.astype(np.float64)
    np.fill_diagonal(every, -2)
    np.testing.assert_allclose(cosines, -np.sort(-every, axis=1)[:, :WIDTH], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(every, found, axis=1), cosines, atol=1e-6)
    for row in (0, 3, 499):
        alone = summed_cosines(rows, np.array([row]), found[row : row + 1, 5:6])
        np.testing.assert_array_equal(alone[0], cosines[row, 5:6])


@pytest.mark.parametrize("step", ["comparing all images with all", "comparing all images with new"])
def test_bringing_up_to_date_can_be_stopped(step: str):
    """It compared up to half of a gallery with all of it, and told nothing."""
    rows = world(4)
    old = compared(rows[:480], np.arange(480), width=WIDTH)

    def stop(_done: int, _total: int, what: str) -> None:
        if what.startswith(step):
            raise Cancelled("stopped")

    now = moved(rows[:480], rows)
    with pytest.raises(Cancelled):
        updated(rows, old, now, width=WIDTH, progress=stop)
