"""A second source: what an image explains of a query beyond the sources that were found.

A second source that shares a query with a first one is hidden behind whatever resembles the first.
So the first one's directions are taken out of the query's vector in every view, and patches count
only by how much better they match than the first one's do (docs/evidence.md measures what that is
worth).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Integer

from core.search.query import Query
from core.search.ranking import Collection, Ranking


def scores_beyond(
    query: Query,
    collection: Collection,
    ranking: Ranking,
    *,
    sources: Integer[np.ndarray, " s"],
    others: Integer[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """Scores of other rows, one of each group, for what a query has beyond its sources.

    Args:
        query: the query.
        collection: where its sources were found.
        ranking: how it is ranked there.
        sources: places of the sources in the ranking.
        others: places that are scored, ascending; the first candidates by patches too.
    """
    rows = ranking.rows[others]
    rest = [
        residual(vector, np.asarray(view.vectors[ranking.rows[sources]]))
        for view, vector in zip(collection.views, query.vectors, strict=True)
    ]
    plain = np.zeros(len(others))
    for view, vector in zip(collection.views, rest, strict=True):
        if view.trust is None:
            plain += view.weight * view.scores(vector, rows)[0]
    most = others[: collection.config.candidates]
    known, asked = (collection.strengths_of(query, ranking, some) for some in (sources, most))
    local = None
    if known is not None and asked is not None:
        local = np.zeros(len(others))
        local[: len(most)] = excess(asked, known)
    added = collection.additions(rest, rows, local=local)
    return collection.combined(plain, added, collection.rival_scores_of(rows, plain, added))


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
