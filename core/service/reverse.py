"""Reverse look-up: of which generated images is an image a likely source?

Every pair of a generated image and a source is one test of "this is no source of that". A pair's
p-value refers to how far a query without a source stands out anywhere in the gallery, so for one
source it errs towards "no". The expected share of wrong pairs among those that are named is bounded
by the Benjamini-Hochberg procedure where one source is tested, and by that of Benjamini and
Yekutieli, which costs more pairs, where the pairs of several sources share their queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from core.evidence.conclusion import can_tell
from core.search.query import Query
from core.search.ranking import Collection
from core.service.guests import guest, guest_evidence
from core.service.workspace import Workspace
from core.values import Aspect, GalleryError


@dataclass(frozen=True)
class Finding:
    """One generated image and one possible source of it."""

    generated: str
    """Name of the generated image."""
    source: str
    """Path of the source in the gallery, or the name of the upload."""
    image_id: int | None
    """Id of the source in the gallery; ``None`` for an upload."""
    score: float | None
    """Score that ranks; ``None`` where the source is not among the first matches."""
    p_value: float | None
    """Share of images without a source here that stand out at least as far; ``None`` in a gallery
    with too few different images to tell a source from chance."""
    p_adjusted: float | None
    """The smallest false-discovery rate at which the pair would be named."""
    named: bool
    """Whether the pair is named at the chosen rate."""
    confidence: float | None = None
    """Probability that the source is one; ``None`` where the p-value is, or is 1 unseen."""
    aspects: tuple[Aspect, ...] = ()
    """By what the source stands out; empty where that is not known."""


def adjust(p_values: Sequence[float], *, share_queries: bool = False) -> Float[np.ndarray, " m"]:
    """P-values adjusted for their number: those of at most q are named at the rate q.

    Benjamini and Hochberg (1995). Conformal p-values of independent queries that share a null are
    positively dependent, and the bound holds for them (Bates, Candès, Lei, Romano and Sesia 2023,
    theorem 2). Tests that share a query may depend in any way: what speaks for one source speaks
    against another. For those the procedure of Benjamini and Yekutieli (2001) holds.

    Args:
        p_values: p-values of all tests.
        share_queries: whether several tests are of one query.
    """
    from scipy.stats import false_discovery_control  # noqa: PLC0415 - takes half a second

    if not len(p_values):
        return np.zeros(0)
    method = "by" if share_queries else "bh"
    return np.asarray(false_discovery_control(np.asarray(p_values, np.float64), method=method))


def adjust_known(
    p_values: Sequence[float | None], *, share_queries: bool = False
) -> list[float | None]:
    """The p-values that there are, adjusted as by :func:`adjust`; ``None`` stays ``None``."""
    known = [value for value in p_values if value is not None]
    adjusted = iter(adjust(known, share_queries=share_queries).tolist())
    return [None if value is None else next(adjusted) for value in p_values]


def fewest_named(count: int, *, null_size: int, rate: float) -> int | None:
    """How many pairs have to stand out as far as a gallery can tell before any is named.

    The smallest p-value of a null of m queries is 1 / (m + 1); k of n pairs that have it are named
    where n / k times as much is at most the rate. ``None`` where even all of them are not.

    Args:
        count: pairs of one source, n.
        null_size: queries of the null, m.
        rate: false-discovery rate, in (0, 1).
    """
    least = 1 / (null_size + 1)
    if least > rate * (1 + 1e-9):
        return None
    return max(1, math.ceil(count * least / rate - 1e-9))


def reverse_lookup(
    workspace: Workspace,
    queries: Iterable[tuple[str, Query]],
    *,
    ids: Sequence[int] = (),
    uploads: Mapping[str, Query] | None = None,
    rate: float = 0.05,
    prior: float | None = None,
) -> tuple[Finding, ...]:
    """All pairs of generated images and possible sources, the smallest p-values first.

    Args:
        workspace: the gallery that the null is of.
        queries: generated images by name; they may come from a generator and are read once.
        ids: gallery images that may be sources.
        uploads: images by name that may be sources but are not in the gallery, as queries of it;
            each is scored as if it were there.
        rate: bound of the expected share of wrong pairs among those named, in (0, 1).
        prior: probability of a source before the images were seen; the configured one by default.

    Raises:
        ValueError: when the rate or the prior is not in (0, 1).
        GalleryError: when an id is not there, or no source is given.
    """
    if not 0 < rate < 1:
        raise ValueError(f"the false-discovery rate must be in (0, 1), got {rate}")
    if unknown := set(ids) - workspace.gallery.row_of.keys():
        raise GalleryError(f"no image of the gallery has the id {min(unknown)}")
    if not ids and not uploads:
        raise GalleryError("name the sources: ids of gallery images, or files")
    if prior is not None:
        workspace = workspace.over(workspace.collection)
        workspace.answering = replace(workspace.answering, prior=prior)
    guests = {name: guest(workspace, query) for name, query in (uploads or {}).items()}
    pairs = [
        pair
        for name, query in queries
        for pair in (
            *_of_gallery(workspace, name, query, ids=ids),
            *_of_guests(workspace, name, query, guests=guests),
        )
    ]
    several = len(set(ids)) + len(guests) > 1
    adjusted = adjust_known([pair.p_value for pair in pairs], share_queries=several)
    found = [pair.finding(p, rate=rate) for pair, p in zip(pairs, adjusted, strict=True)]
    return tuple(sorted(found, key=_order))


def _order(found: Finding) -> tuple[float, float, str, str]:
    """The smallest p-values first, then the highest scores."""
    return found.p_value or 0.0, -(found.score or 0.0), found.generated, found.source


@dataclass(frozen=True)
class _Pair:
    """A pair before the adjustment."""

    generated: str
    source: str
    image_id: int | None
    score: float | None
    p_value: float | None
    confidence: float | None
    aspects: tuple[Aspect, ...]

    def finding(self, p_adjusted: float | None, *, rate: float) -> Finding:
        """The pair with its place among all others."""
        named = p_adjusted is not None and p_adjusted <= rate
        return Finding(**vars(self), p_adjusted=p_adjusted, named=named)


def _of_gallery(
    workspace: Workspace, name: str, query: Query, *, ids: Sequence[int]
) -> Iterator[_Pair]:
    """Pairs with gallery images; near-duplicates share a p-value, 1 where none is a candidate."""
    if not ids:
        return
    answer = workspace.attribute(query, top=workspace.score.candidates)
    group_of = {member: group for group in answer.groups for member in group.members}
    unseen = None if answer.p_value is None else 1.0
    for number in dict.fromkeys(ids):
        path = workspace.gallery.records[workspace.gallery.row_of[number]].path
        group = group_of.get(number)
        if group is None:
            yield _Pair(name, path, number, None, unseen, None, ())
            continue
        found = (group.p_value, group.confidence, group.aspects)
        yield _Pair(name, path, number, group.best.score, *found)


def _of_guests(
    workspace: Workspace, name: str, query: Query, *, guests: Mapping[str, Collection]
) -> Iterator[_Pair]:
    if not guests:
        return
    ranking = workspace.collection.rank(query, k=workspace.score.candidates)
    telling = can_tell(len(workspace.null), level=workspace.answering.level)
    stranger = replace(query, identical=None)  # a guest's rows are not the gallery's
    for source, alone_there in guests.items():
        alone = alone_there.rank(stranger, k=1, rival_scores=ranking.rival_scores)
        score = float(alone.scores[0])
        if not telling:
            yield _Pair(name, source, None, score, None, None, ())
            continue
        found = guest_evidence(workspace, ranking, guest=alone)
        yield _Pair(name, source, None, score, found.p_value, found.confidence, found.aspects)
