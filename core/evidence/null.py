"""The null distribution: how far an image without a source in the gallery stands out there.

What is compared is the *margin* of a group: its score less that of the third-best of its rivals,
so that what makes all scores of a query high or low drops out, and up to three sources can stand
out together. Images of the gallery play the queries without a source, which needs no pairs and no
other data. They are real photographs of one collection and resemble one another more than generated
images do, so the p-values of generated images err towards "none of these" (docs/evidence.md
measures by how much).

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
from core.search.query import Query
from core.search.ranking import RIVALS, Collection, first_of_groups, rival_score
from core.values import Progress, no_progress

FEWEST_GROUPS = RIVALS + 2
"""Groups a gallery needs for a null: a query's own, the best other, and its rivals."""

_TAIL = 0.1  # share of the null that the extreme-value tail is fitted to
_FEWEST_IN_TAIL = 20  # with fewer there is no fit


@dataclass(frozen=True)
class Null:
    """How queries without a source in the gallery stand out there, ascending."""

    margins: Float[np.ndarray, " m"]
    """Score of the best group less that of its rival; see the module."""
    leads: Float[np.ndarray, " m"]
    """Score of the best group less that of its runner-up."""

    @property
    def identity(self) -> str:
        """Hash of the values, 16 hexadecimal digits."""
        values = np.concatenate([self.margins, self.leads]).astype(np.float64)
        return hashlib.sha256(values.tobytes()).hexdigest()[:16]

    @functools.cached_property
    def unit(self) -> float:
        """The median margin: what margins are measured in, whatever the encoder's scores."""
        return float(np.median(self.margins)) if len(self.margins) else 0.0

    def p_value(self, margin: float) -> float:
        """The larger of the counted and the fitted share of null queries that stand out as far.

        Counting alone is valid on average over nulls; the fitted tail, which all of the null's
        upper tenth determines, corrects a null that was lucky just there. The larger of the two
        stays valid and is never below 1 / (m + 1).
        """
        return max(self.conformal_p_value(margin), self.tail_p_value(margin))

    def conformal_p_value(self, margin: float) -> float:
        """Share of null queries that stand out at least as far; see :func:`conformal`."""
        return conformal(self.margins, margin)

    def lead_p_value(self, lead: float) -> float:
        """Share of null queries whose best group is at least as far ahead of its runner-up."""
        return conformal(self.leads, lead)

    def tail_p_value(self, margin: float) -> float:
        """The same share by the fitted tail; the counted one below it, or where there is none."""
        if self._tail is None or margin <= self._tail.threshold:
            return self.conformal_p_value(margin)
        return self._tail.p_value(margin)

    @functools.cached_property
    def _tail(self) -> Tail | None:
        return fit_tail(self.margins)


def conformal(null: Float[np.ndarray, " m"], value: float) -> float:
    """Share of ascending null values at least as high, the value itself counted: (1 + #) / (m + 1).

    This is the conformal p-value: valid at any m when the query and the null queries are
    exchangeable, and never below 1 / (m + 1).
    """
    above = len(null) - int(np.searchsorted(null, value, side="left"))
    return (1 + above) / (len(null) + 1)


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of what exceeds a threshold."""

    threshold: float
    share: float
    """Share of the null above the threshold."""
    shape: float
    scale: float

    def p_value(self, value: float) -> float:
        """Probability of a value at least as high, for values above the threshold."""
        excess = (value - self.threshold) / self.scale
        if abs(self.shape) < 1e-9:
            share = float(np.exp(-excess))
        else:
            share = (1 + self.shape * excess) ** (-1 / self.shape)
        return max(self.share * share, np.finfo(np.float64).tiny)


def fit_tail(null: Float[np.ndarray, " m"]) -> Tail | None:
    """Peaks over threshold (Pickands 1975; Coles 2001, chapter 4), fitted by maximum likelihood.

    The shape is kept from being negative: a tail that ends would give p-values of zero.

    Args:
        null: null values, ascending.
    """
    from scipy.stats import genpareto  # noqa: PLC0415 - takes half a second

    count = int(len(null) * _TAIL)
    if count < _FEWEST_IN_TAIL or null[-1] <= null[-count - 1]:
        return None
    threshold = float(null[-count - 1])
    excess = null[-count:].astype(np.float64) - threshold
    shape, _, scale = genpareto.fit(excess, floc=0)
    if shape < 0:
        shape, scale = 0.0, float(excess.mean())
    return Tail(threshold, count / len(null), float(shape), float(scale))


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
    folds = [fold for fold in np.array_split(drawn, config.folds) if len(fold)]
    found: list[tuple[float, float]] = []
    for fold in folds:
        rest = collection.of(np.flatnonzero(~np.isin(groups, groups[fold])))
        for values in _margins(rest, _asked(collection, rest, fold)):
            found += [values] if values else []
            progress(len(found), len(drawn), "measuring how images without a source stand out")
    margins, leads = np.array(found, np.float64).reshape(-1, 2).T
    return Null(np.sort(margins), np.sort(leads))


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


def _margins(gallery: Collection, queries: Iterable[Query]) -> Iterator[tuple[float, float] | None]:
    """Margin and lead of the best group for every query, in order; see :class:`Null`."""

    def measure(query: Query) -> tuple[float, float] | None:
        ranking = gallery.rank(query, k=gallery.config.candidates)
        scores = ranking.scores[first_of_groups(ranking, gallery.groups)]
        if not len(scores):
            return None
        runner_up = scores[min(1, len(scores) - 1)]
        return float(scores[0]) - rival_score(scores), float(scores[0] - runner_up)

    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(measure, queries)
    finally:  # what has not begun is dropped when the caller stops
        pool.shutdown(cancel_futures=True)
