"""Two-stage ranking: embedding and edges find candidates, local descriptors re-rank the first.

The global score is S = s(embedding) + w s(edges), where s is the cosine or, with local scaling,
2 cos - hubness. Both halves side by side, the edges' times the root of w, are one vector of the
constant length sqrt(1 + w), so that one search by inner product ranks exactly by S.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int8, Integer

from core.config import ScoreConfig
from core.correspond import local_scores
from core.gallery import Embedded
from core.index import Index
from core.values import Descriptors

_FEWEST_GROUPS = 20  # groups among the candidates, however many copies there are of the first


@dataclass(frozen=True)
class Ranking:
    """Gallery rows, best first."""

    rows: Integer[np.ndarray, " k"]
    scores: Float[np.ndarray, " k"]
    """What ranks: the global score, plus the weighted local score where used."""
    cosines: Float[np.ndarray, " k"]
    """Cosines of the embeddings."""


def led_by(ranking: Ranking, row: int, *, cosine: float) -> Ranking:
    """A ranking of the same length with one row first, at the best of all scores at least.

    Local scaling may put another image before the very image that is asked for, where that one has
    many neighbours.

    Args:
        ranking: the ranking, not empty.
        row: the row that leads.
        cosine: its cosine, where it is not among the ranked.
    """
    others = np.flatnonzero(ranking.rows != row)[: len(ranking.rows) - 1]
    firsts = (row, ranking.scores.max(), cosine)
    ranked = (ranking.rows, ranking.scores, ranking.cosines)
    parts = [
        np.concatenate([np.array([first], array.dtype), array[others]])
        for first, array in zip(firsts, ranked, strict=True)
    ]
    return Ranking(*parts)


def search_index(
    embedded: Embedded,
    config: ScoreConfig,
    *,
    edges: Embedded | None = None,
    graph: Path | None = None,
) -> Index:
    """The index of a gallery's rows.

    Args:
        embedded: the gallery's embeddings.
        config: how they are scored.
        edges: the gallery's edges, where they are scored too.
        graph: the file of a saved HNSW graph.

    Raises:
        GalleryError: when the graph is damaged or of other embeddings.
    """
    rows = np.arange(len(embedded.embeddings))
    vectors, hubness = embedded.embeddings, embedded.hubness
    if edges is not None:
        weight = config.edges_weight
        vectors = _joined(vectors, edges.embeddings, weight)
        hubness = (hubness + weight * edges.hubness) / (1 + weight)
    scaled = hubness if config.local_scaling else None
    if graph is not None:
        return Index.load(graph, rows, dim=vectors.shape[1], hubness=scaled)
    return Index.build(vectors, rows, hubness=scaled, kind=config.search)


def _joined(
    embeddings: Float[np.ndarray, "n d"], edges: Float[np.ndarray, "n e"], weight: float
) -> Float[np.ndarray, "n de"]:
    """Unit rows of both, the edges' times the root of their weight, side by side."""
    return np.concatenate([embeddings, np.float32(weight**0.5) * edges], axis=1)


class Scorer:
    """Ranks a gallery's images for queries; safe to use from several threads."""

    def __init__(
        self,
        embedded: Embedded,
        patches: Descriptors | None,
        *,
        config: ScoreConfig,
        edges: Embedded | None = None,
        index: Index | None = None,
    ) -> None:
        """Rank by an index of these embeddings and edges; without one it is built here."""
        self.config = config
        self.patches = patches if config.rerank else None
        self.edges = edges if config.edges else None
        self.index = index or search_index(embedded, config, edges=self.edges)
        self._embeddings = embedded.embeddings
        self.groups = embedded.groups
        self._needed = min(_FEWEST_GROUPS, config.candidates, _distinct(self.groups))

    def rank(
        self,
        query: Float[np.ndarray, " d"],
        patches: Int8[np.ndarray, "p l"] | None = None,
        edges: Float[np.ndarray, " e"] | None = None,
        *,
        k: int,
        without: Integer[np.ndarray, " m"] | None = None,
    ) -> Ranking:
        """The k best rows for a query.

        Args:
            query: unit embedding.
            patches: the query's local descriptors; without them there is no re-ranking.
            edges: unit vector of the query's edges; needed where the gallery's are scored.
            k: rows wanted; fewer come back from a smaller gallery, and more where all
                candidates are wanted and copies of the first fill their places.
            without: rows left out, as if they were not in the gallery.

        Raises:
            ValueError: when the query's edges are missing.
        """
        left_out = np.empty(0, np.int64) if without is None else without
        depth = min(max(k, self.config.candidates) + len(left_out), len(self.index))
        if depth == 0:
            empty = np.empty(0, np.float32)
            return Ranking(np.empty(0, np.int64), empty, empty)
        asked, scale = query, 1.0
        if self.edges is not None:
            if edges is None:
                raise ValueError("the gallery's edges are scored, so a query needs its own")
            weight = self.config.edges_weight
            asked, scale = _joined(query[None], edges[None], weight)[0], 1 + weight
        rows, scores = self._search(asked, depth=depth, left_out=left_out)
        scores, cosines = scale * scores, self._embeddings[rows] @ query
        if patches is not None and self.patches is not None and len(rows):
            first = rows[: self._candidates(rows)]
            local = local_scores(patches, np.ascontiguousarray(self.patches[first]))
            scores = scores.astype(np.float64)
            scores[: len(first)] += self.config.rerank_weight * local
            order = np.argsort(-scores[: len(first)], kind="stable")
            for array in (rows, scores, cosines):
                array[: len(first)] = array[: len(first)][order]
        if k >= self.config.candidates:
            k = max(k, self._candidates(rows))
        return Ranking(rows[:k], scores[:k].astype(np.float32), cosines[:k])

    def _search(
        self,
        query: Float[np.ndarray, " d"],
        *,
        depth: int,
        left_out: Integer[np.ndarray, " m"],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores of the first stage, deeper where copies fill the first places.

        Otherwise a source with more copies than there are candidates would have no rival to stand
        out against.
        """
        gone = len(np.unique(self.groups[left_out]))
        while True:
            hits = self.index.search(query[None], k=depth)
            stay = (hits.ids[0] >= 0) & ~np.isin(hits.ids[0], left_out)
            rows = hits.ids[0][stay]
            if depth == len(self.index) or _distinct(self.groups[rows]) >= self._needed - gone:
                return rows, hits.scores[0][stay]
            depth = min(2 * depth, len(self.index))

    def _candidates(self, rows: Integer[np.ndarray, " m"]) -> int:
        """How many of the first rows are compared by their patches."""
        count = min(self.config.candidates, len(rows))
        if _distinct(self.groups[rows[:count]]) >= self._needed:
            return count
        places = np.sort(np.unique(self.groups[rows], return_index=True)[1])
        return max(count, int(places[: self._needed][-1]) + 1) if len(places) else count


def _distinct(groups: Integer[np.ndarray, " m"]) -> int:
    return len(np.unique(groups))
