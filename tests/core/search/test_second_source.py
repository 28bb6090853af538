"""What is left of a query has nothing of its sources, and patches count by what they add."""

from __future__ import annotations

import numpy as np
import pytest

from core.search.second_source import excess, residual


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
