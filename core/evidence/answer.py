"""A ranking, its groups and a null, composed into an answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Integer

from core.config import AnswerConfig
from core.evidence.combination import combined
from core.evidence.conclusion import can_tell
from core.evidence.confidence import stated
from core.evidence.influence import contested, decompose, influences
from core.evidence.null import Margins, Null, aspects_of, margins_of
from core.evidence.roles import Standing, find_roles
from core.search.query import Query
from core.search.ranking import Collection, Ranking, first_of_groups
from core.search.second_source import scores_beyond
from core.values import Answer, Aspect, Group, Match, Roles


def answer(
    query: Query,
    ranking: Ranking,
    collection: Collection,
    *,
    null: Null,
    config: AnswerConfig,
    top: int,
) -> Answer:
    """The answer to one query.

    A group stands out by the score of its best image over that of the fourth-best group, in every
    aspect by itself; together that is its strength. Groups that stand out significantly and more
    likely than not are sources, the strongest first: they share what is not ascribed to "none of
    these". "None" is one minus the confidence of the strongest group, or everything when there is
    no such group. The first is *named* when it is significantly ahead of all others as well. After
    the sources comes the group that explains most of the rest of the query
    (:mod:`core.search.second_source`), then the others as they are ranked. Where one group stands
    out in structure and another in appearance (:mod:`core.evidence.roles`), both are among the
    groups, and follow the sources among the matches.

    An image that is in the gallery byte for byte needs no evidence: its group is the one source.
    Where the null is too small for p-values of the configured level, the answer has its matches
    and groups but no p-value, confidence or share at all.

    Where only some images could be ranked, every group keeps the evidence that it has among all,
    and none where it is not among their candidates: the null is that of all images. Margins over
    the rivals of a few would be larger than it knows (docs/decisions/018).

    Args:
        query: the query.
        ranking: its ranking in the collection, deeper than what is shown of it.
        collection: the gallery as it is ranked, with its records.
        null: how images without a source here stand out.
        config: prior, level and the law of the confidence.
        top: matches that are shown; no number depends on it.
    """
    judge = _Judge(ranking, collection, null=null, config=config)
    likely = [0] if query.identical is not None else judge.likely()
    groups = [judge.group(place) for place in likely]
    if query.identical is not None and judge.telling:
        groups[0] = replace(groups[0], confidence=1.0)
    others = [place for place in range(len(judge.first)) if place not in likely]
    if likely and others:
        second = judge.second_source(query, sources=likely, others=others)
        groups.append(judge.group(second))
        others.remove(second)
    roles = None if query.identical is not None else judge.roles(sourced=bool(likely))
    told = [] if roles is None else [standing.place for standing in roles]
    groups += [judge.group(p) for p in others if judge.first[p] < top or p in told]
    none = 1.0 if judge.telling else None
    if likely and (sure := groups[0].confidence) is not None:
        weights = _weights(query, collection, ranking, judge.first[likely])
        found = influences(weights, none=1 - sure)
        none, shares = float(found.none), found.shares.tolist()
        shared = [
            replace(g, influence=s) for g, s in zip(groups[: len(likely)], shares, strict=True)
        ]
        groups = [*shared, *groups[len(shared) :]]
    lead = judge.lead_p_value(likely[0] if likely else 0)
    named = bool(likely) and (lead <= config.level or query.identical is not None)
    sources = [int(judge.first[place]) for place in likely]
    ahead = [*sources, *(first for first in map(int, judge.first[told]) if first not in sources)]
    places = [*ahead, *(p for p in range(len(ranking.rows)) if p not in ahead)]
    return Answer(
        matches=tuple(judge.match(place) for place in places[:top]),
        groups=tuple(groups),
        none=none,
        p_value=judge.smallest_p_value,
        null_id=null.identity,
        lead_p_value=lead if judge.telling else None,
        named=named,
        prior=config.prior,
        identical=None if query.identical is None else collection.records[query.identical].id,
        null_size=len(null),
        level=config.level,
        notes=query.notes,
        roles=judge.named(roles),
    )


def _weights(
    query: Query, collection: Collection, ranking: Ranking, places: Integer[np.ndarray, " g"]
) -> Float[np.ndarray, " g"]:
    """How much of the query every source explains: by its patches, or by its embedding."""
    strengths = collection.strengths_of(query, ranking, places)
    if strengths is None:
        rows = ranking.rows[places]
        return decompose(query.embedding, np.asarray(collection.views[0].vectors[rows]))
    return contested(strengths)


class _Judge:
    """The groups of a ranking, best first, and what standing out there is worth."""

    def __init__(
        self, ranking: Ranking, collection: Collection, *, null: Null, config: AnswerConfig
    ) -> None:
        self.ranking, self.collection, self.null, self.config = ranking, collection, null, config
        self.telling = can_tell(len(null), level=config.level)
        self.first = first_of_groups(ranking, collection.groups)
        self.margins = _margins_among(ranking, collection)
        self.aspect_p_values = null.of_margins.aspect_p_values(self.margins.margins)
        self.strengths = np.zeros(len(self.first))  # beyond the candidates nothing stands out
        self.strengths[: len(self.aspect_p_values)] = combined(self.aspect_p_values)

    def likely(self) -> list[int]:
        """The groups that stand out significantly and are more likely sources than not."""
        found: list[int] = []
        level, least = self.config.level, self.config.likely
        for place in np.argsort(-self.strengths, kind="stable").tolist():
            p_value, sure = self.evidence(place)
            if p_value is None or sure is None or p_value > level or sure <= least:
                break
            found.append(place)
        return found

    @property
    def smallest_p_value(self) -> float | None:
        """p-value of the strongest group."""
        return self.evidence(int(self.strengths.argmax()))[0] if len(self.first) else None

    def second_source(self, query: Query, *, sources: list[int], others: list[int]) -> int:
        """The group that explains most of the query beyond its sources."""
        scores = scores_beyond(
            query,
            self.collection,
            self.ranking,
            sources=self.first[sources],
            others=self.first[others],
        )
        return others[int(scores.argmax())]

    def group(self, place: int) -> Group:
        """The group at a place, without influence yet."""
        best, groups = self.match(int(self.first[place])), self.collection.groups
        same = groups == groups[self.ranking.rows[self.first[place]]]
        among = self.ranking.among
        members = np.flatnonzero(same if among is None else same & among)
        p_value, sure = self.evidence(place)
        return Group(
            id=best.group,
            members=tuple(self.collection.records[int(row)].id for row in members),
            best=best,
            p_value=p_value,
            confidence=sure,
            influence=0.0 if self.telling else None,
            strength=float(self.strengths[place]) if self.telling else None,
            aspects=self.aspects(place),
        )

    def evidence(self, place: int) -> tuple[float, float] | tuple[None, None]:
        """p-value and confidence of a group, where anything can be told."""
        if not self.telling:
            return None, None
        strength = float(self.strengths[place])
        p_value = self.null.of_margins.p_value(strength)
        return p_value, stated(strength, self.config, p_value=p_value, null_size=len(self.null))

    def aspects(self, place: int) -> tuple[Aspect, ...]:
        """By what a group stands out, where anything can be told; none beyond the candidates."""
        if not self.telling or place >= len(self.aspect_p_values):
            return ()
        if not np.isfinite(self.margins.margins[place]).any():
            return ()
        p_values = self.aspect_p_values[place].tolist()
        return tuple(map(Aspect, self.collection.aspect_names, p_values))

    def roles(self, *, sourced: bool) -> tuple[Standing, Standing] | None:
        """The groups that gave structure and appearance, where that can be told of two."""
        if not self.telling:
            return None
        return find_roles(
            self.aspect_p_values,
            self.collection.aspect_names,
            sourced=sourced,
            null_size=len(self.null),
            level=self.config.level,
        )

    def named(self, roles: tuple[Standing, Standing] | None) -> Roles | None:
        """The same by the groups' ids."""
        if roles is None:
            return None
        ids = [self.match(int(self.first[standing.place])).group for standing in roles]
        return Roles(*ids, *(standing.p_value for standing in roles))

    def lead_p_value(self, place: int) -> float:
        """Share of null queries of which some group is as far ahead of all others."""
        leads, leading = self.margins.leads[place : place + 1], self.null.of_leads
        return leading.p_value(float(leading.strength(leads)[0])) if len(leads) else 1.0

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


def _margins_among(ranking: Ranking, collection: Collection) -> Margins:
    """How far the groups of a ranking stand out among all images; -inf beyond the candidates."""
    groups = np.asarray(collection.groups)
    if ranking.unfiltered is None:
        return margins_of(aspects_of(ranking, groups))
    among_all = margins_of(aspects_of(ranking.unfiltered, groups))
    known = _labels(ranking.unfiltered, groups)[: len(among_all.margins)]
    place_of = {label: place for place, label in enumerate(known.tolist())}
    places = np.array([place_of.get(label, -1) for label in _labels(ranking, groups).tolist()])

    def of(values: Float[np.ndarray, "g a"]) -> Float[np.ndarray, "h a"]:
        none = np.full((1, len(collection.aspect_names)), -np.inf, np.float32)
        return np.concatenate([values, none])[places]  # -1 is the last row

    return Margins(of(among_all.margins), of(among_all.leads))


def stands_out_elsewhere(
    ranking: Ranking, collection: Collection, *, null: Null, config: AnswerConfig
) -> bool:
    """Whether a group is a likely source of which no image could be ranked."""
    if ranking.unfiltered is None or ranking.among is None:
        return False
    judge = _Judge(ranking.unfiltered, collection, null=null, config=config)
    groups = np.asarray(collection.groups)
    passing = groups[ranking.among]
    return any(
        groups[ranking.unfiltered.rows[judge.first[place]]] not in passing
        for place in judge.likely()
    )


def _labels(ranking: Ranking, groups: Integer[np.ndarray, " n"]) -> Integer[np.ndarray, " g"]:
    """Groups of a ranking, best first."""
    return groups[ranking.rows[first_of_groups(ranking, groups)]]
