"""Two-stage ranking against the literal formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import ScoreConfig
from core.encoders.descriptors import quantize
from core.gallery.gallery import Embedded
from core.search.index import hubness
from core.search.patches import local_scores
from core.search.ranking import Scorer

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


def _edged(seed=0, *, n=N):
    rng = np.random.default_rng(seed + 1000)
    edges = _unit(rng.standard_normal((n, 6)))
    return Embedded(edges, hubness(edges, k=5), np.arange(n)), _unit(rng.standard_normal(6))


def _literal_with_edges(world, edged, *, config):
    """Rows and scores of the candidates, by the formulas, where every group is one image."""
    (embedded, patches, query, local), (edges, asked) = world, edged

    def scaled(known, vector):
        cosines = known.embeddings.astype(np.float64) @ vector
        return 2 * cosines - known.hubness if config.local_scaling else cosines

    by_embedding, by_edges = scaled(embedded, query), scaled(edges, asked)
    half = config.candidates // 2
    rows = sorted({*np.argsort(-by_embedding)[:half], *np.argsort(-by_edges)[:half]})
    plain = by_embedding[rows] + config.rerank_weight * local_scores(local, patches[rows])
    sums = plain + config.edges_weight * by_edges[rows]
    fourth, fourth_edged = (np.sort(scores)[-4] for scores in (plain, sums))
    scores = np.maximum(plain, fourth + config.edges_trust * (sums - fourth_edged))
    order = np.argsort(-scores)
    return np.array(rows)[order], scores[order]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), local_scaling=st.booleans())
def test_a_source_may_stand_out_with_edges_or_without(seed, local_scaling):
    world, edged = _world(seed), _edged(seed)
    embedded, patches, query, local = world
    config = ScoreConfig(local_scaling=local_scaling, candidates=40)
    scorer = Scorer(embedded, patches, config=config, edges=edged[0])
    found = scorer.rank(query, local, edged[1], k=N)
    rows, scores = _literal_with_edges(world, edged, config=config)
    wanted = dict(zip(rows.tolist(), scores.tolist(), strict=True))
    names = found.rows[: len(rows)].tolist()
    assert dict(zip(names, found.scores.tolist(), strict=False)) == pytest.approx(wanted, abs=1e-5)
    assert (np.diff(found.scores[: len(rows)]) <= 0).all()
    assert sorted(found.rows) == list(range(N))
    again = scorer.rank(query, local, edged[1], k=5, against=found.against)
    np.testing.assert_array_equal(again.rows, found.rows[:5])


def test_edges_find_what_the_embedding_does_not():
    embedded, patches, query, local = _world(7)
    edges, _ = _edged(7)
    scorer = Scorer(embedded, patches, config=ScoreConfig(candidates=40), edges=edges)
    row = int(np.argsort(-embedded.embeddings @ query)[35])
    asked = edges.embeddings[row]
    assert row not in scorer.rank(query, local, k=20).rows
    assert row in scorer.rank(query, local, asked, k=3).rows
    off = Scorer(embedded, patches, config=ScoreConfig(edges=False), edges=edges)
    np.testing.assert_array_equal(
        off.rank(query, local, asked, k=9).rows, off.rank(query, local, k=9).rows
    )


def test_rows_left_out_are_not_found_by_their_edges():
    embedded, patches, query, local = _world(8)
    edges, _ = _edged(8)
    scorer = Scorer(embedded, patches, config=ScoreConfig(candidates=20), edges=edges)
    out = np.array([3, 4])
    found = scorer.rank(query, local, edges.embeddings[3], k=N, without=out)
    assert not np.isin(found.rows, out).any()


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
