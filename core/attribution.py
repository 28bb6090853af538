"""A ranking, its groups and a null, composed into an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.calibration import confidence
from core.config import NullConfig
from core.decompose import decompose, influences
from core.nulls import Null
from core.scoring import Ranking
from core.values import Answer, Group, ImageRecord, Match

_MIXED = 20  # groups that may share in the influence
_LIKELY = 0.5  # confidence from which a group may have a share
_NAMED = 0.005  # share from which the sentence counts a group; less would be printed as 0 %


@dataclass(frozen=True)
class Identities:
    """What an answer was computed with, each as ``name@identity``."""

    encoder: str
    head: str
    gallery: str


@dataclass(frozen=True)
class Candidates:
    """A ranking among the gallery's images."""

    ranking: Ranking
    records: Sequence[ImageRecord]
    """Records of all rows of the gallery."""
    groups: Integer[np.ndarray, " n"]
    """Near-duplicate group of every row."""


def answer(
    query: Float[np.ndarray, " d"],
    embeddings: Float[np.ndarray, "n d"],
    candidates: Candidates,
    *,
    null: Null,
    config: NullConfig,
    identities: Identities,
) -> Answer:
    """The answer to one query.

    A group's p-value is that of its best image. Groups more likely than not to be a source share
    what is not ascribed to "none of these", by the query's non-negative decomposition over them;
    "none" is one minus the confidence of the best group, or everything when no group is likely.

    Args:
        query: unit embedding of the query.
        embeddings: unit embeddings of all rows of the gallery.
        candidates: the ranked rows, their records and groups.
        null: scores of images without a source here.
        config: prior and calibrator of the confidences.
        identities: encoder, head and gallery.
    """
    matches = _matches(candidates)
    groups = _groups(matches, candidates, null=null, config=config)
    likely = [g for g in groups[:_MIXED] if g.confidence > _LIKELY]
    none, shares = 1.0, np.zeros(0)
    if likely:
        row_of = dict(zip((m.image.id for m in matches), candidates.ranking.rows, strict=True))
        sources = embeddings[[row_of[group.best.image.id] for group in likely]]
        found = influences(decompose(query, sources), none=1 - likely[0].confidence)
        none, shares = found.none, found.shares
    by_group = {group.id: float(share) for group, share in zip(likely, shares, strict=True)}
    shared = tuple(_with_influence(group, by_group.get(group.id, 0.0)) for group in groups)
    best_p = min((group.p_value for group in groups), default=1.0)
    return Answer(
        sentence=_sentence(shared, none),
        matches=matches,
        groups=shared,
        none=float(none),
        p_value=best_p,
        null_id=null.identity,
        encoder=identities.encoder,
        head=identities.head,
        gallery=identities.gallery,
    )


def _matches(candidates: Candidates) -> tuple[Match, ...]:
    ranking = candidates.ranking
    return tuple(
        Match(
            candidates.records[int(row)],
            cosine=float(np.clip(cosine, -1, 1)),
            score=float(score),
            group=candidates.records[int(candidates.groups[row])].id,
        )
        for row, score, cosine in zip(ranking.rows, ranking.scores, ranking.cosines, strict=True)
    )


def _groups(
    matches: Sequence[Match], candidates: Candidates, *, null: Null, config: NullConfig
) -> list[Group]:
    """Groups of the matches, best first; a group is named by its first image."""
    best: dict[int, Match] = {}
    for match, row in zip(matches, candidates.ranking.rows, strict=True):
        best.setdefault(int(candidates.groups[row]), match)
    groups: list[Group] = []
    for label, match in best.items():
        rows = np.flatnonzero(candidates.groups == label)
        p_value = null.p_value(match.score)
        groups.append(
            Group(
                id=match.group,
                members=tuple(candidates.records[int(row)].id for row in rows),
                best=match,
                p_value=p_value,
                confidence=confidence(p_value, prior=config.prior, kappa=config.kappa),
                influence=0.0,
            )
        )
    return groups


def _with_influence(group: Group, influence: float) -> Group:
    return Group(**{**vars(group), "influence": influence})


def _sentence(groups: Sequence[Group], none: float) -> str:
    if not groups:
        return "The gallery is empty, so it holds no candidate source."
    shared = [group for group in groups if group.influence >= _NAMED]
    first = (shared or groups)[0]
    odds = f"{first.p_value:.1%} of images without a source here score as high"
    if not shared:
        return f"None of these stands out as a source: {odds}."
    name = first.best.image.title or first.best.image.path
    rest = f"{none:.0%} of the influence stays with none of these"
    lead = "Candidate source:" if len(shared) == 1 else f"{len(shared)} candidate sources, first"
    return f"{lead} {name}. Confidence {first.confidence:.0%}; only {odds}; {rest}."
