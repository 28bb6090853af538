"""A gallery around a query: is the query of the kind that it holds, and what do scores mean there?

Neither needs a classifier. How near a query lies is compared with how near the gallery's own images
lie to one another; and a score is placed between two that everybody can picture, that of the middle
image and that of the very same one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from core.search.query import Query
from core.search.ranking import Collection, Ranking
from core.search.views import View
from core.values import Scale, Surroundings

_ASKED = 400  # images of a gallery whose nearest one is looked for, evenly over all
_BLOCK = 64  # of them at once
_FEWEST = 3  # images among which "near" means anything


def own_nearest(collection: Collection) -> Float[np.ndarray, " m"]:
    """Cosines of a gallery's images and the nearest image of another group, ascending."""
    view, groups = collection.views[0], np.asarray(collection.groups)
    rows, vectors, found = _spread(len(groups), _ASKED), view.vectors, [np.empty(0, np.float32)]
    if view.graph is not None:
        near, cosines = (table[rows] for table in (view.graph().rows, view.graph().cosines))
        others = (near >= 0) & (groups[near] != groups[rows][:, None])
        there = others.any(axis=1)
        found.append(np.where(others, cosines, -1)[there].max(axis=1, initial=-1))
        rows = rows[~there]  # large groups fill the table
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        cosines = np.asarray(vectors[block]) @ np.asarray(vectors).T
        cosines[groups[block][:, None] == groups[None]] = -1
        found.append(cosines.max(axis=1))
    return np.sort(np.concatenate(found))


def surroundings(
    ranking: Ranking, own: Float[np.ndarray, " m"], *, images: int, holds: str
) -> Surroundings | None:
    """The gallery around a query; ``None`` where it holds too few images.

    Args:
        ranking: the query's ranking.
        own: what :func:`own_nearest` gives.
        images: their number.
        holds: what they are, in the gallery's own words.
    """
    if len(own) < _FEWEST or not len(ranking.rows):
        return None
    nearest = float(ranking.cosines.max())
    nearer = float((own > nearest).mean())
    return Surroundings(images, holds, nearest, float(np.median(own)), nearer)


def score_scale(query: Query, collection: Collection, ranking: Ranking) -> Scale | None:
    """What scores are shown as 0 and as 100; ``None`` where the gallery has no room between them.

    Args:
        query: the query.
        collection: the gallery as it is ranked.
        ranking: the query's ranking there, with all its candidates.
    """
    if len(collection) < _FEWEST or not ranking.rival_scores:
        return None
    rows, plain = _spread(len(collection), _ASKED), np.zeros(min(len(collection), _ASKED))
    for view, vector in zip(collection.views, query.vectors, strict=True):
        if view.trust is None:
            plain += view.weight * view.scores(vector, rows)[0]
    itself = _copy(query, collection, ranking)
    alone = replace(query, identical=None)
    high = itself.rank(alone, k=1, rival_scores=ranking.rival_scores).scores[0]
    low, high = float(np.median(plain)), max(float(high), float(ranking.scores.max()))
    return Scale(low, high) if high > low else None


def _copy(query: Query, collection: Collection, ranking: Ranking) -> Collection:
    """The query as a gallery's only image, as common as it is there."""

    def of(view: View, vector: Float[np.ndarray, " d"]) -> View:
        means = None
        if view.csls_means is not None:
            scores, cosines = view.scores(vector, ranking.rows)
            near = np.argsort(-scores, kind="stable")[: collection.config.neighbours]
            means = np.array([cosines[near].mean() if len(near) else 0], np.float32)
        row = vector[None].astype(np.float32)
        return view.alone(row, features=view.features[:1], csls_means=means)

    return collection.alone(map(of, collection.views, query.vectors), patches=query.patches)


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many rows, evenly over all."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)
