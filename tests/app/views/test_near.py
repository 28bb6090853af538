from __future__ import annotations

import numpy as np

from app.views.map import Panel, You
from app.views.near import far_words, moved_rows, moved_words, near_on_map
from app.views.scene import Scene
from tests.app.views.records import record

N = 100


def line() -> tuple[Panel, Scene]:
    """Images along a line, the visitor's own at its start; its nearest are told by each test."""
    points = np.stack([np.linspace(0, 1, N), np.zeros(N)], axis=1).astype(np.float32)
    return Panel("m", points), Scene(tuple(record(i) for i in range(N)), ())


def said(near: tuple[int, ...]) -> str:
    panel, scene = line()
    own = Panel("m", panel.points, You((0.0, 0.0), near))
    return far_words(own, scene, dim=64)


def test_near_is_within_the_nearest_twentieth_and_never_less_than_what_is_asked():
    panel, _ = line()
    assert near_on_map(panel, (0, 0), [0, 4, 5, 99], n=N) == [0, 4]
    assert near_on_map(panel, (0, 0), list(range(8)), n=N) == list(range(8))


def test_a_far_star_is_explained_and_a_near_one_is_not():
    assert said((0, 1, 2, 3)) == (
        "4 of its 4 nearest are also near it on the map, among the 5 images around it."
    )
    far = said((0, 50, 60, 70))
    assert far.startswith("1 of its 4 nearest")
    assert "64 dimensions into two" in far
    assert far_words(*line(), dim=64) == ""


def test_what_moved_most_keeps_fewest_neighbours():
    shares = np.array([0.5, 0.1, 0.9, 0.1])
    assert moved_rows(shares, top=3) == [1, 3, 0]
    words = moved_words(np.full(1001, 0.25), ["A", "B"], k=10)
    assert "25 % on average" in words
    assert "1 %" in words
