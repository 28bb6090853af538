"""A query of another kind is told from one of the gallery's, and scores lie on a scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import ScoreConfig
from core.evidence.surroundings import own_nearest, score_scale, surroundings
from core.search.graph import Graph
from core.search.index import neighbours
from tests.core import made

N, D = 60, 32


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


RNG = np.random.default_rng(0)
KIND = _unit(RNG.standard_normal(D))
IMAGES = _unit(2 * KIND + 0.2 * RNG.standard_normal((N, D)))
WORLD = made.collection(IMAGES, config=ScoreConfig(local_scaling=False))
OF_THE_KIND = _unit(2 * KIND + 0.2 * RNG.standard_normal(D))
OTHER = _unit(RNG.standard_normal(D))


def _around(vector, world=WORLD):
    ranking = world.rank(made.query(vector), k=N)
    return surroundings(ranking, own_nearest(world), images=len(world), holds="stones")


def test_a_query_of_another_kind_is_farther_than_the_gallery_s_own_images():
    near, far = _around(OF_THE_KIND), _around(OTHER)
    assert near is not None and far is not None
    assert far.nearer == 1
    assert near.nearer < 0.95
    assert far.nearest < near.nearest
    assert (far.images, far.holds) == (N, "stones")


def test_copies_do_not_make_a_gallery_look_dense():
    twice = np.concatenate([IMAGES, IMAGES])
    groups = np.concatenate([np.arange(N), np.arange(N)])
    world = made.collection(twice, groups=groups, config=ScoreConfig(local_scaling=False))
    assert own_nearest(world).max() < 0.9999
    assert own_nearest(made.collection(twice)).min() == pytest.approx(1, abs=1e-5)


def test_neighbours_that_are_known_are_not_compared_again():
    """Of a million images 400 were compared with all, while the graph had their nearest."""
    copies = np.concatenate([IMAGES, np.repeat(IMAGES[:1], 12, axis=0)])  # fill its own table
    groups = np.concatenate([np.arange(N), np.zeros(12, np.int64)])
    world = made.collection(copies, groups=groups, config=ScoreConfig(local_scaling=False))
    exact = own_nearest(world)
    near = neighbours(copies, k=10)
    graph = Graph(near.rows.astype(np.int32), near.cosines, np.ones(1))
    (view,) = world.views
    known = replace(world, views=(replace(view, graph=lambda: graph),))
    np.testing.assert_allclose(own_nearest(known), exact, atol=1e-5)
    lied = Graph(graph.rows, graph.cosines - 1, np.ones(1))
    assert own_nearest(replace(world, views=(replace(view, graph=lambda: lied),)))[0] < 0.5


def test_nothing_is_said_of_two_images():
    assert _around(OTHER, made.collection(IMAGES[:2])) is None
    few = made.collection(IMAGES[:2])
    query = made.query(OTHER)
    assert score_scale(query, few, few.rank(query, k=2)) is None


@pytest.mark.parametrize("scaled", [False, True])
def test_the_scale_ends_at_the_very_image(scaled):
    means = np.full(N, 0.5) if scaled else None
    world = made.collection(IMAGES, means=means, config=ScoreConfig(local_scaling=scaled))
    query = made.query(IMAGES[7])
    ranking = world.rank(query, k=N)
    scale = score_scale(query, world, ranking)
    assert scale is not None
    assert ranking.scores[0] <= scale.high + 1e-5
    assert scale.low <= float(np.median(ranking.scores)) + 1e-5
    far = score_scale(made.query(OTHER), world, world.rank(made.query(OTHER), k=N))
    assert far is not None
    best = world.rank(made.query(OTHER), k=1).scores[0]
    assert (best - far.low) / (far.high - far.low) < 0.7


def test_the_scale_is_the_same_for_the_very_file():
    query = made.query(IMAGES[7])
    known = replace(query, identical=7)
    one, two = (score_scale(q, WORLD, WORLD.rank(q, k=N)) for q in (query, known))
    assert one is not None and two is not None
    assert one.high == pytest.approx(two.high, abs=1e-5)
