"""A null query never meets its own group, and images without a source get valid p-values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import HeadConfig, NullConfig, ScoreConfig
from core.encoders.descriptors import quantize
from core.evidence.combination import Combination
from core.evidence.null import aspects_of, fit_null, margins_of
from core.heads.fit import fit_head
from core.search.index import csls_means
from core.search.patches import local_scores
from core.search.ranking import (
    Collection,
    Ranking,
    first_of_groups,
    rival_score,
)
from core.values import Cancelled
from tests.core import made

D = 24


def _world(*, copies=1, n=80, seed=0, patches=None, score=None):
    """Independent directions, every one there ``copies`` times in one group."""
    rng = np.random.default_rng(seed)
    config = score or ScoreConfig(local_scaling=False)
    rows = rng.standard_normal((n, D))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    vectors = np.repeat(rows, copies, axis=0)
    groups = np.repeat(np.arange(n) * copies, copies)
    means = csls_means(vectors, groups) if config.local_scaling else None
    return made.collection(vectors, groups=groups, means=means, patches=patches, config=config)


def _fit(world, **config):
    return fit_null(world, config=NullConfig(**config))


@pytest.mark.parametrize("local_scaling", [False, True])
@pytest.mark.slow
def test_copies_change_no_null(local_scaling):
    """Copies were null queries of their own, so a gallery of few groups had tiny p-values."""
    score = ScoreConfig(local_scaling=local_scaling)
    single, copied = (_fit(_world(copies=c, n=40, score=score), folds=40) for c in (1, 6))
    np.testing.assert_allclose(copied.margins, single.margins, atol=1e-5)
    np.testing.assert_allclose(copied.leads, single.leads, atol=1e-5)


@pytest.mark.slow
def test_in_galleries_of_few_images_each_is_taken_out_alone():
    world = _world(n=30)
    few, many = _fit(world, folds=2), _fit(world, folds=30, alone=0)
    np.testing.assert_array_equal(few.margins, many.margins)
    assert not np.array_equal(few.margins, _fit(world, folds=2, alone=0).margins)


def test_too_few_groups_have_no_null():
    """Nothing stands out among fewer groups than a margin is taken against."""
    assert len(_fit(_world(copies=10, n=4))) == 0
    assert len(_fit(_world(copies=10, n=5))) == 5


@pytest.mark.slow
def test_every_null_query_meets_the_gallery_without_its_group():
    """With three copies of every image, a null that met the copies would stand out with all."""
    world = _world(copies=3, n=40)
    single = _world(copies=1, n=40)
    cosines = single.views[0].vectors @ single.views[0].vectors.T
    np.fill_diagonal(cosines, -1)
    best = -np.sort(-cosines, axis=1)
    found = _fit(world, folds=40)
    wanted = np.sort(best[:, 0] - best[:, 3])
    np.testing.assert_allclose(found.margins[:, 0], wanted, atol=1e-5)
    wanted = np.sort(best[:, 0] - best[:, 1])
    np.testing.assert_allclose(found.leads[:, 0], wanted, atol=1e-5)
    alone = _fit(replace(world, groups=np.arange(120)))
    assert np.median(alone.margins) > 3 * np.median(found.margins)  # the control: their copies


def test_margins_are_those_of_every_aspect_with_local_descriptors():
    patches = quantize(np.random.default_rng(1).standard_normal((30, 9, 8)))
    score = ScoreConfig(local_scaling=False, candidates=10)
    world = _world(n=30, patches=patches, score=score)
    found = _fit(world, folds=30).margins
    assert found.shape == (30, 3)
    assert world.aspect_names == ("embedding", "matching places", "all together")
    vectors = world.views[0].vectors
    wanted = []
    for i in range(30):
        asked = made.query(vectors[i], patches=patches[i])
        ranking = world.rank(asked, k=10, without=np.array([i]))
        alone = (
            vectors[ranking.rows] @ vectors[i],
            score.view("patches").weight * local_scores(patches[i], patches[ranking.rows]),
            ranking.scores,
        )
        wanted.append([-np.diff(np.sort(scores)[[-4, -1]]) for scores in alone])
    wanted = -np.sort(np.array(wanted)[:, :, 0], axis=0)[::-1]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_group_stands_where_its_best_image_does():
    aspects = np.array([[4.0, 1], [9, 2], [2, 3], [-np.inf, -np.inf]])
    ranking = Ranking(np.array([4, 2, 7, 0]), np.array([4.0, 3, 2, 1]), np.zeros(4), aspects)
    groups = np.array([0, 1, 2, 3, 2, 5, 6, 0])
    np.testing.assert_array_equal(first_of_groups(ranking, groups), [0, 2, 3][:2])
    np.testing.assert_array_equal(aspects_of(ranking, groups), aspects[[0, 2]])


@pytest.mark.parametrize(("scores", "wanted"), [([5.0, 4, 3, 2, 1], 2), ([5.0, 4], 4), ([5.0], 5)])
def test_the_rival_score_is_the_third_rival_or_the_last(scores, wanted):
    assert rival_score(np.array(scores)) == wanted


@pytest.mark.slow
def test_a_draw_follows_its_seed():
    world = _world()
    one, two = _fit(world, queries=20), _fit(world, queries=20)
    assert len(one) == 20
    assert one.identity == two.identity
    assert _fit(world, queries=20, seed=1).identity != one.identity
    assert len(_fit(world, queries=500)) == 80


def test_a_gallery_of_one_group_has_no_null():
    null = _fit(_world(copies=4, n=1))
    assert len(null) == 0
    assert null.of_margins.p_value(null.of_margins.strength(np.array([[1.0, 1.0]]))[0]) == 1.0


def test_margins_are_taken_from_the_fourth_group_and_leads_from_the_best_other():
    """In every aspect by itself; a group that is the best in one may be the last in another."""
    aspects = np.array([[9.0, 1], [7, 2], [4, 8], [3, 3], [1, 4]])
    found = margins_of(aspects)
    np.testing.assert_array_equal(found.margins, aspects - [3, 2])
    np.testing.assert_array_equal(found.leads, aspects - [[7, 8], [9, 8], [9, 4], [9, 8], [9, 8]])


def test_rows_beyond_the_candidates_and_what_cannot_be_compared_stand_out_nowhere():
    never = -np.inf
    found = margins_of(np.array([[9.0, never], [7, never], [never, never]]))
    np.testing.assert_array_equal(found.margins, [[2, never], [0, never]])
    np.testing.assert_array_equal(found.leads, [[2, never], [-2, never]])
    assert len(margins_of(np.empty((0, 2))).margins) == 0
    np.testing.assert_array_equal(margins_of(np.array([[5.0]])).margins, [[0]])


def test_progress_is_told_and_can_stop_the_work():
    builtin, seen = _world(n=10), []

    def progress(done, total, _what):
        seen.append((done, total))
        if done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        fit_null(builtin, config=NullConfig(queries=5), progress=progress)
    assert seen == [(1, 5), (2, 5), (3, 5)]


def _photographs(n, f, *, seed):
    """Rows with a few strong directions, many weak ones and heavy tails, as features have them."""
    rng = np.random.default_rng(seed)
    scales = np.arange(1, f + 1) ** -0.7
    topics = 1.5 * rng.standard_normal((40, f))
    rows = rng.laplace(size=(n, f)) + topics[rng.integers(40, size=n)]
    return (rows * scales @ np.linalg.qr(rng.standard_normal((f, f)))[0]).astype(np.float32)


def _gallery_of(features, kind):
    """A gallery under a head that was fitted on it."""
    head = fit_head(features, config=HeadConfig(kind=kind, k=512, shrinkage=0.001))
    vectors = head(features, role="gallery")
    view = replace(made.view(vectors, means=csls_means(vectors)), head=head)
    view = replace(view, features=features, fitted=np.ones(len(features), bool))
    return Collection((view,), np.arange(len(features)), None)


def _asked_apart(kind, n, seed):
    """p-values of images of one distribution, some as the gallery and as many others asked."""
    features = _photographs(2 * n, 48, seed=seed)
    world = _gallery_of(features[:n], kind)
    null = fit_null(world, config=NullConfig(queries=150)).of_margins
    for vector in world.views[0].head(features[n:], role="query"):
        ranking = world.rank(made.query(vector), k=200)
        margins = margins_of(aspects_of(ranking, world.groups)).margins
        yield null.p_value(null.strength(margins).max())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["identity", "center", "whiten"])
def test_images_without_a_source_get_valid_p_values_under_heads_fitted_on_the_gallery(kind):
    """P(p <= .05) was .5 to .7: the null's images were in the head's fit, the query was not."""
    drawn = [(60, seed) for seed in range(8)] + [(200, seed) for seed in range(8, 16)]
    found = np.array([p for n, seed in drawn for p in _asked_apart(kind, n, seed)])
    assert len(found) == 2_080
    assert np.mean(found <= 0.05) <= 0.065
    assert np.mean(found <= 0.01) <= 0.02


def _view_of(features, n, name, *, kind="center", **how):
    """The first n images in a view whose head was fitted on them, and all others as queries."""
    head = fit_head(features[:n], config=HeadConfig(kind=kind, k=512, shrinkage=0.001))
    vectors = head(features[:n], role="gallery")
    view = made.view(vectors, means=csls_means(vectors), name=name, **how)
    fitted = np.ones(n, bool)
    found = replace(view, head=head, features=features[:n], fitted=fitted)
    return found, head(features[n:], role="query")


def _asked_by_all_that_ships(n, seed, *, cross_fitted=True):
    """p-values of images asked apart, by an embedding, edges, a palette and local descriptors.

    All of these see the same images, each with noise of its own.
    """
    rng, shared = np.random.default_rng(seed), _photographs(2 * n, 48, seed=seed)
    score = ScoreConfig()
    pairs = [_view_of(shared, n, "embedding", kind="whiten")]
    for name in ("edges", "palette"):
        own = shared[:, :16] + 0.5 * _photographs(2 * n, 16, seed=seed + len(name))
        how = score.view(name)
        pairs.append(_view_of(own, n, name, weight=how.weight, trust=how.trust))
    places = (shared @ rng.standard_normal((48, 9 * 8))).reshape(2 * n, 9, 8)
    patches = quantize(places + places.std() * rng.standard_normal(places.shape))
    views = [view if cross_fitted else replace(view, fitted=None) for view, _ in pairs]
    world = Collection(tuple(views), np.arange(n), patches[:n], config=score)
    assert world.aspect_names[1:] == ("edges", "palette", "matching places", "all together")
    null = fit_null(world, config=NullConfig()).of_margins
    for *vectors, local in zip(*(asked for _, asked in pairs), patches[n:], strict=True):
        ranking = world.rank(made.query(*vectors, patches=local), k=score.candidates)
        margins = margins_of(aspects_of(ranking, world.groups)).margins
        yield null.p_value(null.strength(margins).max())


@pytest.mark.slow
def test_images_without_a_source_get_valid_p_values_by_views_and_local_descriptors():
    """It was shown for an embedding alone; the control holds the heads fixed in the null."""
    drawn = [(60, seed) for seed in range(8)] + [(120, seed) for seed in range(8, 11)]
    found = np.array([p for n, seed in drawn for p in _asked_by_all_that_ships(n, seed)])
    assert len(found) == 840
    assert np.mean(found <= 0.05) <= 0.065
    assert np.mean(found <= 0.01) <= 0.02
    fixed = [p for s in range(4) for p in _asked_by_all_that_ships(50, s, cross_fitted=False)]
    assert np.mean(np.array(fixed) <= 0.05) > 0.15


@pytest.mark.parametrize("kind", ["logdet", "infomax"])
@pytest.mark.slow
def test_heads_that_turn_whitened_features_give_the_p_values_of_whitening(kind):
    whitened = list(_asked_apart("whiten", 60, 1))
    np.testing.assert_allclose(list(_asked_apart(kind, 60, 1)), whitened, rtol=1e-3)


@pytest.mark.slow
def test_a_null_of_images_that_took_part_in_the_fit_is_too_narrow():
    """The control: without cross-fitting the same p-values fail by far."""
    n = 120
    features = _photographs(2 * n, n, seed=1)
    world = _gallery_of(features[:n], "whiten")
    vectors = world.views[0].vectors
    ranked = [world.rank(made.query(vectors[i]), k=200, without=np.array([i])) for i in range(n)]
    naive = Combination.of([margins_of(r.aspects).margins for r in ranked], aspects=2)
    asked = world.views[0].head(features[n:], role="query")
    found = [margins_of(world.rank(made.query(v), k=200).aspects).margins for v in asked]
    p_values = np.array([naive.p_value(naive.strength(margins).max()) for margins in found])
    assert np.mean(p_values <= 0.05) > 0.2
