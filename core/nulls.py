"""The null distribution: how high an image scores whose source is not in the gallery.

Images of the gallery itself play the queries, each without its own near-duplicate group. They need
no pairs and no other data; but they are real photographs of the same collection, which score
higher against it than generated images do, so the p-values err towards "none of these".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from core.config import NullConfig
from core.gallery import Embedded
from core.scoring import Scorer
from core.values import Descriptors, Progress, no_progress


@dataclass(frozen=True)
class Null:
    """Best scores of queries without a source in the gallery, ascending."""

    scores: Float[np.ndarray, " m"]

    @property
    def identity(self) -> str:
        """Hash of the scores, 16 hexadecimal digits."""
        return hashlib.sha256(np.ascontiguousarray(self.scores).tobytes()).hexdigest()[:16]

    def p_value(self, score: float) -> float:
        """Share of null queries at least as high, the query itself counted: (1 + #) / (m + 1).

        This is the conformal p-value: valid at any m when queries and null queries are
        exchangeable, and never below 1 / (m + 1).
        """
        above = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return (1 + above) / (len(self.scores) + 1)


def fit_null(
    scorer: Scorer,
    queries: Float[np.ndarray, "n d"],
    embedded: Embedded,
    patches: Descriptors | None,
    *,
    config: NullConfig,
    progress: Progress = no_progress,
) -> Null:
    """Score a draw of gallery images against the gallery without their own groups.

    Args:
        scorer: how queries are ranked.
        queries: embeddings of all gallery images in the role of queries.
        embedded: the gallery's groups.
        patches: local descriptors of all gallery images, where there are any.
        config: how many images are drawn, and the seed.
        progress: called after every query.
    """
    rng = np.random.default_rng(config.seed)
    count = min(config.queries, len(queries))
    scores: list[float] = []
    for done, row in enumerate(rng.choice(len(queries), count, replace=False), 1):
        own = np.flatnonzero(embedded.groups == embedded.groups[row])
        local = None if patches is None else np.asarray(patches[row])
        best = scorer.rank(queries[row], local, k=1, without=own)
        scores += [float(score) for score in best.scores]
        progress(done, count, "measuring how unrelated images score")
    return Null(np.sort(np.array(scores, np.float32)))
