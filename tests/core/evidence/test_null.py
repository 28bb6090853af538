"""Conformal p-values are valid, and a null query never meets its own group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.config import HeadConfig, NullConfig, ScoreConfig
from core.encoders.descriptors import quantize
from core.evidence.null import (
    Null,
    conformal,
    fit_null,
    fit_tail,
)
from core.heads.fit import fit_head
from core.search.index import csls_means
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


def test_p_values_of_exchangeable_scores_are_valid_and_almost_exact():
    """P(p <= a) <= a at every a, and equal to floor(a (m + 1)) / (m + 1)."""
    rng = np.random.default_rng(0)
    m, trials = 19, 4000
    found = np.empty(trials)
    for trial in range(trials):
        scores = rng.standard_normal(m + 1).astype(np.float32)
        found[trial] = conformal(np.sort(scores[1:]), float(scores[0]))
    for a in (0.05, 0.1, 0.25, 0.5, 0.77):
        exact = np.floor(a * (m + 1) + 1e-9) / (m + 1)
        error = 4 * np.sqrt(exact * (1 - exact) / trials)
        assert np.mean(found <= a + 1e-9) == pytest.approx(exact, abs=error)


def test_ties_count_against_the_query():
    null = np.array([1.0, 2.0, 2.0, 3.0])
    wanted = {0.5: 1.0, 1.0: 1.0, 1.5: 4 / 5, 2.0: 4 / 5, 2.5: 2 / 5, 3.0: 2 / 5, 3.5: 1 / 5}
    assert {score: conformal(null, score) for score in wanted} == pytest.approx(wanted)


def test_no_p_value_is_below_one_over_m_plus_one():
    null = Null(np.linspace(0, 1, 499), np.zeros(499))
    assert null.p_value(1e9) == pytest.approx(1 / 500)
    assert Null(np.zeros(0), np.zeros(0)).p_value(1e9) == 1.0


@pytest.mark.parametrize("local_scaling", [False, True])
def test_copies_change_no_null(local_scaling):
    """Copies were null queries of their own, so a gallery of few groups had tiny p-values."""
    score = ScoreConfig(local_scaling=local_scaling)
    single, copied = (_fit(_world(copies=c, n=40, score=score), folds=40) for c in (1, 6))
    np.testing.assert_allclose(copied.leads, single.leads, atol=1e-5)
    np.testing.assert_allclose(copied.leads, single.leads, atol=1e-5)


def test_too_few_groups_have_no_null():
    """Nothing stands out among fewer groups than a margin is taken against."""
    assert len(_fit(_world(copies=10, n=4)).margins) == 0
    assert len(_fit(_world(copies=10, n=5)).margins) == 5


def test_every_null_query_meets_the_gallery_without_its_group():
    """With three copies of every image, a null that met the copies would stand out with all."""
    world = _world(copies=3, n=40)
    single = _world(copies=1, n=40)
    cosines = single.views[0].vectors @ single.views[0].vectors.T
    np.fill_diagonal(cosines, -1)
    best = -np.sort(-cosines, axis=1)
    found = _fit(world, folds=40)
    wanted = np.sort(best[:, 0] - best[:, 3])
    np.testing.assert_allclose(found.margins, wanted, atol=1e-5)
    wanted = np.sort(best[:, 0] - best[:, 1])
    np.testing.assert_allclose(found.leads, wanted, atol=1e-5)
    alone = replace(world, groups=np.arange(120))
    assert np.median(_fit(alone).margins) > 3 * found.unit  # the control: they meet their copies


def test_margins_are_those_of_the_ranking_with_local_descriptors():
    patches = quantize(np.random.default_rng(1).standard_normal((30, 9, 8)))
    score = ScoreConfig(local_scaling=False, candidates=10)
    world = _world(n=30, patches=patches, score=score)
    found = _fit(world, folds=30).margins
    ranked = [
        world.rank(
            made.query(world.views[0].vectors[i], patches=patches[i]), k=10, without=np.array([i])
        ).scores
        for i in range(30)
    ]
    np.testing.assert_allclose(found, np.sort([s[0] - s[3] for s in ranked]), atol=1e-5)


def test_a_group_stands_where_its_best_image_does():
    ranking = Ranking(np.array([4, 2, 7, 0]), np.array([4.0, 3, 2, 1]), np.zeros(4))
    groups = np.array([0, 1, 2, 3, 2, 5, 6, 0])
    np.testing.assert_array_equal(first_of_groups(ranking, groups), [0, 2])


@pytest.mark.parametrize(("scores", "wanted"), [([5.0, 4, 3, 2, 1], 2), ([5.0, 4], 4), ([5.0], 5)])
def test_the_rival_score_is_the_third_rival_or_the_last(scores, wanted):
    assert rival_score(np.array(scores)) == wanted


@pytest.mark.parametrize("shape", [0.0, 0.3])
def test_the_fitted_tail_finds_a_pareto_tail_and_goes_beyond_the_sample(shape):
    rng = np.random.default_rng(0)
    uniform = rng.uniform(size=4000)
    values = -np.log(uniform) if shape == 0 else (uniform**-shape - 1) / shape
    tail = fit_tail(np.sort(values))
    assert tail is not None
    assert tail.share == pytest.approx(0.1)
    assert tail.shape == pytest.approx(shape, abs=0.1)
    for p in (1e-2, 1e-3, 1e-5):
        at = -np.log(p) if shape == 0 else (p**-shape - 1) / shape
        assert np.log10(tail.p_value(at)) == pytest.approx(np.log10(p), abs=0.6)


def test_the_tail_goes_on_from_the_counted_share():
    null = Null(np.sort(np.random.default_rng(0).exponential(size=2000)), np.zeros(2000))
    threshold = float(null.margins[-201])
    assert null.tail_p_value(threshold - 0.1) == null.conformal_p_value(threshold - 0.1)
    assert null.tail_p_value(threshold + 1e-6) == pytest.approx(0.1, abs=0.002)
    assert 0 < null.tail_p_value(1e3) < null.conformal_p_value(1e3) == null.p_value(1e3)


def test_the_p_value_is_the_larger_share():
    null = Null(np.sort(np.random.default_rng(0).exponential(size=2000)), np.zeros(2000))
    at = np.linspace(0, 10, 50)
    counted = np.array([null.conformal_p_value(x) for x in at])
    smooth = np.array([null.tail_p_value(x) for x in at])
    np.testing.assert_array_equal([null.p_value(x) for x in at], np.maximum(counted, smooth))
    assert (counted > smooth).any()
    assert (smooth > counted).any()


def test_what_has_no_tail_is_counted():
    assert fit_tail(np.arange(50.0)) is None
    assert fit_tail(np.zeros(1000)) is None
    assert Null(np.arange(50.0), np.zeros(50)).tail_p_value(1e9) == pytest.approx(1 / 51)


def test_a_draw_follows_its_seed():
    world = _world()
    one, two = _fit(world, queries=20), _fit(world, queries=20)
    assert len(one.margins) == 20
    assert one.identity == two.identity
    assert _fit(world, queries=20, seed=1).identity != one.identity
    assert len(_fit(world, queries=500).margins) == 80


def test_a_gallery_of_one_group_has_no_null():
    world = _world(copies=4, n=1)
    null = _fit(world)
    assert len(null.margins) == 0
    assert null.unit == 0
    assert null.p_value(1.0) == 1.0


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


@pytest.mark.slow
def test_images_without_a_source_get_valid_p_values_under_heads_fitted_on_the_gallery():
    """P(p <= .05) was .5 to .7: the null's images were in the fit of the head, the query was not.

    Images of one distribution, some as the gallery and as many others asked; 2,000 in all.
    """
    found: list[float] = []
    for kind in ("identity", "center", "whiten", "logdet", "infomax"):
        for n, seed in ((60, 1), (60, 2), (60, 3), (220, 4)):
            features = _photographs(2 * n, 120, seed=seed)
            world = _gallery_of(features[:n], kind)
            null = fit_null(world, config=NullConfig(queries=150))
            for vector in world.views[0].head(features[n:], role="query"):
                scores = world.rank(made.query(vector), k=200).scores
                found.append(null.p_value(float(scores[0] - rival_score(scores))))
    assert len(found) == 2_000
    assert np.mean(np.array(found) <= 0.05) <= 0.065
    assert np.mean(np.array(found) <= 0.01) <= 0.02


def test_a_null_of_images_that_took_part_in_the_fit_is_too_narrow():
    """The control: without cross-fitting the same p-values fail by far."""
    n = 120
    features = _photographs(2 * n, n, seed=1)
    world = _gallery_of(features[:n], "whiten")
    vectors = world.views[0].vectors
    ranked = [world.rank(made.query(vectors[i]), k=200, without=np.array([i])) for i in range(n)]
    naive = Null(np.sort([r.scores[0] - r.scores[3] for r in ranked]), np.zeros(n))
    asked = world.views[0].head(features[n:], role="query")
    scores = [world.rank(made.query(vector), k=200).scores for vector in asked]
    p_values = np.array([naive.p_value(float(s[0] - s[3])) for s in scores])
    assert np.mean(p_values <= 0.05) > 0.2
