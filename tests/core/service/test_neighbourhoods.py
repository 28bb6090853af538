from __future__ import annotations

import numpy as np

from core.service.neighbourhoods import average_overlap, overlap


def test_overlap_counts_entries_wherever_they_stand():
    one = np.array([[1, 2, 3], [0, 2, -1], [5, 6, 7]], np.int32)
    other = np.array([[3, 9, 1], [2, 0, -1], [0, 1, 2]], np.int32)
    np.testing.assert_allclose(overlap(one, other), [2 / 3, 1, 0])


def test_average_overlap_tells_apart_what_is_shared_early_and_late():
    one = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [4, 5, 6]], np.int32)
    other = np.array([[1, 2, 3], [1, 8, 9], [8, 9, 1], [7, 8, 9]], np.int32)
    by_hand = [1, (1 + 1 / 2 + 1 / 3) / 3, (0 + 0 + 1 / 3) / 3, 0]
    np.testing.assert_allclose(average_overlap(one, other), by_hand)


def test_unrelated_neighbours_overlap_by_chance_alone():
    rng = np.random.default_rng(0)
    n, k = 500, 10
    one, other = (
        np.stack([rng.permutation(n)[:k] for _ in range(n)]).astype(np.int32) for _ in range(2)
    )
    assert abs(overlap(one, other).mean() - k / n) < 0.01
    assert overlap(one, one).min() == 1
