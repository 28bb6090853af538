"""Known pairs and ranking measures: recall, precision, clustered intervals, paired differences."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer

Split = Literal["tune", "untouched", "all"]

OVERALL = "all"
"""What all pairs together are called beside their sources."""

MEASURES = ("R@1", "R@5", "R@10", "mAP")


@dataclass(frozen=True)
class Pair:
    """A generated image and the images that it was made from."""

    source: str
    """Name of the set it belongs to."""
    generator: str
    exemplars: tuple[str, ...]
    """Right answers, as paths relative to the pairs file."""
    generated: str
    others: tuple[str, ...] = ()
    """Exemplars in other roles, which are left out when it is ranked."""

    @property
    def names(self) -> tuple[str, ...]:
        """All images of the pair."""
        return (*self.exemplars, *self.others, self.generated)

    @property
    def cluster(self) -> str:
        """What is resampled together: images made from the same exemplars are not independent."""
        return "|".join(self.exemplars)

    @property
    def half(self) -> Split:
        """The half that the pair belongs to, by a hash of its first exemplar's file name."""
        name = PurePosixPath(self.exemplars[0]).name
        return "tune" if hashlib.sha256(name.encode()).digest()[0] % 2 == 0 else "untouched"


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float
    queries: int
    clusters: int


@dataclass(frozen=True)
class Cell:
    """One number of a results table."""

    source: str
    """Name of the set of pairs, or ``all``."""
    column: str
    """What was measured: ``encoder/head``, or the difference of two."""
    measure: str
    interval: Interval


def measures(
    order: Integer[np.ndarray, " n"], right: Integer[np.ndarray, " m"]
) -> Float[np.ndarray, " 4"]:
    """R@1, R@5, R@10 and average precision of one full ranking.

    Recall at K is the number of right answers among the first K over the number of right answers
    (Wang et al. 2023); average precision is the mean of the precisions at the right answers.

    Args:
        order: all gallery rows that are ranked, best first.
        right: rows of the right answers.
    """
    place = np.empty(max(order.max(), right.max()) + 1, np.int64)
    place[order] = np.arange(1, len(order) + 1)
    ranks = np.sort(place[right])
    recalls = [float((ranks <= k).mean()) for k in (1, 5, 10)]
    precision = float((np.arange(1, len(ranks) + 1) / ranks).mean())
    return np.array([*recalls, precision])


def clustered_interval(
    values: Float[np.ndarray, " q"],
    clusters: Sequence[str],
    *,
    draws: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Mean over queries with a percentile bootstrap that resamples whole clusters.

    Raises:
        ValueError: when there are no values, or not one cluster for each.
    """
    if len(values) == 0 or len(values) != len(clusters):
        raise ValueError(f"{len(values)} values in {len(clusters)} clusters")
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(member, weights=values)
    counts = np.bincount(member)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(sums), size=(draws, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high), len(values), len(sums))


def table(pairs: Sequence[Pair], results: Mapping[str, Float[np.ndarray, "q 4"]]) -> list[Cell]:
    """Every measure by source and overall, for every column, with intervals.

    Args:
        pairs: the queries.
        results: measures of every query by column name, such as ``moco/default``.
    """
    return [
        Cell(source, name, measure, clustered_interval(values[chosen, m], clusters))
        for source, chosen, clusters in _sources(pairs)
        for name, values in results.items()
        for m, measure in enumerate(MEASURES)
    ]


def differences(
    pairs: Sequence[Pair], results: Mapping[str, Float[np.ndarray, "q 4"]]
) -> list[Cell]:
    """Paired differences of every two columns, the first less the second, as :func:`table`."""
    gaps = {f"{one} - {two}": results[one] - results[two] for one, two in combinations(results, 2)}
    return table(pairs, gaps)


def _sources(
    pairs: Sequence[Pair],
) -> Iterator[tuple[str, Integer[np.ndarray, " q"], list[str]]]:
    """Name, queries and clusters of every source, then of all of them together."""
    of = np.array([pair.source for pair in pairs])
    chosen = {source: np.flatnonzero(of == source) for source in sorted(set(of.tolist()))}
    for name, rows in {**chosen, OVERALL: np.arange(len(pairs))}.items():
        yield name, rows, [pairs[i].cluster for i in rows.tolist()]
