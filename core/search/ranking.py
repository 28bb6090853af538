"""Two-stage ranking: embedding and edges find candidates, which all that is known then ranks.

The plain score of a candidate is s(embedding) + patches, where s is the cosine or, with local
scaling, 2 cos - hubness. The edged score has w s(edges) more. A source may stand out by either, so
the score is the plain one or, where it is larger, what the edged one stands out by: with the
fourth-best group's plain score b and edged score b', score = max(plain, b + t (edged - b')).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int8, Integer

from core.config import ScoreConfig
from core.gallery.gallery import Embedded
from core.search.index import Index
from core.search.patches import local_scores
from core.values import Descriptors

RIVALS = 3
"""A standing is taken against the rival of this rank."""

_FEWEST_GROUPS = 20  # groups among the candidates, however many copies there are of the first


@dataclass(frozen=True)
class Ranking:
    """Gallery rows, best first."""

    rows: Integer[np.ndarray, " k"]
    scores: Float[np.ndarray, " k"]
    """What ranks, as the module says; beyond the candidates, s(embedding) alone."""
    cosines: Float[np.ndarray, " k"]
    """Cosines of the embeddings."""
    against: Backgrounds | None = None
    """What edged scores were compared with, where there are any."""


@dataclass(frozen=True)
class Backgrounds:
    """The fourth-best group's scores for a query."""

    plain: float
    edged: float


def first_of_groups(
    ranking: Ranking, groups: Integer[np.ndarray, " n"]
) -> Integer[np.ndarray, " g"]:
    """Places in the ranking of the best image of every group, best first."""
    return _firsts(groups[ranking.rows])


def background(scores: Float[np.ndarray, " g"]) -> float:
    """The score that standings are taken against: that of the fourth group, or of the last.

    Args:
        scores: best score of every group, best first, at least one.
    """
    return float(scores[min(RIVALS, len(scores) - 1)])


def scored(
    query: Float[np.ndarray, " d"],
    known: Embedded,
    rows: Integer[np.ndarray, " m"],
    *,
    config: ScoreConfig,
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Scores s of rows for a query, and their cosines."""
    cosines = known.embeddings[rows] @ query
    return 2 * cosines - known.hubness[rows] if config.local_scaling else cosines, cosines


def either(
    plain: Float[np.ndarray, " m"],
    edged: Float[np.ndarray, " m"],
    against: Backgrounds,
    *,
    trust: float,
) -> Float[np.ndarray, " m"]:
    """The plain scores, raised where the edged ones stand out more; see the module."""
    return np.maximum(plain, against.plain + trust * (edged - against.edged))


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
    return replace(ranking, **dict(zip(("rows", "scores", "cosines"), parts, strict=True)))


def search_index(embedded: Embedded, config: ScoreConfig, *, graph: Path | None = None) -> Index:
    """The index of a gallery's rows; ``graph`` is the file of a saved HNSW graph.

    Raises:
        GalleryError: when the graph is damaged or of other embeddings.
    """
    rows = np.arange(len(embedded.embeddings))
    hubness = embedded.hubness if config.local_scaling else None
    if graph is not None:
        return Index.load(graph, rows, dim=embedded.embeddings.shape[1], hubness=hubness)
    return Index.build(embedded.embeddings, rows, hubness=hubness, kind=config.search)


@dataclass(frozen=True)
class _Side:
    """One description of the gallery, and what searches it."""

    known: Embedded
    index: Index


class Scorer:
    """Ranks a gallery's images for queries; safe to use from several threads."""

    def __init__(
        self,
        embedded: Embedded,
        patches: Descriptors | None,
        *,
        config: ScoreConfig,
        edges: Embedded | None = None,
        indexes: tuple[Index | None, Index | None] = (None, None),
    ) -> None:
        """Rank by indexes of these embeddings and edges; without them they are built here."""
        self.config = config
        self.patches = patches if config.rerank else None
        self.edges = edges if config.edges else None
        self._whole = _Side(embedded, indexes[0] or search_index(embedded, config))
        self._beside = None
        if self.edges is not None:
            self._beside = _Side(self.edges, indexes[1] or search_index(self.edges, config))
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
        against: Backgrounds | None = None,
    ) -> Ranking:
        """The k best rows for a query.

        Args:
            query: unit embedding.
            patches: the query's local descriptors; without them there is no re-ranking.
            edges: unit vector of the query's edges; without it they are not scored.
            k: rows wanted; fewer come back from a smaller gallery, and more where all
                candidates are wanted and copies of the first fill their places.
            without: rows left out, as if they were not in the gallery.
            against: the backgrounds of the query in another ranking, to score by these.
        """
        left_out = np.empty(0, np.int64) if without is None else without
        depth = min(max(k, self.config.candidates) + len(left_out), len(self._whole.index))
        if depth == 0:
            empty = np.empty(0, np.float32)
            return Ranking(np.empty(0, np.int64), empty, empty)
        rows, scores, cosines = self._search(self._whole, query, depth=depth, left_out=left_out)
        beside = None if edges is None or self._beside is None else (self._beside, edges)
        most = self.config.candidates if beside is None else max(self.config.candidates // 2, 1)
        count = self._candidates(rows, most=most)
        if beside is not None:
            more = self._others(*beside, rows[:count], most=most, left_out=left_out)
            own = (more, *scored(query, self._whole.known, more, config=self.config))
            rest = count + np.flatnonzero(~np.isin(rows[count:], more))
            rows, scores, cosines = (
                np.concatenate([found[:count], new, found[rest]])
                for found, new in zip((rows, scores, cosines), own, strict=True)
            )
            count += len(more)
        first, scores = rows[:count], scores.astype(np.float64)
        if patches is not None and self.patches is not None and count:
            local = local_scores(patches, np.ascontiguousarray(self.patches[first]))
            scores[:count] += self.config.rerank_weight * local
        if beside is not None and count:
            plain = scores[:count].copy()
            lines = scored(beside[1], beside[0].known, first, config=self.config)[0]
            edged = plain + self.config.edges_weight * lines
            against = against or Backgrounds(self._fourth(first, plain), self._fourth(first, edged))
            scores[:count] = either(plain, edged, against, trust=self.config.edges_trust)
        order = np.argsort(-scores[:count], kind="stable")
        for array in (rows, scores, cosines):
            array[:count] = array[:count][order]
        if k >= self.config.candidates:
            k = max(k, count)
        return Ranking(rows[:k], scores[:k].astype(np.float32), cosines[:k], against)

    def _others(
        self,
        side: _Side,
        query: Float[np.ndarray, " d"],
        known: Integer[np.ndarray, " c"],
        *,
        most: int,
        left_out: Integer[np.ndarray, " m"],
    ) -> Integer[np.ndarray, " o"]:
        """Candidates by one side that are not known yet."""
        depth = min(most + len(left_out), len(side.index))
        rows = self._search(side, query, depth=depth, left_out=left_out)[0]
        rows = rows[: self._candidates(rows, most=most)]
        return rows[~np.isin(rows, known)]

    def _fourth(self, rows: Integer[np.ndarray, " m"], scores: Float[np.ndarray, " m"]) -> float:
        """The background among rows that are not sorted."""
        order = np.argsort(-scores, kind="stable")
        return background(scores[order][_firsts(self.groups[rows[order]])])

    def _search(
        self,
        side: _Side,
        query: Float[np.ndarray, " d"],
        *,
        depth: int,
        left_out: Integer[np.ndarray, " m"],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows, scores and cosines of the first stage, deeper where copies fill the first places.

        Otherwise a source with more copies than there are candidates would have no rival to stand
        out against.
        """
        gone = len(np.unique(self.groups[left_out]))
        while True:
            hits = side.index.search(query[None], k=depth)
            stay = (hits.ids[0] >= 0) & ~np.isin(hits.ids[0], left_out)
            rows = hits.ids[0][stay]
            if depth == len(side.index) or _distinct(self.groups[rows]) >= self._needed - gone:
                return rows, hits.scores[0][stay], hits.cosines[0][stay]
            depth = min(2 * depth, len(side.index))

    def _candidates(self, rows: Integer[np.ndarray, " m"], *, most: int) -> int:
        """How many of the first rows are candidates: more where copies fill the first places."""
        count = min(most, len(rows))
        if _distinct(self.groups[rows[:count]]) >= self._needed:
            return count
        places = _firsts(self.groups[rows])
        return max(count, int(places[: self._needed][-1]) + 1) if len(places) else count


def _firsts(groups: Integer[np.ndarray, " m"]) -> Integer[np.ndarray, " g"]:
    """Where every group comes for the first time, in order."""
    return np.sort(np.unique(groups, return_index=True)[1])


def _distinct(groups: Integer[np.ndarray, " m"]) -> int:
    return len(np.unique(groups))
