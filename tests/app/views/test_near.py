from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.views.map import Panel, You
from app.views.near import far_words, movers, near_captions, near_on_map
from app.views.scene import Scene
from core.values import Answer, Match, Scale
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


def test_the_nearest_have_the_score_that_ranks_them():
    """Their cosines stood there, in an order that was none of theirs."""
    ranked = [Match(record(i), cosine, score, i) for i, (cosine, score) in enumerate(SCORES)]
    found = Answer(tuple(ranked), (), None, None, "null", scale=Scale(0.0, 1.0))
    captions = near_captions({"m": found})
    assert [caption.partition("\n")[0] for caption in captions] == ["72 of 100", "48 of 100"]
    bare = replace(found, scale=None)
    assert near_captions({"m": bare})[0].startswith("cosine 0.30")


SCORES = [(0.3, 0.72), (0.5, 0.48)]


def test_what_moved_most_keeps_fewest_neighbours_over_all_depths():
    """Of many that kept none of ten, the first of the gallery were shown."""
    shares, mean = np.array([0.1, 0.1, 0.9, 0.1]), np.array([0.2, 0.1, 0.9, 0.05])
    found = movers(shares, mean, ["A", "B"], k=10, top=3)
    assert found.rows == (3, 1, 0)
    assert "at random" not in found.words
    even = movers(np.full(1001, 0.25), np.full(1001, 0.5), ["A", "B"], k=10, top=4)
    assert "25 % on average" in even.words
    assert "1 %" in even.words
    assert "4 of them are drawn at random from 1,001 that keep equally few" in even.words
    assert even.rows != (0, 1, 2, 3)
