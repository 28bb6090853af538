"""What codes keep of a search is counted by hand on few rows; the tables say what was stored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scale import code_table, codecs
from benchmarks.scale.codes import Asked, Kept, best, kept, share, summary
from benchmarks.scale.consistent import LEARNED
from core.heads.rows import unit_rows


@pytest.fixture(scope="module")
def asked() -> Asked:
    """400 rows; each of 40 queries is near its row of the same number, and nearer to the next."""
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.standard_normal((400, 64)), dtype=np.float32)
    queries = unit_rows(rows[:40] + 1.3 * rows[1:41], dtype=np.float32)
    right, gone = ([np.array([at + off]) for at in range(40)] for off in (0, 1))
    clusters = [str(at // 4) for at in range(40)]
    return Asked(rows, np.zeros(400, np.float32), queries, right, gone, clusters)


def test_shares_are_of_the_rows_wanted():
    found = share(np.array([[1, 2], [3, 4]]), np.array([[2, 9, 1], [5, 6, 4]]))
    assert found.tolist() == [1, 0.5]
    assert best(np.array([[0.1, 0.3, 0.2]]), 2).tolist() == [[1, 2]]


def test_exact_rows_keep_all_and_rows_left_out_are_not_ranked(asked):
    found = kept(asked, codecs.exact(asked.vectors))
    assert (found.raw == 1).all()
    assert (found.rescored == 1).all()
    assert found.first.mean() > 0.9
    nothing = [np.empty(0, np.int64)] * 40
    open_to_all = kept(replace(asked, left_out=nothing), codecs.exact(asked.vectors))
    assert open_to_all.first.mean() < 0.1


def test_scoring_again_mends_coarse_codes_and_not_useless_ones(asked):
    rough = kept(asked, codecs.rabitq(asked.vectors, dim=64, bits=1))
    assert 0.2 < rough.raw.mean() < 0.9
    assert rough.rescored.mean() > 0.95
    noise = np.random.default_rng(1).standard_normal((400, 64)).astype(np.float32)
    useless = kept(asked, codecs.decoded("noise", 1, noise))
    assert useless.raw.mean() < 0.1
    assert useless.rescored.mean() < 0.8


def test_local_scaling_counts(asked):
    means = np.zeros(400, np.float32)
    means[0] = 5  # a row that is near everything
    found = kept(replace(asked, csls_means=means), codecs.exact(asked.vectors))
    assert found.first[0] == 0


def made(value: float) -> Kept:
    return Kept(*(np.full(8, value) for _ in range(3)))


def test_learned_codes_are_compared_with_those_of_their_size():
    found = {
        ("float32", 64): made(1.0),
        ("OPQ + PQ", 8): made(0.5),
        ("RaBitQ", 10): made(0.75),
        ("PQ", 32): made(0.8),
        (LEARNED, 8): made(0.6),
    }
    told = summary(found, list("aabbccdd"))
    gaps = {pair["other"]: pair["raw"]["mean"] for pair in told["learned_less_others"]}
    assert gaps == pytest.approx({"OPQ + PQ, 8 bytes": 0.1, "RaBitQ, 10 bytes": -0.15})
    less = {row["name"]: row["first_less"]["mean"] for row in told["rows"]}
    assert less["float32"] == 0
    assert less[LEARNED] == pytest.approx(-0.4)
    page = code_table.codes_table({"images": 400, "numbers": 16, **told})
    assert "0.90 at 128 bytes: reached; float32" in page
    assert "| RaBitQ, 10 bytes | 8 | -0.1500 (-0.1500 to -0.1500)" in page


def test_the_stored_tables_are_on_the_page():
    page = code_table.PAGE.read_text(encoding="utf-8")
    assert code_table.codes_table(json.loads(code_table.RESULTS.read_text())) in page
    assert code_table.forms_table(json.loads(code_table.FORMS.read_text())) in page
