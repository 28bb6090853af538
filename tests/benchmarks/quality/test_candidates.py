"""Candidates are those of the product and are ranked as it ranks them, whatever else is tried."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.quality import candidates, combining, settings, wanted
from core.config import PATCHES, NullConfig, ScoreConfig, ViewConfig
from core.encoders.descriptors import quantize
from core.evidence.null import fit_null, margins_of
from core.measures.retrieval import Pair, measures
from core.search.index import csls_means
from tests.core import made

N, D, QUERIES = 120, 12, 20


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def _collection(rng, config):
    beside = []
    for how in config.views:
        if how.name != PATCHES:
            rows = _unit(rng.standard_normal((N, D)) + 0.5)
            kept = {"means": csls_means(rows, k=5), "name": how.name}
            beside.append(made.view(rows, weight=how.weight, trust=how.trust, **kept))
    vectors = _unit(rng.standard_normal((N, D)) + 0.5)
    patches = quantize(rng.standard_normal((N, 9, 8)))
    means = csls_means(vectors, k=5)
    return made.collection(vectors, patches=patches, means=means, beside=beside, config=config)


@pytest.fixture
def asked(monkeypatch):
    """Queries near the images that they were made from, under the views that ship."""
    rng = np.random.default_rng(0)
    collection = _collection(rng, ScoreConfig(candidates=24, groups=4))
    names = [f"{row}.jpg" for row in range(N)]
    pairs = [
        Pair("s: style", "g", (names[row],), f"made/{row // 2}", (names[row + 40],))
        for row in range(QUERIES)
    ]

    def query(_, pair):
        row = names.index(pair.exemplars[0])
        near = [view.vectors[row] + 0.3 * rng.standard_normal(D) for view in collection.views]
        # two roles of one image share its patches
        local = collection.patches[row - row % 2]
        return made.query(*map(_unit, near), patches=local)

    bench = SimpleNamespace(
        gallery=SimpleNamespace(patch_head=lambda _: object()),
        folder=Path(),
        collection=lambda *_, **__: collection,
        query=query,
        rows_of=lambda which: np.array([names.index(name) for name in which]),
    )
    study = SimpleNamespace(pairs=pairs, bench=bench, progress=lambda *_: None)
    monkeypatch.setattr(candidates, "choose_head", lambda *_: None)
    return candidates.Asked(study, collection.views[0].encoder)


def _rankings(asked):
    for query, left_out in zip(asked.queries, asked.left_out, strict=True):
        yield asked.collection.rank(query, k=24, without=left_out)


def test_candidates_are_scored_and_ranked_as_the_product_does(asked):
    found = asked.under()
    scores = found.ranked(asked.collection.config.views)
    every = combining.aspects(found)
    for i, ranking in enumerate(_rankings(asked)):
        known = np.isfinite(ranking.aspects).any(axis=1)
        order = np.argsort(-scores[i], kind="stable")[: np.isfinite(scores[i]).sum()]
        np.testing.assert_allclose(scores[i, order], ranking.scores[known], atol=1e-5)
        np.testing.assert_allclose(every[i, order, :-1], ranking.aspects[known], atol=1e-5)
    values = found.measures(scores)
    rows = [ranking.rows for ranking in _rankings(asked)]
    literal = [measures(order, right) for order, right in zip(rows, asked.right, strict=True)]
    np.testing.assert_array_equal(values[:, :3], np.array(literal)[:, :3])
    assert 0 < values[:, 0].mean() < 1


def test_margins_are_those_of_evidence(asked):
    found = combining.aspects(asked.under())
    stood = candidates.margins(found)
    for i in range(QUERIES):
        known = np.isfinite(found[i]).all(axis=1)
        np.testing.assert_allclose(stood[i, known], margins_of(found[i]).margins, atol=1e-5)


def test_the_null_is_that_of_evidence_and_knows_the_embedding_too(asked):
    config = NullConfig(queries=30, folds=5, alone=0)
    queries = list(combining.asked_of(asked.collection, config))
    nulls = combining.Nulls.of(queries)
    product = fit_null(asked.collection, config=config)
    np.testing.assert_allclose(nulls.largest.largest[:, :-1], product.margins, atol=1e-6)
    assert len(nulls.every.largest) == sum(map(len, queries)) > 30


def test_candidates_that_do_not_stand_out_keep_the_shipped_order(asked):
    found = asked.under()
    shipped = combining.shipped(found)
    count = found.levels.shape[2] + len(combining.VIEWS) + 2
    high = combining.Combination(np.full((9, count), 1e6, np.float32), np.zeros(9))
    nulls = combining.Nulls(high, high)
    ranked = combining.strengths(found, nulls, "Fisher, 4 views, largest")
    np.testing.assert_array_equal(found.measures(ranked), found.measures(shipped))


@pytest.mark.parametrize("way", combining.WAYS)
def test_a_smaller_p_value_in_any_view_never_weakens(way):
    p_values = np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 0.01], [0.01, 0.01, 0.01]])
    strengths = combining.WAYS[way](p_values)
    assert strengths[0] < strengths[1] <= strengths[2] + 1e-12
    np.testing.assert_allclose(strengths, combining.WAYS[way](p_values[:, ::-1]))


def test_the_ways_are_those_of_their_formulas():
    p_values = np.array([[0.2, 0.05]])
    assert combining.WAYS["harmonic mean"](p_values)[0] == pytest.approx(np.log((5 + 20) / 2))
    assert combining.WAYS["Fisher"](p_values)[0] == pytest.approx(-np.log(0.01))
    both = np.tan(0.3 * np.pi) + np.tan(0.45 * np.pi)
    assert combining.WAYS["Cauchy"](p_values)[0] == pytest.approx(both / 2)
    assert combining.WAYS["exponent -1/2"](p_values)[0] == pytest.approx(
        2 * np.log((0.2**-0.5 + 0.05**-0.5) / 2)
    )


def test_a_view_of_weight_0_changes_no_rank_and_the_grid_holds_what_ships(asked):
    found = asked.under()
    without = [how for how in asked.collection.config.views if how.name != "edges"]
    values = found.measures(found.ranked([ViewConfig("edges", 0.0, 0.8), *without]))
    np.testing.assert_array_equal(values, found.measures(found.ranked(without)))
    assert ScoreConfig().views in [views for _, views in settings.grid()]


def test_single_image_generators_are_asked_a_few_times_for_every_exemplar():
    pairs = [Pair("consingan_lsun", "g", (f"{i // 20}",), f"{i}") for i in range(60)]
    pairs += [Pair("nano_banana", "g", ("0",), f"e{i}") for i in range(9)]
    rows = settings.chosen(pairs)
    assert len(rows) == 3 * settings.MOST + 9
    assert rows == sorted(rows) == settings.chosen(pairs)


def test_the_worst_role_and_the_bars_that_are_missed_are_named():
    means = {
        (half, role, measure): 1.0
        for half in (*wanted.HALVES, "both")
        for role in wanted.ROLES
        for measure in wanted.MEASURES
    }
    assert wanted.missed(means, "tune") == []
    means["tune", "restaged", "R@1"] = 0.25
    means["tune", "appearance", "R@10"] = 0.8
    assert wanted.worst(means, "tune") == ("restaged", 0.25)
    assert wanted.worst(means, "untouched")[1] == 1
    assert wanted.missed(means, "tune") == ["restaged R@1 .250", "appearance R@10 .800"]
    assert wanted.mean(means, "tune") == pytest.approx((12 + 0.25) / 13)
    text = wanted.summary({"a": means}, shipped="a")
    assert "**a**" in text
    assert ".250 restaged" in text
