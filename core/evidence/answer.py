"""A ranking, its groups and a null, composed into an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Integer

from core.config import NullConfig
from core.evidence.confidence import confidence
from core.evidence.influence import contested, decompose, influences
from core.evidence.null import Null
from core.evidence.words import can_tell
from core.search.patches import pair_strengths
from core.search.query import Query
from core.search.ranking import Collection, Ranking, first_of_groups, rival_score
from core.search.second_source import scores_beyond
from core.values import Answer, Group, Match

_LIKELY = 0.5  # confidence from which a group may have a share


def answer(
    query: Query,
    ranking: Ranking,
    collection: Collection,
    *,
    null: Null,
    config: NullConfig,
    top: int,
) -> Answer:
    """The answer to one query.

    A group stands out by the score of its best image over that of the best group's third rival.
    Groups that stand out significantly and more likely than not are sources: they share what is
    not ascribed to "none of these". "None" is one minus the confidence of the best group, or
    everything when there is no such group. The best group is *named* when it is significantly
    ahead of its runner-up as well. After the sources comes the group that explains most of the
    rest of the query (:mod:`core.search.second_source`), then the others as they are ranked.

    An image that is in the gallery byte for byte needs no evidence: its group is the one source.
    Where the null is too small for p-values of the configured level, the answer has its matches
    and groups but no p-value, confidence or share at all.

    Args:
        query: the query.
        ranking: its ranking in the collection, deeper than what is shown of it.
        collection: the gallery as it is ranked, with its records.
        null: how images without a source here stand out.
        config: prior, level and the law of the confidence.
        top: matches that are shown; no number depends on it.
    """
    judge = _Judge(ranking, collection, null=null, config=config)
    groups, likely = judge.groups(top=top, identical=query.identical is not None)
    first = judge.first
    if likely and len(first) > len(likely):
        following = judge.second_source(query, sources=len(likely))
        rest = (g for g in groups[len(likely) :] if g.id != following.id)
        groups = (*likely, following, *rest)
    none = 1.0 if judge.telling else None
    if likely and (sure := likely[0].confidence) is not None:
        weights = _weights(query, collection, ranking.rows[first[: len(likely)]])
        found = influences(weights, none=1 - sure)
        none, shares = float(found.none), found.shares.tolist()
        shared = [replace(g, influence=s) for g, s in zip(likely, shares, strict=True)]
        groups = (*shared, *groups[len(shared) :])
    scores = judge.scores
    lead = null.lead_p_value(float(scores[0] - scores[1])) if len(scores) > 1 else 1.0
    named = bool(likely) and (lead <= config.level or query.identical is not None)
    return Answer(
        matches=tuple(judge.match(place) for place in range(min(top, len(ranking.rows)))),
        groups=groups,
        none=none,
        p_value=groups[0].p_value if groups else None,
        null_id=null.identity,
        lead_p_value=lead if judge.telling else None,
        named=named,
        prior=config.prior,
        identical=None if query.identical is None else collection.records[query.identical].id,
        null_size=len(null.margins),
        level=config.level,
    )


def _weights(
    query: Query, collection: Collection, rows: Integer[np.ndarray, " g"]
) -> Float[np.ndarray, " g"]:
    """How much of the query every source explains: by its patches, or by its embedding."""
    if query.patches is None or collection.patches is None:
        return decompose(query.embedding, np.asarray(collection.views[0].vectors[rows]))
    patches = np.ascontiguousarray(collection.patches[rows])
    return contested(pair_strengths(query.patches, patches))


class _Judge:
    """The groups of a ranking, and what standing out there is worth."""

    def __init__(
        self, ranking: Ranking, collection: Collection, *, null: Null, config: NullConfig
    ) -> None:
        self.ranking, self.collection, self.null, self.config = ranking, collection, null, config
        self.telling = can_tell(len(null.margins), level=config.level)
        self.first = first_of_groups(ranking, collection.groups)
        self.scores = ranking.scores[self.first].astype(np.float64)

    def groups(self, *, top: int, identical: bool) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
        """Groups of the shown matches and all likely sources, best first; the likely ones alone."""
        found: list[Group] = []
        likely = 0
        if identical:
            there = self.group(0, score=self.scores[0])
            found.append(replace(there, confidence=1.0) if self.telling else there)
            likely = 1
        for place, score in list(zip(self.first, self.scores, strict=True))[len(found) :]:
            group = self.group(int(place), score=float(score))
            if self.likely(group) and not identical:
                likely += 1  # both fall with the margin, so the likely ones come first
            elif place >= top:
                break
            found.append(group)
        return tuple(found), tuple(found[:likely])

    def likely(self, group: Group) -> bool:
        """Whether a group stands out significantly and is more likely a source than not."""
        if group.p_value is None or group.confidence is None:
            return False
        return group.p_value <= self.config.level and group.confidence > _LIKELY

    def second_source(self, query: Query, *, sources: int) -> Group:
        """The group that explains most of the query beyond its sources."""
        rows, first = self.ranking.rows, self.first
        scores = scores_beyond(
            query,
            self.collection,
            sources=rows[first[:sources]],
            others=rows[first[sources:]],
        )
        place = int(first[sources + int(scores.argmax())])
        return self.group(place, score=float(self.ranking.scores[place]))

    def group(self, place: int, *, score: float) -> Group:
        """The group of a place of the ranking, without influence yet."""
        best, groups = self.match(place), self.collection.groups
        members = np.flatnonzero(groups == groups[self.ranking.rows[place]])
        p_value, sure = self.evidence(score)
        return Group(
            id=best.group,
            members=tuple(self.collection.records[int(row)].id for row in members),
            best=best,
            p_value=p_value,
            confidence=sure,
            influence=0.0 if self.telling else None,
        )

    def evidence(self, score: float) -> tuple[float, float] | tuple[None, None]:
        """p-value and confidence of a score, where anything can be told."""
        if not self.telling:
            return None, None
        margin, unit, config = score - rival_score(self.scores), self.null.unit, self.config
        sure = confidence(
            margin / unit if unit > 0 else 0.0,
            prior=config.prior,
            midpoint=config.midpoint,
            slope=config.slope,
        )
        return self.null.p_value(margin), sure

    def match(self, place: int) -> Match:
        """The image at a place of the ranking; a group is named by its first image."""
        ranking, records = self.ranking, self.collection.records
        row = int(ranking.rows[place])
        return Match(
            records[row],
            cosine=float(np.clip(ranking.cosines[place], -1, 1)),
            score=float(ranking.scores[place]),
            group=records[int(self.collection.groups[row])].id,
        )
