"""Rotations of a whitened embedding: the identity-nearest (ZCA) one, a random one.

One shared rotation keeps every cosine (``docs/method.md``): it decides what a single dimension
means, never what is found. The third rotation is in ``core.heads.infomax``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import linalg


def zca_rotation(basis: Float[np.ndarray, "f d"]) -> Float[np.ndarray, "d d"]:
    """Rotation R that turns PCA coordinates back towards the axes of the features.

    With all f dimensions kept R is ``basis.T``, so that ``basis @ D @ R`` is symmetric: ZCA. With
    fewer, the d features that the kept subspace carries best are chosen by pivoted QR, and R is the
    rotation that brings ``basis @ R`` nearest to the identity on them (orthogonal Procrustes:
    Schönemann 1966), so that every dimension still belongs to one feature.

    It is also where log-det information maximisation ends. With embedding covariance
    C_y = AᵀCA the loss -(1/D) logdet(C_y + eps I) + beta tr(C_y)/D splits over the eigenvalues c
    of C_y into -log(c + eps) + beta c, whose minimum is c = 1/beta - eps (for beta eps < 1): all
    equal, so A whitens, up to the scale that cosines ignore and a rotation that the loss ignores.
    Descent from A = I never leaves the symmetric functions of C, so its rotation is this one.

    Args:
        basis: orthonormal columns, d <= f.
    """
    pivots = linalg.qr(basis.T, mode="r", pivoting=True)[-1]
    chosen = np.sort(pivots[: basis.shape[1]])
    left, _, right = linalg.svd(basis[chosen])
    return (left @ right).T


def haar_rotation(dim: int, *, seed: int) -> Float[np.ndarray, "d d"]:
    """Orthogonal matrix drawn uniformly: QR of a Gaussian one, signs fixed (Mezzadri 2007)."""
    orthogonal, upper = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, dim)))
    return orthogonal * np.sign(np.diag(upper))
