"""What an image explains of a query beyond the sources that were found: the second look.

A second source that shares a query with a first one is hidden behind whatever resembles the first.
So the first one's directions are taken out of the query's embedding, and patches count only by how
much better they match than the first one's do (docs/evidence.md measures what that is worth).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def residual(
    query: Float[np.ndarray, " d"], sources: Float[np.ndarray, "s d"]
) -> Float[np.ndarray, " d"]:
    """The query without the directions of its sources, of unit length; zeros if nothing is left."""
    basis = np.linalg.qr(sources.T.astype(np.float64))[0]
    rest = query - basis @ (basis.T @ query)
    length = np.linalg.norm(rest)
    return rest / length if length > 1e-6 else np.zeros_like(rest)


def excess(
    candidates: Float[np.ndarray, "n p"], sources: Float[np.ndarray, "s p"]
) -> Float[np.ndarray, " n"]:
    """Local score of every candidate beyond the sources': mean of what it matches better.

    Args:
        candidates: strength of every candidate's pair with every patch of the query, 0 for none.
        sources: the same of the sources.
    """
    return np.clip(candidates - sources.max(axis=0), 0, None).mean(axis=1)
