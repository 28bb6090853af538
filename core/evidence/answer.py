"""A ranking, its groups and a null, composed into an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int8, Integer

from core.config import NullConfig, ScoreConfig
from core.evidence.confidence import confidence
from core.evidence.influence import contested, decompose, influences
from core.evidence.null import Null
from core.gallery.gallery import Embedded
from core.search.patches import pair_strengths
from core.search.ranking import (
    Backgrounds,
    Ranking,
    background,
    either,
    first_of_groups,
    scored,
)
from core.search.second_source import excess, residual
from core.values import (
    Answer,
    Descriptors,
    Group,
    ImageRecord,
    Match,
)

_LIKELY = 0.5  # confidence from which a group may have a share


@dataclass(frozen=True)
class Identities:
    """What an answer was computed with, each as ``name@identity``."""

    encoder: str
    head: str
    gallery: str


@dataclass(frozen=True)
class Candidates:
    """A ranking among the gallery's images, deeper than what is shown of it."""

    ranking: Ranking
    records: Sequence[ImageRecord]
    """Records of all rows of the gallery."""
    groups: Integer[np.ndarray, " n"]
    """Near-duplicate group of every row."""
    top: int
    """Matches that are shown; no number depends on it."""


@dataclass(frozen=True)
class Described:
    """A query and the gallery as vectors."""

    query: Float[np.ndarray, " d"]
    embedded: Embedded
    query_patches: Int8[np.ndarray, "p l"] | None = None
    patches: Descriptors | None = None
    query_edges: Float[np.ndarray, " e"] | None = None
    edges: Embedded | None = None
    score: ScoreConfig = field(default_factory=ScoreConfig)
    """How the ranking was made."""


def answer(
    described: Described,
    candidates: Candidates,
    *,
    null: Null,
    config: NullConfig,
    identities: Identities,
) -> Answer:
    """The answer to one query.

    A group stands out by the score of its best image over that of the best group's third rival.
    Groups that stand out significantly and more likely than not are sources: they share what is
    not ascribed to "none of these". "None" is one minus the confidence of the best group, or
    everything when there is no such group. The best group is *named* when it is significantly
    ahead of its runner-up as well. After the sources comes the group that explains most of the
    rest of the query (:mod:`core.search.second_source`), then the others as they are ranked.

    Args:
        described: embeddings, and local descriptors where there are any.
        candidates: the ranked rows, their records and groups.
        null: how images without a source here stand out.
        config: prior, level and the law of the confidence.
        identities: encoder, head and gallery.
    """
    first = first_of_groups(candidates.ranking, candidates.groups)
    scores = candidates.ranking.scores[first].astype(np.float64)
    groups, likely = _groups(candidates, first, null=null, config=config)
    if likely and len(first) > len(likely):
        place = _next(described, candidates.ranking, first, sources=len(likely))
        standing = float(candidates.ranking.scores[place]) - background(scores)
        following = _group(candidates, place, standing=standing, null=null, config=config)
        rest = (g for g in groups[len(likely) :] if g.id != following.id)
        groups = (*likely, following, *rest)
    none, shares = 1.0, np.zeros(0)
    if likely:
        found = influences(
            _weights(described, candidates.ranking.rows[first[: len(likely)]]),
            none=1 - likely[0].confidence,
        )
        none, shares = found.none, found.shares
    shared = [replace(g, influence=float(s)) for g, s in zip(likely, shares, strict=True)]
    groups = (*shared, *groups[len(shared) :])
    margin = null.margin_p_value(float(scores[0] - scores[1])) if len(scores) > 1 else 1.0
    named = bool(likely) and margin <= config.level
    return Answer(
        matches=_matches(candidates),
        groups=groups,
        none=float(none),
        p_value=groups[0].p_value if groups else 1.0,
        null_id=null.identity,
        encoder=identities.encoder,
        head=identities.head,
        gallery=identities.gallery,
        margin_p_value=margin,
        named=named,
        prior=config.prior,
        null_size=len(null.standings),
        level=config.level,
    )


def _weights(described: Described, rows: Integer[np.ndarray, " g"]) -> Float[np.ndarray, " g"]:
    """How much of the query every source explains: by its patches, or by its embedding."""
    query, patches = described.query_patches, described.patches
    if query is None or patches is None:
        return decompose(described.query, described.embedded.embeddings[rows])
    return contested(pair_strengths(query, np.ascontiguousarray(patches[rows])))


def _next(
    described: Described, ranking: Ranking, first: Integer[np.ndarray, " g"], *, sources: int
) -> int:
    """Place in the ranking of the group that explains most of the query beyond its sources."""
    found, others = ranking.rows[first[:sources]], ranking.rows[first[sources:]]
    score = described.score
    scores = _beyond(described.query, described.embedded, found, others, score=score)
    query, patches = described.query_patches, described.patches
    if query is not None and patches is not None:
        most = score.candidates
        known, asked = (
            pair_strengths(query, np.ascontiguousarray(patches[rows]))
            for rows in (found, others[:most])
        )
        scores[:most] += score.rerank_weight * excess(asked, known)
    if described.query_edges is not None and described.edges is not None:
        edges = _beyond(described.query_edges, described.edges, found, others, score=score)
        edged = scores + score.edges_weight * edges
        against = Backgrounds(*(background(np.sort(s)[::-1]) for s in (scores, edged)))
        scores = either(scores, edged, against, trust=score.edges_trust)
    return int(first[sources + int(scores.argmax())])


def _beyond(
    query: Float[np.ndarray, " d"],
    gallery: Embedded,
    found: Integer[np.ndarray, " s"],
    others: Integer[np.ndarray, " m"],
    *,
    score: ScoreConfig,
) -> Float[np.ndarray, " m"]:
    """Scores of other rows for what a query has beyond the rows that were found."""
    rest = residual(query, gallery.embeddings[found])
    return scored(rest, gallery, others, config=score)[0]


def _matches(candidates: Candidates) -> tuple[Match, ...]:
    ranking, top = candidates.ranking, candidates.top
    return tuple(_match(candidates, place) for place in range(min(top, len(ranking.rows))))


def _match(candidates: Candidates, place: int) -> Match:
    """The image at a place of the ranking; a group is named by its first image."""
    ranking, row = candidates.ranking, int(candidates.ranking.rows[place])
    return Match(
        candidates.records[row],
        cosine=float(np.clip(ranking.cosines[place], -1, 1)),
        score=float(ranking.scores[place]),
        group=candidates.records[int(candidates.groups[row])].id,
    )


def _groups(
    candidates: Candidates, first: Integer[np.ndarray, " g"], *, null: Null, config: NullConfig
) -> tuple[tuple[Group, ...], tuple[Group, ...]]:
    """Groups of the shown matches and all likely sources, best first; and the likely ones alone."""
    scores = candidates.ranking.scores[first].astype(np.float64)
    groups: list[Group] = []
    likely = 0
    for place, score in zip(first.tolist(), scores.tolist(), strict=True):
        standing = score - background(scores)
        group = _group(candidates, place, standing=standing, null=null, config=config)
        if group.p_value <= config.level and group.confidence > _LIKELY:
            likely += 1  # both fall with the standing, so the likely ones come first
        elif place >= candidates.top:
            break
        groups.append(group)
    return tuple(groups), tuple(groups[:likely])


def _group(
    candidates: Candidates, place: int, *, standing: float, null: Null, config: NullConfig
) -> Group:
    best = _match(candidates, place)
    label = candidates.groups[candidates.ranking.rows[place]]
    return Group(
        id=best.group,
        members=tuple(
            candidates.records[int(row)].id for row in np.flatnonzero(candidates.groups == label)
        ),
        best=best,
        p_value=null.p_value(standing),
        confidence=confidence(
            standing / null.unit if null.unit > 0 else 0.0,
            prior=config.prior,
            turning=config.turning,
            steepness=config.steepness,
        ),
        influence=0.0,
    )
