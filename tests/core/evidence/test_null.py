"""Conformal p-values are valid, and a null query never meets its own group."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import NullConfig, ScoreConfig
from core.encoders.descriptors import quantize
from core.evidence.null import (
    Null,
    conformal,
    fit_null,
    fit_tail,
)
from core.gallery.gallery import Embedded
from core.search.index import hubness
from core.search.ranking import (
    Ranking,
    Scorer,
    background,
    first_of_groups,
)
from core.values import Cancelled

D = 24


def _world(*, copies=1, n=80, seed=0):
    """Independent directions, every one there ``copies`` times in one group."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, D))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    embeddings = np.repeat(rows, copies, axis=0)
    groups = np.repeat(np.arange(n) * copies, copies)
    return Embedded(embeddings, hubness(embeddings, groups).astype(np.float32), groups)


def _fit(embedded, *, patches=None, score=None, **config):
    scorer = Scorer(embedded, patches, config=score or ScoreConfig(local_scaling=False))
    return fit_null(scorer, embedded.embeddings, embedded, patches, config=NullConfig(**config))


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
    single, copied = (_fit(_world(copies=c, n=40), score=score) for c in (1, 6))
    np.testing.assert_allclose(copied.standings, single.standings, atol=1e-5)
    np.testing.assert_allclose(copied.margins, single.margins, atol=1e-5)


def test_too_few_groups_have_no_null():
    """Nothing stands out among fewer groups than a standing is taken against."""
    assert len(_fit(_world(copies=10, n=4)).standings) == 0
    assert len(_fit(_world(copies=10, n=5)).standings) == 5


def test_every_null_query_meets_the_gallery_without_its_group():
    """With three copies of every image, a null that met the copies would stand out with all."""
    embedded = _world(copies=3, n=40)
    single = _world(copies=1, n=40)
    cosines = single.embeddings @ single.embeddings.T
    np.fill_diagonal(cosines, -1)
    best = -np.sort(-cosines, axis=1)
    found = _fit(embedded)
    wanted = np.sort(best[:, 0] - best[:, 3])
    np.testing.assert_allclose(found.standings, wanted, atol=1e-5)
    wanted = np.sort(best[:, 0] - best[:, 1])
    np.testing.assert_allclose(found.margins, wanted, atol=1e-5)
    alone = Embedded(embedded.embeddings, embedded.hubness, np.arange(120))
    assert np.median(_fit(alone).standings) > 3 * found.unit  # the control: they meet their copies


def test_standings_are_those_of_the_scoring_with_local_descriptors():
    embedded = _world(n=30)
    patches = quantize(np.random.default_rng(1).standard_normal((30, 9, 8)))
    score = ScoreConfig(candidates=10)
    found = _fit(embedded, patches=patches, score=score).standings
    scorer = Scorer(embedded, patches, config=score)
    ranked = [
        scorer.rank(embedded.embeddings[i], patches[i], k=10, without=np.array([i])).scores
        for i in range(30)
    ]
    np.testing.assert_allclose(found, np.sort([s[0] - s[3] for s in ranked]), atol=1e-5)


def test_a_group_stands_where_its_best_image_does():
    ranking = Ranking(np.array([4, 2, 7, 0]), np.array([4.0, 3, 2, 1]), np.zeros(4))
    groups = np.array([0, 1, 2, 3, 2, 5, 6, 0])
    np.testing.assert_array_equal(first_of_groups(ranking, groups), [0, 2])


@pytest.mark.parametrize(("scores", "wanted"), [([5.0, 4, 3, 2, 1], 2), ([5.0, 4], 4), ([5.0], 5)])
def test_the_background_is_the_third_rival_or_the_last(scores, wanted):
    assert background(np.array(scores)) == wanted


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
    threshold = float(null.standings[-201])
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
    embedded = _world()
    one, two = _fit(embedded, queries=20), _fit(embedded, queries=20)
    assert len(one.standings) == 20
    assert one.identity == two.identity
    assert _fit(embedded, queries=20, seed=1).identity != one.identity
    assert len(_fit(embedded, queries=500).standings) == 80


def test_a_gallery_of_one_group_has_no_null():
    embedded = _world(copies=4, n=1)
    null = _fit(embedded)
    assert len(null.standings) == 0
    assert null.unit == 0
    assert null.p_value(1.0) == 1.0


def test_progress_is_told_and_can_stop_the_work():
    embedded, seen = _world(n=10), []

    def progress(done, total, _what):
        seen.append((done, total))
        if done == 3:
            raise Cancelled

    scorer = Scorer(embedded, None, config=ScoreConfig())
    with pytest.raises(Cancelled):
        fit_null(
            scorer,
            embedded.embeddings,
            embedded,
            None,
            config=NullConfig(queries=5),
            progress=progress,
        )
    assert seen == [(1, 5), (2, 5), (3, 5)]
