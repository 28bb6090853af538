"""Every form of rows finds nearly what comparing all does, in less memory the coarser it is."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scale.codes import Asked
from benchmarks.scale.forms import measured
from benchmarks.scale.world import between
from core.heads.rows import unit_rows


@pytest.fixture(scope="module")
def asked() -> Asked:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, 64))
    rows = centres[rng.integers(20, size=300)] + 0.6 * rng.standard_normal((300, 64))
    vectors = unit_rows(rows, dtype=np.float32)
    queries = unit_rows(vectors[:24] + 0.05 * rng.standard_normal((24, 64)), dtype=np.float32)
    right, nothing = [np.array([at]) for at in range(24)], [np.empty(0, np.int64)] * 24
    return Asked(vectors, np.zeros(300), queries, right, nothing, [str(at) for at in range(24)])


@pytest.mark.filterwarnings("ignore")
def test_coarser_forms_take_less_and_find_the_same_sources(asked):
    found = list(measured(asked, 2_500, every=1))
    exact, own = found[0], found[1]
    assert exact.recall == 1
    assert exact.first > 0.95
    sizes = {form.name.split(",")[0]: form.bytes for form in found}
    assert sizes["RaBitQ"] < sizes["4 bits"] < own.bytes < sizes["bfloat16"] < sizes["float32"]
    assert own.bytes == pytest.approx(64 + 16 * 2 * 4 + 20, abs=25)  # its numbers and its links
    for form in found[1:]:
        assert form.recall > 0.9, form.name
        assert form.first_less["mean"] == pytest.approx(form.first - exact.first)
        assert 0 < form.finding <= form.milliseconds * 1.5, form.name


def test_rows_between_others_are_near_them(asked):
    made = between(asked.vectors, 500)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    nearest = (made @ asked.vectors.T).max(axis=1)
    random = unit_rows(np.random.default_rng(1).standard_normal((500, 64)))
    assert np.median(nearest) > 0.8 > np.median((random @ asked.vectors.T).max(axis=1))
    np.testing.assert_array_equal(made, between(asked.vectors, 500))
