"""Features that the tests of heads share."""

import numpy as np

from core.heads.rotation import haar_rotation

KINDS = ("identity", "center", "whiten", "infomax", "logdet")


def ill_conditioned(n=300, f=12, *, seed=0):
    """Ill-conditioned features with a mean, float32."""
    rng = np.random.default_rng(seed)
    mixing = haar_rotation(f, seed=seed) * np.geomspace(1, 0.05, f)
    return (rng.laplace(size=(n, f)) @ mixing.T @ haar_rotation(f, seed=9) + 1).astype(np.float32)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def matrix(head):
    """The linear map of a head of one level."""
    (part,) = head.parts
    return part.matrix
