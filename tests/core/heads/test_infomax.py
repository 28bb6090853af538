"""Infomax: independence where there is something to find, and nothing where there is not."""

import numpy as np
import pytest
from scipy import linalg, stats

from core.heads.infomax import infomax_rotation
from core.heads.rotation import haar_rotation
from core.values import Cancelled


def _mixed(sources, *, seed=7):
    """Sources in rotated axes, exactly white: what Infomax has to undo."""
    centred = sources - sources.mean(axis=0)
    mixed = centred @ haar_rotation(sources.shape[1], seed=seed)
    values, vectors = np.linalg.eigh(mixed.T @ mixed / len(mixed))
    return mixed @ vectors / np.sqrt(values)  # PCA whitening, axes by no means the sources'


def _purity(embedding, sources):
    """Mean over sources of the largest absolute correlation with one dimension."""
    width = sources.shape[1]
    return np.abs(np.corrcoef(embedding.T, sources.T)[:-width, -width:]).max(axis=0).mean()


def _assert_rotation(matrix):
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-10)


def test_infomax_recovers_laplace_sources():
    sources = np.random.default_rng(0).laplace(size=(2000, 12))
    white = _mixed(sources)
    rotation = infomax_rotation(white)
    _assert_rotation(rotation)
    assert _purity(white, sources) < 0.8
    assert _purity(white @ rotation, sources) > 0.97


def test_infomax_recovers_sparse_and_flat_sources_together():
    """A plain pass alone leaves the flat ones merged."""
    rng = np.random.default_rng(1)
    sources = np.hstack([rng.laplace(size=(3000, 8)), rng.uniform(-1, 1, size=(3000, 4))])
    assert _purity(_mixed(sources) @ infomax_rotation(_mixed(sources)), sources) > 0.97


def test_infomax_finds_nothing_in_gaussian_sources():
    sources = np.random.default_rng(2).standard_normal((2000, 12))
    white = _mixed(sources)
    rotation = infomax_rotation(white)
    _assert_rotation(rotation)
    assert _purity(white @ rotation, sources) < 0.8


def test_infomax_minimises_its_loss():
    """Turning any pair of components a little, either way, makes sum E[log cosh y] worse."""
    white = _mixed(np.random.default_rng(3).laplace(size=(2000, 4)))
    found = white @ infomax_rotation(white)

    def loss(rows):
        return np.log(np.cosh(rows)).mean(axis=0).sum()

    for angle in (-0.1, 0.1):
        for i in range(4):
            for j in range(i):
                generator = np.zeros((4, 4))
                generator[i, j], generator[j, i] = angle, -angle
                assert loss(found) < loss(found @ linalg.expm(generator))


def test_infomax_order_and_signs_are_canonical():
    rng = np.random.default_rng(4)
    skewed = rng.gamma([0.3, 2.0, 0.8], size=(4000, 3)) * [1, -1, 1]
    white = _mixed(skewed)
    found = white @ infomax_rotation(white)
    kurtosis = stats.kurtosis(found, axis=0)
    assert (np.diff(kurtosis) < 0).all()
    assert (stats.skew(found, axis=0) > 0).all()
    turned = white @ np.diag([-1.0, 1.0, -1.0])[:, [2, 0, 1]]
    np.testing.assert_allclose(turned @ infomax_rotation(turned), found, atol=0.02)


def test_infomax_of_one_dimension_or_too_few_rows_is_still_a_rotation():
    rows = np.random.default_rng(5).standard_normal((50, 1))
    assert np.abs(infomax_rotation(rows - rows.mean())) == pytest.approx(1)
    _assert_rotation(infomax_rotation(np.array([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]])))
    _assert_rotation(infomax_rotation(np.array([[1.0, 2.0], [-1.0, -2.0]])))


def test_progress_ends_full_and_cancel_stops_at_once():
    white = _mixed(np.random.default_rng(6).laplace(size=(500, 8)))
    seen = []
    infomax_rotation(white, progress=lambda done, total, _what: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 4
    assert seen[-1][0] == seen[-1][1]
    calls = []

    def cancel(done, _total, _what):
        calls.append(done)
        if done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        infomax_rotation(white, progress=cancel)
    assert calls == [0, 1, 2]
