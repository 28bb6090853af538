"""Two-stage ranking: every view finds candidates, which all that is known then ranks.

With s_v the score of an image in the view v, the plain score of a candidate is the weighted sum of
s_v over the views that every score holds. Patches, and views with a *trust*, are what a source may
stand out by or not: what keeps a layout does, what takes a style or a subject does not. With the
fourth-best group's plain score b, and its score b' when one of them is added, the score of a
candidate is the largest of plain and b + trust (added - b').

A ranking tells as well what every candidate scores in each *aspect* by itself, which evidence is
made of: the levels of an embedding, trusted views, matching places, and the score that ranks.

Where only some images may be sources, no other is ranked, and these are scored as in the ranking of
all: against the same rivals.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int8, Integer

from core.config import PATCHES, ScoreConfig
from core.images.joined import ManyDescriptors
from core.search.candidates import Finder, firsts
from core.search.engine import Among
from core.search.patches import pair_strengths, scores_of
from core.search.query import Query
from core.search.views import View
from core.values import ImageRecord, ScorePart

PLACES, SAME_FILE, LIFTED = "matching places", "the same file", "what else was compared"
"""Names of what a score may be raised by, for people."""
TOGETHER = "all together"
"""Name of the aspect that is the score itself."""
RIVALS = 3
"""A margin is taken against the rival of this rank."""


@dataclass(frozen=True)
class Ranking:
    """Gallery rows, best first."""

    rows: Integer[np.ndarray, " k"]
    scores: Float[np.ndarray, " k"]
    """What ranks, as the module says; beyond the candidates, without patches and trusted views."""
    cosines: Float[np.ndarray, " k"]
    """Cosines in the first view."""
    aspects: Float[np.ndarray, "k a"]
    """What each row scores in every aspect by itself; -inf beyond the candidates."""
    rival_scores: tuple[float, ...] = ()
    """The fourth-best group's plain score, then its scores with each trusted addition."""
    among: Bool[np.ndarray, " n"] | None = field(default=None, repr=False)
    """The images that could be ranked; ``None`` for all."""
    unfiltered: Ranking | None = field(default=None, repr=False)
    """The candidates of all images, where only some could be ranked."""
    strengths: Float[np.ndarray, "c p"] | None = field(default=None, repr=False)
    """How well each candidate matches every patch of the query; ``None`` without patches."""


@dataclass(frozen=True)
class Addition:
    """What rows may stand out by, beside their plain scores."""

    scores: Float[np.ndarray, " m"]
    """Weighted scores, which are added to the plain ones."""
    trust: float
    """What standing out with them counts."""
    name: str
    """What they compare, for people."""


def first_of_groups(
    ranking: Ranking, groups: Integer[np.ndarray, " n"]
) -> Integer[np.ndarray, " g"]:
    """Places in the ranking of the best image of every group, best first."""
    return firsts(groups[ranking.rows])


def rival_score(scores: Float[np.ndarray, " g"]) -> float:
    """The score that margins are taken against: that of the fourth group, or of the last.

    Args:
        scores: best score of every group, best first, at least one.
    """
    return float(scores[min(RIVALS, len(scores) - 1)])


@dataclass(frozen=True)
class Collection:
    """The images of a gallery as they are ranked."""

    views: tuple[View, ...]
    """The first is the embedding: its cosines are shown, and it finds the rows of the rest."""
    groups: Integer[np.ndarray, " n"]
    """Near-duplicate group of every image: the row of its first member."""
    patches: ManyDescriptors | None = None
    """Local descriptors, memory-mapped; ``None`` without re-ranking."""
    records: Sequence[ImageRecord] = field(default=(), repr=False)
    """Records of all images, where answers are given."""
    config: ScoreConfig = field(default_factory=ScoreConfig)
    """How candidates are chosen and re-ranked."""

    def __len__(self) -> int:
        return len(self.groups)

    @functools.cached_property
    def _finder(self) -> Finder:
        return Finder(self.views, self.groups, self.config)

    def of(self, rows: Integer[np.ndarray, " m"]) -> Collection:
        """Some of the images, as if the others had never been there; groups keep their labels."""
        k = self.config.neighbours
        patches = None if self.patches is None else np.ascontiguousarray(self.patches[rows])
        return replace(
            self,
            views=tuple(view.of(rows, self.groups, k=k) for view in self.views),
            groups=np.asarray(self.groups[rows]),
            patches=patches,
            records=[self.records[row] for row in rows] if self.records else (),
        )

    def alone(
        self,
        views: Iterable[View],
        *,
        patches: Int8[np.ndarray, "p l"] | None,
        records: Sequence[ImageRecord] = (),
    ) -> Collection:
        """A collection of one image, ranked like this one.

        Args:
            views: what :meth:`View.alone` makes of each view.
            patches: the image's local descriptors; of no use where this one has none.
            records: its record, where answers are given.
        """
        local = None if self.patches is None or patches is None else patches[None]
        return replace(
            self, views=tuple(views), groups=np.zeros(1, np.int64), patches=local, records=records
        )

    def without(
        self, rows: Integer[np.ndarray, " m"]
    ) -> tuple[Collection, Integer[np.ndarray, " l"]]:
        """The collection as if some images had never been there, and the rows to leave out of it.

        A small one is made anew without them, so that there is nothing to leave out; so is one that
        is not walked.
        """
        gone = np.zeros(len(self), bool)
        gone[rows] = True
        walked = all(view.walk is not None and view.graph is not None for view in self.views)
        if len(self) <= self.config.exact or not walked:
            return self.of(np.flatnonzero(~gone)), np.empty(0, np.int64)
        k = self.config.neighbours
        views = tuple(view.without(gone, self.groups, k=k) for view in self.views)
        return replace(self, views=views), rows

    def rank(
        self,
        query: Query,
        *,
        k: int,
        without: Integer[np.ndarray, " m"] | None = None,
        among: Among | None = None,
        rival_scores: tuple[float, ...] = (),
    ) -> Ranking:
        """The k best rows for a query; an image that is in the gallery byte for byte comes first.

        Args:
            query: its vectors in the views, and its patches; without them nothing is re-ranked.
            k: rows wanted; fewer come back from a smaller gallery, and more where all candidates
                are wanted and copies of the first fill their places.
            without: rows left out, as if they were not in the gallery.
            among: the images that may be ranked; all by default.
            rival_scores: those of the query in another ranking, to score by these.
        """
        allowed = self._finder.allowed(without, among)
        rows, count = self._finder.find(query, k=k, allowed=allowed)
        plain, cosines = self._plain(query, rows)
        scores, aspects = plain, np.full((len(rows), len(self.aspect_names)), -np.inf)
        strengths = self.pair_strengths(query, rows[:count])
        if count:
            first, local = rows[:count], None if strengths is None else scores_of(strengths)
            added = self.additions(query.vectors, first, local=local)
            rival_scores = rival_scores or self.rival_scores_of(first, plain[:count], added)
            whole = self.combined(plain[:count], added, rival_scores)
            scores = np.concatenate([whole, plain[count:]])
            aspects[:count] = self._aspects(query, first, added, whole)
        parts = (scores[:count], scores[count:])
        best, rest = (np.argsort(-part, kind="stable") for part in parts)
        order = np.concatenate([best, count + rest])
        order = order[: max(k, count) if k >= self.config.candidates else k]
        found = scores[order].astype(np.float32)
        ranking = Ranking(rows[order], found, cosines[order], aspects[order], rival_scores)
        if strengths is not None:
            ranking = replace(ranking, strengths=strengths[best[: len(order)]])
        if query.identical is None or not allowed.has(query.identical) or not len(rows):
            return ranking
        cosine = float(self.views[0].vectors[query.identical] @ query.embedding)
        return led_by(ranking, query.identical, cosine=cosine)

    def rank_among(self, query: Query, among: Among, *, k: int) -> Ranking:
        """The k best of some images, scored as among all, with the candidates of all beside them.

        Args:
            query: as for :meth:`rank`.
            among: the images that may be ranked.
            k: rows wanted.
        """
        unfiltered = self.rank(query, k=self.config.candidates)
        found = self.rank(query, k=k, among=among, rival_scores=unfiltered.rival_scores)
        return replace(found, among=among.rows, unfiltered=unfiltered)

    def parts(self, query: Query, row: int, *, among: Among | None = None) -> tuple[ScorePart, ...]:
        """What makes the score of a row as it is ranked for a query; the parts sum to the score.

        Args:
            query: the query.
            row: the row.
            among: the images that could be ranked; all by default.
        """
        found = [
            part
            for view, vector in zip(self.views, query.vectors, strict=True)
            if view.trust is None
            for part in view.parts(vector, row)
        ]
        k = self.config.candidates
        ranking = self.rank(query, k=k) if among is None else self.rank_among(query, among, k=k)
        place = np.flatnonzero(ranking.rows == row)
        if not len(place):
            return tuple(found)
        lift = float(ranking.scores[place[0]]) - sum(part.value for part in found)
        return (*found, ScorePart(self._lifted_by(query, row, ranking), lift))

    def _lifted_by(self, query: Query, row: int, ranking: Ranking) -> str:
        """By what a row stands out most, beside its plain score."""
        if query.identical == row:
            return SAME_FILE
        rows = np.array([row])
        added = self.additions(query.vectors, rows, local=self.local_scores(query, rows))
        if not added or not ranking.rival_scores:
            return LIFTED
        others = ranking.rival_scores[1:]
        by = [
            more.trust * (float(more.scores[0]) - other)
            for more, other in zip(added, others, strict=True)
        ]
        return added[int(np.argmax(by))].name

    def additions(
        self,
        vectors: Sequence[Float[np.ndarray, " _d"]],
        rows: Integer[np.ndarray, " m"],
        *,
        local: Float[np.ndarray, " m"] | None,
    ) -> list[Addition]:
        """What rows may stand out by: every view that has a trust, and their patches.

        Args:
            vectors: unit vector of the query in every view.
            rows: the rows.
            local: their local scores; ``None`` without patches.
        """
        found = [
            Addition(view.weight * view.scores(vector, rows)[0], view.trust, view.name)
            for view, vector in zip(self.views, vectors, strict=True)
            if view.trust is not None
        ]
        how = self.config.view(PATCHES)
        if local is not None and how is not None:
            found.append(Addition(how.weight * local, how.trust, PLACES))
        return found

    def local_scores(
        self, query: Query, rows: Integer[np.ndarray, " m"]
    ) -> Float[np.ndarray, " m"] | None:
        """How well the patches of rows match a query's; ``None`` where either has none."""
        strengths = self.pair_strengths(query, rows)
        return None if strengths is None else scores_of(strengths)

    def pair_strengths(
        self, query: Query, rows: Integer[np.ndarray, " m"]
    ) -> Float[np.ndarray, "m p"] | None:
        """How well rows match every patch of a query; ``None`` where either has none."""
        if query.patches is None or self.patches is None:
            return None
        return pair_strengths(query.patches, np.ascontiguousarray(self.patches[rows]))

    def strengths_of(
        self, query: Query, ranking: Ranking, places: Integer[np.ndarray, " m"]
    ) -> Float[np.ndarray, "m p"] | None:
        """The same of ranked rows, by their places; those of candidates are in the ranking."""
        known = ranking.strengths
        if known is None:
            return self.pair_strengths(query, ranking.rows[places])
        there = places < len(known)
        found = np.empty((len(places), known.shape[1]))
        found[there] = known[places[there]]
        if not there.all():
            found[~there] = self.pair_strengths(query, ranking.rows[places[~there]])
        return found

    @functools.cached_property
    def aspect_names(self) -> tuple[str, ...]:
        """What the aspects of a ranking are, for people."""
        plain = [name for view in self.views if view.trust is None for name in view.level_names]
        trusted = [view.name for view in self.views if view.trust is not None]
        places = [] if self.patches is None else [PLACES]
        return (*plain, *trusted, *places, TOGETHER)

    def _aspects(
        self,
        query: Query,
        rows: Integer[np.ndarray, " m"],
        added: Sequence[Addition],
        scores: Float[np.ndarray, " m"],
    ) -> Float[np.ndarray, "m a"]:
        """What rows score in every aspect; -inf in one that the query cannot be compared in."""
        found = np.full((len(rows), len(self.aspect_names)), -np.inf)
        parts = [
            view.level_scores(vector, rows)
            for view, vector in zip(self.views, query.vectors, strict=True)
            if view.trust is None
        ]
        known = np.concatenate([*parts, *(more.scores[:, None] for more in added)], axis=1)
        found[:, : known.shape[1]] = known
        found[:, -1] = scores
        return found

    def rival_scores_of(
        self,
        rows: Integer[np.ndarray, " m"],
        plain: Float[np.ndarray, " m"],
        added: Sequence[Addition],
    ) -> tuple[float, ...]:
        """The fourth-best group's plain score among rows, then with each addition."""

        def fourth(scores: np.ndarray) -> float:
            order = np.argsort(-scores, kind="stable")
            return rival_score(scores[order][firsts(self.groups[rows[order]])])

        return (fourth(plain), *(fourth(plain + more.scores) for more in added))

    def combined(
        self,
        plain: Float[np.ndarray, " m"],
        added: Sequence[Addition],
        rival_scores: tuple[float, ...],
    ) -> Float[np.ndarray, " m"]:
        """The plain scores, raised where a row stands out more with an addition; see above."""
        scores, (base, *others) = plain, rival_scores
        for more, other in zip(added, others, strict=True):
            scores = np.maximum(scores, base + more.trust * (plain + more.scores - other))
        return scores

    def _plain(
        self, query: Query, rows: Integer[np.ndarray, " m"]
    ) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """Weighted sum over the views that every score holds, and the first view's cosines."""
        plain, shown = np.zeros(len(rows)), np.zeros(len(rows), np.float32)
        for place, (view, vector) in enumerate(zip(self.views, query.vectors, strict=True)):
            if view.trust is None:
                scores, cosines = view.scores(vector, rows)
                plain += view.weight * scores
                shown = cosines if place == 0 else shown
        return plain, shown


def led_by(ranking: Ranking, row: int, *, cosine: float) -> Ranking:
    """A ranking of the same length with one row first, at the best of all that others score.

    Local scaling may put another image before the very image that is asked for, where that one has
    many neighbours.

    Args:
        ranking: the ranking, not empty.
        row: the row that leads.
        cosine: its cosine, where it is not among the ranked.
    """
    others = np.flatnonzero(ranking.rows != row)[: len(ranking.rows) - 1]
    firsts = {
        "rows": row,
        "scores": ranking.scores.max(),
        "cosines": cosine,
        "aspects": ranking.aspects.max(axis=0),
    }
    parts = {
        name: np.concatenate([np.asarray(first, array.dtype)[None], array[others]])
        for name, first in firsts.items()
        for array in (getattr(ranking, name),)
    }
    return replace(ranking, **parts, strengths=None)
