"""The null distribution: how far an image without a source in the gallery stands out there.

A group stands out in an aspect by its *margin*: the score of its best image there less that of the
fourth-best group, so that what makes all scores of a query high or low drops out, and up to three
sources can stand out together. It leads by its score less the best of the others'. What margins, or
leads, in all aspects come to is in :mod:`core.evidence.combination`.

Images of the gallery play the queries without a source, which needs no pairs and no other data.
They are real photographs of one collection and resemble one another more than generated images do,
so the p-values of generated images err towards "none of these" (docs/evidence.md measures by how
much).

The null is *cross-fitted*: the images that play queries are taken out of the gallery together with
their near-duplicates, a fold at a time, and every head that was fitted on the gallery is fitted
again on what remains. A head fits the images that it was fitted on better than others, and local
scaling knows their neighbours; a null of images that took part in either would be too narrow, and
its p-values too small (Chernozhukov et al. 2018 for the principle; docs/decisions/005).
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.config import NullConfig
from core.evidence.combination import Combination
from core.search.query import Query
from core.search.ranking import RIVALS, Collection, Ranking, first_of_groups
from core.values import Progress, no_progress

FEWEST_GROUPS = RIVALS + 2
"""Groups a gallery needs for a null: a query's own, the best other, and its rivals."""


@dataclass(frozen=True)
class Null:
    """How queries without a source in the gallery stand out there, each array ascending."""

    margins: Float[np.ndarray, "m a"]
    """The largest margin of a query's groups in every aspect."""
    strengths: Float[np.ndarray, " m"]
    """The strength of the group that stands out most in all aspects together."""
    leads: Float[np.ndarray, "m a"]
    """The largest lead of a query's groups in every aspect."""
    lead_strengths: Float[np.ndarray, " m"]
    """The strength of the group that leads most in all aspects together."""

    def __len__(self) -> int:
        return len(self.strengths)

    @functools.cached_property
    def identity(self) -> str:
        """Hash of the values, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for values in vars(self).values():
            if isinstance(values, np.ndarray):
                digest.update(f"{values.shape}".encode())
                digest.update(values.astype(np.float64).tobytes())
        return digest.hexdigest()[:16]

    @functools.cached_property
    def of_margins(self) -> Combination:
        """What margins are compared with."""
        return Combination(self.margins, self.strengths)

    @functools.cached_property
    def of_leads(self) -> Combination:
        """What leads are compared with."""
        return Combination(self.leads, self.lead_strengths)


@dataclass(frozen=True)
class Margins:
    """How far the candidates' groups stand out for a query, as they are ranked."""

    margins: Float[np.ndarray, "g a"]
    """Each group's score in an aspect less that of the fourth-best group there."""
    leads: Float[np.ndarray, "g a"]
    """Each group's score in an aspect less that of the best of the others."""


def margins_of(aspects: Float[np.ndarray, "n a"]) -> Margins:
    """How far groups stand out and lead in every aspect, float32; -inf where they cannot.

    Args:
        aspects: what the best image of every group scores in every aspect, as in a ranking.
    """
    known = aspects[np.isfinite(aspects).any(axis=1)]
    if not len(known):
        return Margins(known, known)
    ordered = -np.sort(-known, axis=0)
    best, runner_up = ordered[0], ordered[min(1, len(known) - 1)]
    with np.errstate(invalid="ignore"):  # -inf less -inf
        margins = known - ordered[min(RIVALS, len(known) - 1)]
        leads = known - np.where(known == best, runner_up, best)
    return Margins(*(np.where(np.isnan(v), -np.inf, v).astype("f4") for v in (margins, leads)))


def aspects_of(ranking: Ranking, groups: Integer[np.ndarray, " n"]) -> Float[np.ndarray, "g a"]:
    """What the best image of every group scores in every aspect, as they are ranked."""
    return ranking.aspects[first_of_groups(ranking, groups)]


def fit_null(
    collection: Collection,
    *,
    config: NullConfig,
    progress: Progress = no_progress,
) -> Null:
    """Ask a gallery for images that are not in it: its own, a fold of them taken out at a time.

    Copies of one image are not independent queries, so every group is asked once. A gallery of
    fewer than :data:`FEWEST_GROUPS` groups has an empty null: nothing can stand out in it.

    Args:
        collection: the gallery as it is ranked.
        config: how many images are asked, in how many folds, and the seed.
        progress: called after every query; may raise ``Cancelled``.
    """
    groups = np.asarray(collection.groups)
    first = np.unique(groups, return_index=True)[1]
    enough = len(first) >= FEWEST_GROUPS
    drawn = np.random.default_rng(config.seed).permutation(first)[: config.queries * enough]
    parts = len(drawn) if len(drawn) <= config.alone else config.folds
    folds = [fold for fold in np.array_split(drawn, max(parts, 1)) if len(fold)]
    found: list[Margins] = []
    for fold in folds:
        out = np.flatnonzero(np.isin(groups, groups[fold]))
        rest, left_out = collection.without(out)
        for values in _margins_of_queries(rest, _asked(collection, rest, fold), left_out):
            found.append(values)
            progress(len(found), len(drawn), "measuring how images without a source stand out")
    aspects = len(collection.aspect_names)
    margins = Combination.of([each.margins for each in found], aspects=aspects)
    leads = Combination.of([each.leads for each in found], aspects=aspects)
    return Null(margins.largest, margins.strengths, leads.largest, leads.strengths)


def _asked(
    collection: Collection, rest: Collection, fold: Integer[np.ndarray, " m"]
) -> Iterator[Query]:
    """Images of a gallery as queries to the part of it that they are not in."""
    vectors = [
        own.head(np.asarray(view.features[fold]), role="query")
        for view, own in zip(collection.views, rest.views, strict=True)
    ]
    patches = collection.patches
    for place, row in enumerate(fold):
        local = None if patches is None else np.asarray(patches[row])
        yield Query(tuple(rows[place] for rows in vectors), local)


def _margins_of_queries(
    gallery: Collection, queries: Iterable[Query], left_out: Integer[np.ndarray, " l"]
) -> Iterator[Margins]:
    """How far groups stand out for every query, in order."""

    def measure(query: Query) -> Margins:
        ranking = gallery.rank(query, k=gallery.config.candidates, without=left_out)
        found = margins_of(aspects_of(ranking, gallery.groups))
        some = np.asarray((found.margins > 0).any(axis=1))  # the others stand out nowhere
        some[:1] = True
        return Margins(found.margins[some], found.leads[some])

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(measure, queries)
    finally:  # what has not begun is dropped when the caller stops
        pool.shutdown(cancel_futures=True)
