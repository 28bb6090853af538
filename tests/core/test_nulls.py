"""Conformal p-values are valid, and a null query never meets its own group."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import NullConfig, ScoreConfig
from core.correspond import quantize
from core.gallery import Embedded
from core.index import hubness
from core.nulls import Null, fit_null
from core.scoring import Scorer
from core.values import Cancelled

D = 24


def _world(*, copies=1, n=80, seed=0):
    """Independent directions, every one there ``copies`` times in one group."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, D))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    embeddings = np.repeat(rows, copies, axis=0)
    groups = np.repeat(np.arange(n) * copies, copies)
    return Embedded(embeddings, hubness(embeddings).astype(np.float32), groups)


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
        found[trial] = Null(np.sort(scores[1:])).p_value(float(scores[0]))
    for a in (0.05, 0.1, 0.25, 0.5, 0.77):
        exact = np.floor(a * (m + 1) + 1e-9) / (m + 1)
        error = 4 * np.sqrt(exact * (1 - exact) / trials)
        assert np.mean(found <= a + 1e-9) == pytest.approx(exact, abs=error)


def test_ties_count_against_the_query():
    null = Null(np.array([1.0, 2.0, 2.0, 3.0]))
    wanted = {0.5: 1.0, 1.0: 1.0, 1.5: 4 / 5, 2.0: 4 / 5, 2.5: 2 / 5, 3.0: 2 / 5, 3.5: 1 / 5}
    assert {score: null.p_value(score) for score in wanted} == pytest.approx(wanted)


def test_no_p_value_is_below_one_over_m_plus_one():
    assert Null(np.linspace(0, 1, 499)).p_value(1e9) == pytest.approx(1 / 500)
    assert Null(np.zeros(0)).p_value(1e9) == 1.0


def test_every_null_query_meets_the_gallery_without_its_group():
    """With three copies of every image, a null that met the copies would be all ones."""
    embedded = _world(copies=3, n=40)
    null = _fit(embedded)
    single = _world(copies=1, n=40)
    cosines = single.embeddings @ single.embeddings.T
    np.fill_diagonal(cosines, -1)
    np.testing.assert_allclose(null.scores, np.sort(np.repeat(cosines.max(1), 3)), atol=1e-5)
    alone = Embedded(embedded.embeddings, embedded.hubness, np.arange(120))
    assert _fit(alone).scores.min() > 0.999  # the control: groups of one do meet their copies


def test_scores_are_those_of_the_scoring_with_local_descriptors():
    embedded = _world(n=30)
    patches = quantize(np.random.default_rng(1).standard_normal((30, 9, 8)))
    score = ScoreConfig(candidates=5)
    found = _fit(embedded, patches=patches, score=score).scores
    scorer = Scorer(embedded, patches, config=score)
    wanted = [
        scorer.rank(embedded.embeddings[i], patches[i], k=1, without=np.array([i])).scores[0]
        for i in range(30)
    ]
    np.testing.assert_allclose(found, np.sort(wanted), atol=1e-5)


def test_a_draw_follows_its_seed():
    embedded = _world()
    one, two = _fit(embedded, queries=20), _fit(embedded, queries=20)
    assert len(one.scores) == 20
    assert one.identity == two.identity
    assert _fit(embedded, queries=20, seed=1).identity != one.identity
    assert len(_fit(embedded, queries=500).scores) == 80


def test_a_gallery_of_one_group_has_no_null():
    embedded = _world(copies=4, n=1)
    null = _fit(embedded)
    assert len(null.scores) == 0
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
