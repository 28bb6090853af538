"""What the candidates of every query score in every view, so that ways to rank them are compared.

The product finds the candidates and scores them; only the ranking is left to whoever compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Integer

from benchmarks.quality.study import Study
from core.config import PATCHES, ScoreConfig, ViewConfig
from core.heads.head import Head
from core.search.index import csls_means
from core.search.patches import local_scores
from core.search.ranking import RIVALS
from core.search.views import View
from core.service.heads import choose_head
from core.values import Descriptors, Encoder

Scores = Float[np.ndarray, "q m"]
"""One row a query, one column a candidate; -inf where a query has fewer candidates."""


@dataclass(frozen=True)
class Candidates:
    """Candidates of queries; every array has a row a query and a column a candidate."""

    hits: Bool[np.ndarray, "q m"]
    """Whether a candidate is a right answer."""
    answers: Integer[np.ndarray, " q"]
    """Right answers to every query, candidates or not."""
    plain: Scores
    """The embedding's scores; -inf where a query has fewer candidates."""
    levels: Float[np.ndarray, "q m l"]
    """What every level adds to them, local scaling apart."""
    beside: Mapping[str, Scores]
    """Scores in the views beside it, without weights."""

    def ranked(self, views: Sequence[ViewConfig]) -> Scores:
        """Scores as ``core.search.ranking`` combines them, under these weights and trusts."""
        base, scores = rival(self.plain), self.plain
        for how in views:
            both = self.plain + how.weight * self.beside[how.name]
            scores = np.maximum(scores, base + how.trust * (both - rival(both)))
        return scores

    def measures(self, scores: Scores) -> Float[np.ndarray, "q 4"]:
        """R@1, R@5 and R@10 by scores; of equal ones the first comes first, as in the product.

        The average precision is not measured, and stays NaN.
        """
        rows, places = np.nonzero(self.hits)
        ranks = 1 + np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)[rows, places]
        values = np.full((len(scores), 4), np.nan)
        for column, k in enumerate((1, 5, 10)):
            found = np.bincount(rows, weights=ranks <= k, minlength=len(scores))
            values[:, column] = found / self.answers
        return values


def rival(scores: Scores) -> Float[np.ndarray, "q 1"]:
    """The fourth-best score of every query, which margins are taken against."""
    return -np.partition(-scores, RIVALS, axis=1)[:, RIVALS : RIVALS + 1]


def joined(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several sets of queries, one set after the other."""
    return Candidates(
        hits=np.concatenate([part.hits for part in parts]),
        answers=np.concatenate([part.answers for part in parts]),
        plain=np.concatenate([part.plain for part in parts]),
        levels=np.concatenate([part.levels for part in parts]),
        beside={
            name: np.concatenate([part.beside[name] for part in parts]) for name in parts[0].beside
        },
    )


class Asked:
    """Queries of a study, asked under one encoder, whatever its head is."""

    def __init__(self, study: Study, encoder: Encoder, rows: Sequence[int] | None = None) -> None:
        """Ask the pairs of some rows; all by default."""
        self.study, self.encoder = study, encoder
        self.rows = [*range(len(study.pairs))] if rows is None else [*rows]
        self.pairs = [study.pairs[row] for row in self.rows]
        self.head = choose_head(study.bench.gallery, encoder, "default")
        patch_head = study.bench.gallery.patch_head(encoder)
        assert patch_head is not None, "networks have patches"
        self.patch_head = patch_head
        bench = study.bench
        self.collection = bench.collection(encoder, self.head, score=ScoreConfig())
        self.queries = [bench.query(self.collection, pair) for pair in self.pairs]
        self.right = [bench.rows_of(pair.exemplars) for pair in self.pairs]
        self.left_out = [bench.rows_of(pair.others) for pair in self.pairs]
        images = dict.fromkeys(pair.generated for pair in self.pairs)
        self.made = [bench.folder / name for name in images]
        """Files of the images that are asked, some of them in two roles."""
        place = {name: row for row, name in enumerate(images)}
        self.image = [place[pair.generated] for pair in self.pairs]
        """Row of every query's image among these."""
        self._local = np.full((len(images), len(self.collection)), np.nan)
        self._beside = [
            self._found(view, self._vectors(place))
            for place, view in enumerate(self.collection.views)
            if place
        ]

    def under(
        self,
        head: Head | None = None,
        *,
        embeddings: Float[np.ndarray, "q d"] | None = None,
        patches: tuple[Descriptors, Descriptors] | None = None,
    ) -> Candidates:
        """The candidates with all that they score.

        Args:
            head: the head of the embedding; the default by default.
            embeddings: unit rows of the queries, in the place of those that the head gives.
            patches: local descriptors of the gallery and of the images that are asked, in the
                place of those that are stored.
        """
        first = self.collection.views[0] if head is None else self._view(head)
        if embeddings is None and head is not None:
            features = self.study.query_features(self.encoder)[self.rows]
            embeddings = head(features, role="query")
        if embeddings is None:
            embeddings = self._vectors(0)
        rows = [
            np.array(list(dict.fromkeys(np.concatenate(found).tolist())))
            for found in zip(self._found(first, embeddings), *self._beside, strict=True)
        ]
        asked = [
            (own, *query.vectors[1:]) for own, query in zip(embeddings, self.queries, strict=True)
        ]
        views = (first, *self.collection.views[1:])
        return self._scored(views, asked, rows, patches)

    def _vectors(self, place: int) -> Float[np.ndarray, "q d"]:
        """Unit rows of the queries in one view."""
        return np.stack([query.vectors[place] for query in self.queries])

    def _view(self, head: Head) -> View:
        """The embedding of the gallery under a head."""
        features = self.study.gallery_features(self.encoder)
        vectors = head(features, role="gallery")
        means = csls_means(vectors, k=ScoreConfig().neighbours)
        return replace(self.collection.views[0], head=head, vectors=vectors, csls_means=means)

    def _found(
        self, view: View, vectors: Float[np.ndarray, "q d"]
    ) -> list[Integer[np.ndarray, " m"]]:
        """Rows that one view gives as candidates of every query.

        What ``core.search.candidates`` finds where no image has a copy; here none has.
        """
        share = self.collection.config.candidates // len(self.collection.views)
        depth = share + max(map(len, self.left_out))
        found = view.index.search(vectors, k=min(depth, len(self.collection))).rows
        pairs = zip(found, self.left_out, strict=True)
        return [rows[(rows >= 0) & ~np.isin(rows, left_out)][:share] for rows, left_out in pairs]

    def _scored(
        self,
        views: Sequence[View],
        queries: Sequence[Sequence[np.ndarray]],
        rows: Sequence[Integer[np.ndarray, " m"]],
        patches: tuple[Descriptors, Descriptors] | None,
    ) -> Candidates:
        config = self.collection.config
        wide = (len(queries), config.candidates)
        hits, plain = np.zeros(wide, bool), np.full(wide, -np.inf)
        levels = np.zeros((*wide, len(views[0].level_names)))
        beside = {how.name: np.zeros(wide) for how in config.views}
        for i, (vectors, found) in enumerate(zip(queries, rows, strict=True)):
            own = slice(len(found))
            hits[i, own] = np.isin(found, self.right[i])
            plain[i, own] = views[0].weight * views[0].scores(vectors[0], found)[0]
            levels[i, own] = views[0].level_scores(vectors[0], found)
            for view, vector in zip(views[1:], vectors[1:], strict=True):
                beside[view.name][i, own] = view.scores(vector, found)[0]
            beside[PATCHES][i, own] = self._places(i, found, patches)
        self.study.progress(len(queries), len(queries), "scoring candidates")
        return Candidates(hits, np.array([*map(len, self.right)]), plain, levels, beside)

    def _places(
        self,
        asked: int,
        rows: Integer[np.ndarray, " m"],
        patches: tuple[Descriptors, Descriptors] | None,
    ) -> Float[np.ndarray, " m"]:
        """How well places match; those of stored descriptors are remembered."""
        image = self.image[asked]
        if patches is not None:
            return local_scores(patches[1][image], patches[0][rows])
        known = self._local[image]
        new = rows[np.isnan(known[rows])]
        if len(new):
            scores = self.collection.local_scores(self.queries[asked], new)
            assert scores is not None, "networks have patches"
            known[new] = scores
        return known[rows]


def margins(scores: Float[np.ndarray, "q m a"]) -> Float[np.ndarray, "q m a"]:
    """Scores in every aspect less the fourth-best there; -inf where there is no candidate."""
    parts = [scores[:, :, a] - rival(scores[:, :, a]) for a in range(scores.shape[2])]
    return np.stack(parts, axis=2)
