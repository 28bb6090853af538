"""The null distribution: how far an image without a source in the gallery stands out there.

What is compared is the *standing* of a group: its score less that of the third-best of its rivals,
so that what makes all scores of a query high or low drops out, and up to three sources can stand
out together. Images of the gallery play the queries without a source, each without its own group;
they need no pairs and no other data. They are real photographs of one collection and resemble one
another more than generated images do, so the p-values of generated images err towards "none of
these" (docs/evidence.md measures by how much).
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.config import NullConfig
from core.gallery.gallery import Embedded
from core.search.ranking import (
    RIVALS,
    Ranking,
    Scorer,
    background,
    first_of_groups,
)
from core.values import Descriptors, Progress, no_progress

FEWEST_GROUPS = RIVALS + 2
"""Groups a gallery needs for a null: a query's own, the best other, and its rivals."""

_TAIL = 0.1  # share of the null that the extreme-value tail is fitted to
_FEWEST_IN_TAIL = 20  # with fewer there is no fit


@dataclass(frozen=True)
class Null:
    """How queries without a source in the gallery stand out there, ascending."""

    standings: Float[np.ndarray, " m"]
    """Standing of the best group."""
    margins: Float[np.ndarray, " m"]
    """Score of the best group less that of its runner-up."""

    @property
    def identity(self) -> str:
        """Hash of the values, 16 hexadecimal digits."""
        values = np.concatenate([self.standings, self.margins]).astype(np.float64)
        return hashlib.sha256(values.tobytes()).hexdigest()[:16]

    @functools.cached_property
    def unit(self) -> float:
        """The median standing: what standings are measured in, whatever the encoder's scores."""
        return float(np.median(self.standings)) if len(self.standings) else 0.0

    def p_value(self, standing: float) -> float:
        """The larger of the counted and the fitted share of null queries that stand out as far.

        Counting alone is valid on average over nulls; the fitted tail, which all of the null's
        upper tenth determines, corrects a null that was lucky just there. The larger of the two
        stays valid and is never below 1 / (m + 1).
        """
        return max(self.conformal_p_value(standing), self.tail_p_value(standing))

    def conformal_p_value(self, standing: float) -> float:
        """Share of null queries that stand out at least as far; see :func:`conformal`."""
        return conformal(self.standings, standing)

    def margin_p_value(self, margin: float) -> float:
        """Share of null queries whose best group is at least as far ahead of its runner-up."""
        return conformal(self.margins, margin)

    def tail_p_value(self, standing: float) -> float:
        """The same share by the fitted tail; the counted one below it, or where there is none."""
        if self._tail is None or standing <= self._tail.threshold:
            return self.conformal_p_value(standing)
        return self._tail.p_value(standing)

    @functools.cached_property
    def _tail(self) -> Tail | None:
        return fit_tail(self.standings)


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
    scorer: Scorer,
    queries: Float[np.ndarray, "n d"],
    embedded: Embedded,
    patches: Descriptors | None,
    *,
    config: NullConfig,
    progress: Progress = no_progress,
) -> Null:
    """Rank the gallery without their own groups for a draw of gallery images, one of a group.

    Copies of one image are not independent queries, so every group is asked once. A gallery of
    fewer than :data:`FEWEST_GROUPS` groups has an empty null: nothing can stand out in it.

    Args:
        scorer: how queries are ranked.
        queries: embeddings of all gallery images in the role of queries.
        embedded: the gallery's groups.
        patches: local descriptors of all gallery images, where there are any.
        config: how many images are drawn, and the seed.
        progress: called after every query.
    """
    rng = np.random.default_rng(config.seed)
    order = rng.permutation(len(queries))
    one_each = np.sort(np.unique(embedded.groups[order], return_index=True)[1])
    drawn = order[one_each][: config.queries if len(one_each) >= FEWEST_GROUPS else 0]
    count = len(drawn)

    def measure(row: int) -> tuple[float, float] | None:
        own = np.flatnonzero(embedded.groups == embedded.groups[row])
        local = None if patches is None else np.asarray(patches[row])
        edges = None if scorer.edges is None else np.asarray(scorer.edges.embeddings[row])
        ranking = scorer.rank(queries[row], local, edges, k=scorer.config.candidates, without=own)
        return _standing_and_margin(ranking, embedded.groups)

    found: list[tuple[float, float]] = []
    for done, values in enumerate(_threaded(measure, drawn), 1):
        found += [values] if values else []
        progress(done, count, "measuring how images without a source stand out")
    standings, margins = np.array(found, np.float64).reshape(-1, 2).T
    return Null(np.sort(standings), np.sort(margins))


def _standing_and_margin(
    ranking: Ranking, groups: Integer[np.ndarray, " n"]
) -> tuple[float, float] | None:
    """Of the best group; nothing where no group is ranked."""
    scores = ranking.scores[first_of_groups(ranking, groups)]
    if not len(scores):
        return None
    return float(scores[0]) - background(scores), float(scores[0] - scores[min(1, len(scores) - 1)])


def _threaded(
    measure: Callable[[int], tuple[float, float] | None], rows: Integer[np.ndarray, " m"]
) -> Iterator[tuple[float, float] | None]:
    """Results in the order of the rows; what has not begun is dropped when the caller stops."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from pool.map(measure, rows.tolist())
    finally:
        pool.shutdown(cancel_futures=True)
