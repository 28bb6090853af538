"""Codes give back nearly the cosines of the rows that they keep, in the bytes that they say."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scale import codecs
from core.heads.rows import unit_rows

DIM = 24


def rows_of(n: int, *, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit_rows(rng.standard_normal((n, DIM)) * np.linspace(2, 0.2, DIM), dtype=np.float32)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return rows_of(400)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    return rows_of(30, seed=1)


def off(codes: codecs.Codes, queries: np.ndarray, rows: np.ndarray) -> float:
    """Root mean square error of its cosines."""
    return float(np.sqrt(((codes.cosines(queries) - queries @ rows.T) ** 2).mean()))


def test_numbers_of_more_bits_are_nearer(rows, queries):
    made = (
        codecs.exact(rows),
        codecs.half(rows),
        codecs.scalar(rows, bits=8),
        codecs.scalar(rows, bits=4),
    )
    assert [codes.bytes for codes in made] == [4 * DIM, 2 * DIM, DIM, DIM // 2]
    errors = [off(codes, queries, rows) for codes in made]
    assert errors[0] == 0
    assert errors == sorted(errors)
    assert 1e-3 < errors[-1] < 0.03


@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.filterwarnings("ignore")
def test_a_fitted_rotation_loses_less(rows, queries, size):
    """Five parts do not divide 24 numbers: zeros fill them up."""
    plain = codecs.product(rows, size=size)
    turned = codecs.optimised(rows, size=size).codes("OPQ", rows)
    assert plain.bytes == turned.bytes == size
    assert off(turned, queries, rows) < off(plain, queries, rows) < 0.15


def test_parts_are_coded_by_their_nearest_word():
    rng = np.random.default_rng(2)
    words = rng.standard_normal((3, 256, 2)).astype(np.float32)
    quantiser = codecs.Quantiser(np.eye(6, dtype=np.float32), words)
    rows = rng.standard_normal((50, 6)).astype(np.float32)
    parts = rows.reshape(50, 3, 1, 2)
    wanted = ((parts - words) ** 2).sum(axis=3).argmin(axis=2)
    np.testing.assert_array_equal(quantiser.encode(rows), wanted)
    meant = words[np.arange(3), wanted].reshape(50, 6)
    np.testing.assert_allclose(quantiser.decode(quantiser.encode(rows)), meant)


def test_rabitq_is_nearer_with_more_bits_and_loses_what_it_leaves_out(rows, queries):
    one, three = (codecs.rabitq(rows, dim=DIM, bits=bits) for bits in (1, 3))
    assert one.bytes < three.bytes
    assert off(three, queries, rows) < off(one, queries, rows) < 0.15
    assert off(codecs.rabitq(rows, dim=8, bits=3), queries, rows) > off(three, queries, rows)


def test_the_limit_loses_what_so_many_bits_make_unavoidable():
    """Two bits for each of 16 numbers of variance 1 leave a sixteenth of it (Cover and Thomas)."""
    rows = np.random.default_rng(2).standard_normal((4_000, 16)).astype(np.float32)
    given = codecs.limit(rows, size=4).cosines(np.eye(16, dtype=np.float32)).T
    assert ((given - rows) ** 2).mean() == pytest.approx(1 / 16, rel=0.05)
    small = np.random.default_rng(3).standard_normal(rows.shape) / 1e3  # too small for a bit
    small = np.concatenate([rows, small.astype(np.float32)], axis=1)
    given = codecs.limit(small, size=4).cosines(np.eye(32, dtype=np.float32)).T
    assert ((given - small)[:, :16] ** 2).mean() == pytest.approx(1 / 16, rel=0.05)
    assert given[:, 16:].std(axis=0).max() < 1e-4


def test_no_code_is_better_than_the_limit(queries):
    rows = rows_of(9_984, seed=3)  # as many as codewords are not fitted to each
    limit = off(codecs.limit(rows, size=8), queries, rows)
    assert limit < off(codecs.product(rows, size=8), queries, rows)
    assert off(codecs.limit(rows, size=12), queries, rows) < limit
