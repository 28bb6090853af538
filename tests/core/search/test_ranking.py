"""Two-stage ranking against the literal formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import PATCHES, HeadConfig, ScoreConfig
from core.encoders.descriptors import quantize
from core.heads.fit import fit_head
from core.search.engine import Among
from core.search.graph import neighbour_graph
from core.search.index import csls_means
from core.search.patches import local_scores
from core.search.query import Query
from core.search.ranking import PLACES, SAME_FILE, Collection, led_by
from core.search.walk import Walk
from tests.core import made

N, D = 60, 16


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def _world(seed=0, *, n=N, config=None, views=(), rerank=True):
    """A collection without structure, and a query with patches; vectors and patches are random."""
    rng = np.random.default_rng(seed)
    score = config or ScoreConfig()
    vectors = _unit(rng.standard_normal((n, D)) + 0.7)
    means = csls_means(vectors, k=5) if score.local_scaling else None
    patches = quantize(rng.standard_normal((n, 9, 8)))
    query, local = _unit(rng.standard_normal(D) + 0.7), quantize(rng.standard_normal((1, 9, 8)))[0]
    stored = patches if rerank and score.view(PATCHES) else None
    found = made.collection(vectors, patches=stored, means=means, beside=views, config=score)
    return found, query, local


def _literal(world, query, local, *, without=()):
    """Rows and scores by the formulas of the docs, in float64 and with full sorts."""
    view, config = world.views[0], world.config
    cosines = view.vectors.astype(np.float64) @ query
    scores = 2 * cosines - view.csls_means if config.local_scaling else cosines.copy()
    order = [row for row in np.argsort(-scores, kind="stable") if row not in without]
    if world.patches is not None:
        first, rest = order[: config.candidates], order[config.candidates :]
        plain = scores[first]
        own = [local_scores(local, world.patches[row : row + 1])[0] for row in first]
        how = config.view(PATCHES)
        scores[first] = _lifted(plain, (how.weight * np.array(own), how.trust))
        order = sorted(first, key=lambda row: -scores[row]) + rest
    return np.array(order), scores[order], cosines[order]


def _lifted(plain, *additions):
    """The largest of plain and b + trust (added - b'), where every group is one image."""
    if not len(plain):
        return plain
    fourth = np.sort(plain)[-min(4, len(plain))]
    scores = plain
    for more, trust in additions:
        other = np.sort(plain + more)[-min(4, len(plain))]
        scores = np.maximum(scores, fourth + trust * (plain + more - other))
    return scores


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
    config = ScoreConfig(local_scaling=local_scaling, candidates=candidates)
    config = config if rerank else config.without(PATCHES)
    world, query, local = _world(seed, config=config)
    asked = made.query(query, patches=local)
    found = world.rank(asked, k=k, without=np.array(sorted(out), np.int64))
    _check(found, _literal(world, query, local, without=out), k=k)


def _edged(seed=0, *, n=N, local_scaling=True):
    rng = np.random.default_rng(seed + 1000)
    rows = _unit(rng.standard_normal((n, 6)))
    means = csls_means(rows, k=5) if local_scaling else None
    return made.edges(rows, means=means), _unit(rng.standard_normal(6))


def _literal_with_edges(world, query, local, asked):
    """Rows and scores of the candidates, by the formulas, where every group is one image."""
    config = world.config

    def scaled(view, vector):
        cosines = view.vectors.astype(np.float64) @ vector
        return 2 * cosines - view.csls_means if config.local_scaling else cosines

    by_embedding, by_edges = scaled(world.views[0], query), scaled(world.views[1], asked)
    half = config.candidates // 2
    rows = sorted({*np.argsort(-by_embedding)[:half], *np.argsort(-by_edges)[:half]})
    lines, places = config.view("edges"), config.view(PATCHES)
    own = places.weight * local_scores(local, world.patches[rows])
    drawn = lines.weight * by_edges[rows]
    additions = (drawn, lines.trust), (own, places.trust)
    scores = _lifted(by_embedding[rows], *additions)
    order = np.argsort(-scores)
    return np.array(rows)[order], scores[order]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), local_scaling=st.booleans())
def test_a_source_may_stand_out_with_edges_or_without(seed, local_scaling):
    config = ScoreConfig(local_scaling=local_scaling, candidates=40)
    edges, lines = _edged(seed, local_scaling=local_scaling)
    world, query, local = _world(seed, config=config, views=(edges,))
    asked = made.query(query, lines, patches=local)
    found = world.rank(asked, k=N)
    rows, scores = _literal_with_edges(world, query, local, lines)
    wanted = dict(zip(rows.tolist(), scores.tolist(), strict=True))
    names = found.rows[: len(rows)].tolist()
    assert dict(zip(names, found.scores.tolist(), strict=False)) == pytest.approx(wanted, abs=1e-5)
    assert (np.diff(found.scores[: len(rows)]) <= 0).all()
    assert sorted(found.rows) == list(range(N))
    again = world.rank(asked, k=5, rival_scores=found.rival_scores)
    np.testing.assert_array_equal(again.rows, found.rows[:5])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), local_scaling=st.booleans())
def test_parts_of_a_score_sum_to_it(seed, local_scaling):
    edges, lines = _edged(seed, local_scaling=local_scaling)
    config = ScoreConfig(local_scaling=local_scaling, candidates=40)
    world, query, local = _world(seed, config=config, views=(edges,))
    asked = made.query(query, lines, patches=local)
    found = world.rank(asked, k=N)
    for place in (0, 5, N - 1):
        parts = world.parts(asked, int(found.rows[place]))
        assert sum(part.value for part in parts) == pytest.approx(found.scores[place], abs=1e-4)


def test_what_lifts_a_source_is_named():
    edges, _ = _edged(7)
    world, query, local = _world(7, config=ScoreConfig(candidates=40), views=(edges,))
    by_edges = made.query(query, edges.vectors[3], patches=local)
    assert world.parts(by_edges, 3)[-1].name == edges.name
    by_patches = made.query(query, edges.vectors[4], patches=world.patches[5])
    rows = world.rank(by_patches, k=N).rows.tolist()
    if 5 in rows[:40]:
        assert world.parts(by_patches, 5)[-1].name == PLACES
    same = made.query(query, edges.vectors[4], patches=local, identical=9)
    assert world.parts(same, 9)[-1].name == SAME_FILE


def test_edges_find_what_the_embedding_does_not():
    config = ScoreConfig(candidates=40)
    edges, _ = _edged(7)
    plain, query, local = _world(7, config=config)
    world = replace(plain, views=(*plain.views, edges))
    row = int(np.argsort(-plain.views[0].vectors @ query)[35])
    assert row not in plain.rank(made.query(query, patches=local), k=20).rows
    asked = made.query(query, edges.vectors[row], patches=local)
    assert row in world.rank(asked, k=3).rows


def test_rows_left_out_are_not_found_by_their_edges():
    edges, _ = _edged(8)
    world, query, local = _world(8, config=ScoreConfig(candidates=20), views=(edges,))
    out = np.array([3, 4])
    asked = made.query(query, edges.vectors[3], patches=local)
    assert not np.isin(world.rank(asked, k=N, without=out).rows, out).any()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), weights=st.tuples(st.floats(0.1, 3), st.floats(0.1, 3)))
def test_views_that_every_score_holds_are_summed(seed, weights):
    """Any number of views: two halves of a vector rank as their weighted sum does."""
    rng = np.random.default_rng(seed)
    rows, asked = _unit(rng.standard_normal((2, N, D))), _unit(rng.standard_normal((2, D)))
    views = [
        made.view(part, means=csls_means(part), weight=weight)
        for part, weight in zip(rows, weights, strict=True)
    ]
    world = Collection(tuple(views), np.arange(N), None, config=ScoreConfig(candidates=N))
    wanted = sum(
        weight * (2 * view.vectors.astype(np.float64) @ vector - view.csls_means)
        for view, vector, weight in zip(views, asked, weights, strict=True)
    )
    found = world.rank(made.query(*asked), k=10)
    np.testing.assert_allclose(found.scores, np.sort(wanted)[::-1][:10], atol=1e-5)


def test_each_of_several_trusted_views_may_lift_a_source():
    """What is true of edges is true of any view with a trust, and of each by itself."""
    world, query, _ = _world(9)
    views = [replace(_edged(seed)[0], weight=2.0) for seed in (20, 21)]
    both = replace(world, views=(*world.views, *views))
    for place, row in enumerate((11, 37)):
        lines = [_edged(30)[1], _edged(31)[1]]
        lines[place] = views[place].vectors[row]
        assert row in both.rank(made.query(query, *lines), k=3).rows


def test_the_part_of_a_gallery_ranks_as_a_gallery_of_its_own():
    edges, lines = _edged(5)
    world, query, local = _world(5, views=(edges,))
    keep = np.arange(0, N, 2)
    part = world.of(keep)
    views = [
        made.view(
            v.vectors[keep], means=csls_means(v.vectors[keep]), weight=v.weight, trust=v.trust
        )
        for v in world.views
    ]
    alone = Collection(tuple(views), keep, world.patches[keep], config=world.config)
    asked = made.query(query, lines, patches=local)
    one, two = part.rank(asked, k=30), alone.rank(asked, k=30)
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_allclose(one.scores, two.scores, atol=1e-5)


def test_copies_do_not_crowd_out_the_rivals():
    """250 copies of the best image took all places, so that it had nothing to stand out against."""
    world, query, _ = _world(2)
    asked = made.query(query)
    best = int(world.rank(asked, k=1).rows[0])
    rows = np.concatenate([np.arange(N), np.full(250, best)])
    view = world.views[0]
    means = view.csls_means[rows]
    crowded = made.collection(view.vectors[rows], groups=rows, means=means)
    found = crowded.rank(asked, k=200)
    plain = world.rank(asked, k=N)
    scores = {
        int(g): float(found.scores[crowded.groups[found.rows] == g].max())
        for g in crowded.groups[found.rows]
    }
    assert len(scores) >= 20
    wanted = dict(zip(plain.rows.tolist(), plain.scores.tolist(), strict=True))
    assert {g: wanted[g] for g in scores} == pytest.approx(scores, abs=1e-4)


def test_local_scaling_and_reranking_change_the_order():
    orders = set()
    for scaling in (True, False):
        for rerank in (True, False):
            config = ScoreConfig(local_scaling=scaling)
            config = config if rerank else config.without(PATCHES)
            world, query, local = _world(config=config)
            orders.add(tuple(world.rank(made.query(query, patches=local), k=N).rows.tolist()))
    assert len(orders) == 4


def test_without_is_as_if_the_rows_were_not_there():
    world, query, local = _world(3)
    asked = made.query(query, patches=local)
    out = world.rank(asked, k=12).rows[::2]
    keep = np.setdiff1d(np.arange(N), out)
    view, config = world.views[0], ScoreConfig(candidates=10)
    smaller = made.collection(
        view.vectors[keep], patches=world.patches[keep], means=view.csls_means[keep], config=config
    )
    left = replace(world, config=config).rank(asked, k=30, without=out)
    gone = smaller.rank(asked, k=30)
    assert left.rows.tolist() == keep[gone.rows].tolist()
    np.testing.assert_allclose(left.scores, gone.scores, atol=1e-6)


def test_scores_never_rise_down_the_ranking():
    world, query, local = _world(4, config=ScoreConfig(candidates=9))
    assert (np.diff(world.rank(made.query(query, patches=local), k=N).scores) <= 1e-6).all()


def test_no_reranking_without_descriptors_on_either_side():
    world, query, local = _world(5)
    bare, _, _ = _world(5, rerank=False)
    plain = bare.rank(made.query(query), k=20).rows
    np.testing.assert_array_equal(world.rank(made.query(query), k=20).rows, plain)
    np.testing.assert_array_equal(bare.rank(made.query(query, patches=local), k=20).rows, plain)


def test_ranking_leaves_the_stored_arrays_alone():
    world, query, local = _world(6)
    view = world.views[0]
    for array in (view.vectors, view.csls_means, world.patches, query, local):
        array.setflags(write=False)
    asked = made.query(query, patches=local)
    first = world.rank(asked, k=20)
    np.testing.assert_array_equal(world.rank(asked, k=20).rows, first.rows)


def test_an_empty_gallery_ranks_nothing():
    empty = made.collection(np.zeros((0, D), np.float32), means=np.zeros(0))
    found = empty.rank(made.query(_world()[1]), k=5)
    assert len(found.rows) == len(found.scores) == len(found.cosines) == 0


def test_leaving_everything_out_ranks_nothing():
    world, query, local = _world(n=5)
    asked = made.query(query, patches=local)
    assert len(world.rank(asked, k=5, without=np.arange(5)).rows) == 0


def test_a_query_that_is_not_finite_is_refused():
    world, query, _ = _world()
    query[3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        world.rank(made.query(query), k=3)


@pytest.mark.parametrize("refitted", [False, True])
def test_what_is_left_out_of_a_walked_gallery_was_never_there(refitted):
    """As the part of the gallery that is made anew without it, for the same queries."""
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((600, D)).astype("f4")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    config = ScoreConfig(candidates=40, exact=100)
    groups = np.arange(600) // 2 * 2
    walk, graph = Walk.build(rows), neighbour_graph(rows, walk=None)
    view = made.view(rows, means=csls_means(rows, groups))
    if refitted:
        head = fit_head(rows, config=HeadConfig(kind="center"))
        view = replace(view, head=head, fitted=np.ones(600, bool))
    walked = replace(view, walk=walk, graph=lambda: graph)
    large = Collection((walked,), groups, None, config=config)
    small = Collection((view,), groups, None, config=config)
    gone = np.flatnonzero(np.isin(groups, np.unique(groups)[::7]))
    rest, left_out = large.without(gone)
    part, none = small.without(gone)
    assert left_out.tolist() == gone.tolist()
    assert len(rest) == 600
    assert len(none) == 0
    kept = np.setdiff1d(np.arange(600), gone)
    for row in gone[:10]:
        query = made.query(part.views[0].head(rows[row][None], role="query")[0])
        one = rest.rank(query, k=20, without=left_out)
        two = part.rank(query, k=20)
        assert (one.rows[:20] == kept[two.rows[:20]]).mean() >= (0.9 if refitted else 1)
        # neighbours under a head that is fitted again are taken from those before
        np.testing.assert_allclose(
            one.scores[:20], two.scores[:20], atol=5e-3 if refitted else 1e-5
        )


def test_a_small_gallery_is_made_anew_without_what_goes():
    world, _, _ = _world(1)
    part, left_out = world.without(np.array([3, 5]))
    assert len(part) == N - 2
    assert len(left_out) == 0


@pytest.mark.parametrize("search", ["exact", "walk"])
def test_among_some_images_no_other_is_ranked_and_scores_are_those_among_all(search):
    n = 3_000 if search == "walk" else N
    config = ScoreConfig(candidates=30)
    world, query, local = _world(5, n=n, config=config)
    if search == "walk":
        view = replace(world.views[0], walk=Walk.build(world.views[0].vectors))
        world = replace(world, views=(view,))
    asked = made.query(query, patches=local)
    among = np.random.default_rng(0).random(n) < 0.4
    found = world.rank_among(asked, Among(among), k=30)
    assert among[found.rows].all()
    assert len(found.rows) == min(30, among.sum())
    assert found.unfiltered is not None
    all_of_them = world.rank(asked, k=30)
    np.testing.assert_array_equal(found.unfiltered.rows, all_of_them.rows)
    scored = dict(zip(all_of_them.rows.tolist(), all_of_them.scores.tolist(), strict=True))
    both = [(s, scored[r]) for r, s in zip(found.rows.tolist(), found.scores, strict=True)
            if r in scored]  # fmt: skip
    assert len(both) >= 5
    np.testing.assert_allclose(*zip(*both, strict=True), atol=1e-6)
    assert len(both) < len(found.rows), "deeper images take the places of those left out"
    parts = world.parts(asked, int(found.rows[-1]), among=Among(among))
    assert sum(part.value for part in parts) == pytest.approx(float(found.scores[-1]), abs=1e-5)


def test_an_image_with_the_same_bytes_leads_only_where_it_may_be_ranked():
    world, query, local = _world(6)
    asked = made.query(query, patches=local, identical=7)
    among = np.ones(N, bool)
    assert world.rank_among(asked, Among(among), k=5).rows[0] == 7
    among[7] = False
    assert 7 not in world.rank_among(asked, Among(among), k=N).rows


def test_among_all_images_is_the_ranking_of_all():
    world, query, local = _world(7, config=ScoreConfig(candidates=12))
    asked = made.query(query, patches=local)
    one, two = world.rank_among(asked, Among(np.ones(N, bool)), k=N), world.rank(asked, k=N)
    np.testing.assert_array_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.scores, two.scores)
    np.testing.assert_array_equal(one.aspects, two.aspects)


def test_strengths_of_ranked_rows_are_those_of_their_patches():
    """Those of candidates are in the ranking, in its order; of others they are computed."""
    config = ScoreConfig(candidates=7)
    world, query, local = _world(3, config=config, rerank=True)
    asked = Query((query,), local)
    ranking = world.rank(asked, k=20)
    assert ranking.strengths is not None and len(ranking.strengths) == 7
    places = np.array([6, 2, 9, 15])
    wanted = world.pair_strengths(asked, ranking.rows[places])
    np.testing.assert_array_equal(world.strengths_of(asked, ranking, places), wanted)
    other = replace(ranking, strengths=ranking.strengths + 1)
    np.testing.assert_array_equal(world.strengths_of(asked, other, places)[:2], wanted[:2] + 1)
    np.testing.assert_array_equal(world.strengths_of(asked, other, places)[2:], wanted[2:])
    led = led_by(ranking, int(ranking.rows[9]), cosine=0.5)
    wanted = world.pair_strengths(asked, led.rows[:3])
    np.testing.assert_array_equal(world.strengths_of(asked, led, np.arange(3)), wanted)
