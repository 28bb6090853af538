"""What is left of a query has nothing of its sources, and patches count by what they add."""

from __future__ import annotations

import numpy as np
import pytest

from core.config import ScoreConfig
from core.encoders.descriptors import quantize
from core.heads.rows import unit_rows
from core.search.query import Query
from core.search.second_source import excess, residual, scores_beyond
from tests.core import made


def test_the_rest_is_of_unit_length_and_orthogonal_to_the_sources():
    rng = np.random.default_rng(0)
    query, sources = rng.standard_normal(16), rng.standard_normal((3, 16))
    rest = residual(query, sources)
    assert np.linalg.norm(rest) == pytest.approx(1)
    np.testing.assert_allclose(sources @ rest, 0, atol=1e-9)
    assert rest @ query > 0


def test_nothing_is_left_of_a_query_that_is_its_source():
    source = np.random.default_rng(1).standard_normal((1, 8))
    np.testing.assert_allclose(residual(3 * source[0], source), 0)


def test_a_patch_counts_by_how_much_better_it_is_matched():
    sources = np.array([[0.9, 0.0, 0.2, 0.0], [0.0, 0.5, 0.0, 0.0]])
    candidates = np.array([[0.8, 0.7, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(excess(candidates, sources), [0.05, 0.0, 0.45])


def test_a_second_source_behind_many_copies_of_the_first_is_found_by_its_patches():
    """Copies fill all places of candidates; the groups behind them are compared all the same."""
    rng, copies, config = np.random.default_rng(4), 9, ScoreConfig(candidates=6)
    patches = quantize(rng.standard_normal((copies + 6, 8, 8)))
    asked = np.concatenate([patches[0, :4], patches[copies + 4, 4:]])  # half of each
    patches[:copies] = patches[0]
    vectors = unit_rows(rng.standard_normal((copies + 6, 16)), dtype=np.float32)
    vectors[:copies] = vectors[0]
    collection = made.collection(vectors, patches=patches, config=config)
    query = Query((vectors[0],), asked)
    ranking = collection.rank(query, k=copies + 6)
    others = np.flatnonzero(ranking.rows >= copies)
    source = np.flatnonzero(ranking.rows < copies)[:1]
    assert others.min() >= config.candidates
    found = scores_beyond(query, collection, ranking, sources=source, others=others)
    assert ranking.rows[others[found.argmax()]] == copies + 4
