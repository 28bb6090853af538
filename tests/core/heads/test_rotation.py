"""Rotations: independence where there is something to find, axes where they were promised."""

import numpy as np
import pytest

from core.heads.rotation import haar_rotation, zca_rotation


def _assert_rotation(matrix):
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-10)


def test_zca_of_a_full_basis_is_its_transpose():
    basis = haar_rotation(6, seed=0)
    np.testing.assert_allclose(basis @ zca_rotation(basis), np.eye(6), atol=1e-12)


def test_zca_of_a_part_stands_on_features():
    """Each kept dimension belongs to one feature, better than before turning and after any turn."""
    basis = haar_rotation(40, seed=1)[:, :10]
    rotation = zca_rotation(basis)
    _assert_rotation(rotation)

    def agreement(turned):
        owners = np.abs(basis @ rotation).argmax(axis=0)
        return turned[owners, np.arange(10)].sum()

    best = agreement(basis @ rotation)
    assert best > agreement(basis)
    assert all(best > agreement(basis @ rotation @ haar_rotation(10, seed=s)) for s in range(20))


def test_haar_rotations_are_orthogonal_seeded_and_centred():
    _assert_rotation(haar_rotation(9, seed=3))
    np.testing.assert_array_equal(haar_rotation(9, seed=3), haar_rotation(9, seed=3))
    corners = [haar_rotation(3, seed=seed)[0, 0] for seed in range(400)]
    assert abs(np.mean(corners)) < 0.1  # QR alone would make the diagonal lean to one side
    assert np.var(corners) == pytest.approx(1 / 3, abs=0.05)
