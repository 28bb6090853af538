"""Two-stage ranking against the literal formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import ScoreConfig
from core.correspond import local_scores, quantize
from core.gallery import Embedded
from core.index import hubness
from core.scoring import Scorer

N, D = 60, 16


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def _world(seed=0, *, n=N):
    rng = np.random.default_rng(seed)
    embeddings = _unit(rng.standard_normal((n, D)) + 0.7)
    hubs = hubness(embeddings, k=5).astype(np.float32)
    patches = quantize(rng.standard_normal((n, 9, 8)))
    query, local = _unit(rng.standard_normal(D) + 0.7), quantize(rng.standard_normal((1, 9, 8)))[0]
    return Embedded(embeddings, hubs, np.arange(n)), patches, query, local


def _literal(embedded, patches, query, local, *, config, without=()):
    """Rows and scores by the formulas of the docs, in float64 and with full sorts."""
    cosines = embedded.embeddings.astype(np.float64) @ query
    scores = 2 * cosines - embedded.hubness if config.local_scaling else cosines.copy()
    order = [row for row in np.argsort(-scores, kind="stable") if row not in without]
    if config.rerank and local is not None and patches is not None:
        first, rest = order[: config.candidates], order[config.candidates :]
        for row in first:
            own = local_scores(local, patches[row : row + 1])[0]
            scores[row] += config.rerank_weight * own
        order = sorted(first, key=lambda row: -scores[row]) + rest
    return np.array(order), scores[order], cosines[order]


def _check(found, wanted, *, k):
    assert found.rows.tolist() == wanted[0][:k].tolist()
    np.testing.assert_allclose(found.scores, wanted[1][:k], atol=1e-5)
    np.testing.assert_allclose(found.cosines, wanted[2][:k], atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    local_scaling=st.booleans(),
    rerank=st.booleans(),
    candidates=st.sampled_from([1, 7, N, 200]),
    k=st.sampled_from([1, 10, N, 500]),
    out=st.sets(st.integers(0, N - 1), max_size=9),
)
def test_ranking_is_the_literal_two_stages(seed, local_scaling, rerank, candidates, k, out):
    embedded, patches, query, local = _world(seed)
    config = ScoreConfig(local_scaling=local_scaling, rerank=rerank, candidates=candidates)
    scorer = Scorer(embedded, patches, config=config)
    found = scorer.rank(query, local, k=k, without=np.array(sorted(out), np.int64))
    wanted = _literal(embedded, patches, query, local, config=config, without=out)
    _check(found, wanted, k=k)


def test_copies_do_not_crowd_out_the_rivals():
    """250 copies of the best image took all places, so that it had nothing to stand out against."""
    embedded, patches, query, local = _world(2)
    best = int(Scorer(embedded, patches, config=ScoreConfig()).rank(query, local, k=1).rows[0])
    rows = np.concatenate([np.arange(N), np.full(250, best)])
    crowded = Embedded(embedded.embeddings[rows], embedded.hubness[rows], rows)
    found = Scorer(crowded, patches[rows], config=ScoreConfig()).rank(query, local, k=200)
    plain = Scorer(embedded, patches, config=ScoreConfig()).rank(query, local, k=N)
    scores = {
        int(g): float(found.scores[crowded.groups[found.rows] == g].max())
        for g in crowded.groups[found.rows]
    }
    assert len(scores) >= 20
    wanted = dict(zip(plain.rows.tolist(), plain.scores.tolist(), strict=True))
    assert {g: wanted[g] for g in scores} == pytest.approx(scores, abs=1e-4)


def test_local_scaling_and_reranking_change_the_order():
    embedded, patches, query, local = _world()
    orders = {
        tuple(
            Scorer(embedded, patches, config=ScoreConfig(local_scaling=scaling, rerank=rerank))
            .rank(query, local, k=N)
            .rows.tolist()
        )
        for scaling in (True, False)
        for rerank in (True, False)
    }
    assert len(orders) == 4


def test_without_is_as_if_the_rows_were_not_there():
    embedded, patches, query, local = _world(3)
    out = Scorer(embedded, patches, config=ScoreConfig()).rank(query, local, k=12).rows[::2]
    keep = np.setdiff1d(np.arange(N), out)
    smaller = Embedded(embedded.embeddings[keep], embedded.hubness[keep], np.arange(len(keep)))
    config = ScoreConfig(candidates=10)
    left = Scorer(embedded, patches, config=config).rank(query, local, k=30, without=out)
    gone = Scorer(smaller, patches[keep], config=config).rank(query, local, k=30)
    assert left.rows.tolist() == keep[gone.rows].tolist()
    np.testing.assert_allclose(left.scores, gone.scores, atol=1e-6)


def test_scores_never_rise_down_the_ranking():
    embedded, patches, query, local = _world(4)
    found = Scorer(embedded, patches, config=ScoreConfig(candidates=9)).rank(query, local, k=N)
    assert (np.diff(found.scores) <= 1e-6).all()


def test_no_reranking_without_descriptors_on_either_side():
    embedded, patches, query, local = _world(5)
    plain = Scorer(embedded, patches, config=ScoreConfig(rerank=False)).rank(query, local, k=20)
    for scorer, descriptors in (
        (Scorer(embedded, patches, config=ScoreConfig()), None),
        (Scorer(embedded, None, config=ScoreConfig()), local),
    ):
        np.testing.assert_array_equal(scorer.rank(query, descriptors, k=20).rows, plain.rows)


def test_ranking_leaves_the_stored_arrays_alone():
    embedded, patches, query, local = _world(6)
    for array in (embedded.embeddings, embedded.hubness, patches, query, local):
        array.setflags(write=False)
    scorer = Scorer(embedded, patches, config=ScoreConfig())
    first = scorer.rank(query, local, k=20)
    np.testing.assert_array_equal(scorer.rank(query, local, k=20).rows, first.rows)


def test_an_empty_gallery_ranks_nothing():
    empty = Embedded(np.zeros((0, D), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    found = Scorer(empty, None, config=ScoreConfig()).rank(_world()[2], k=5)
    assert len(found.rows) == len(found.scores) == len(found.cosines) == 0


def test_leaving_everything_out_ranks_nothing():
    embedded, patches, query, local = _world(n=5)
    scorer = Scorer(embedded, patches, config=ScoreConfig())
    assert len(scorer.rank(query, local, k=5, without=np.arange(5)).rows) == 0


def test_a_query_that_is_not_finite_is_refused():
    embedded, patches, query, _ = _world()
    query[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        Scorer(embedded, patches, config=ScoreConfig()).rank(query, k=3)
