"""Micro average precision: the scores of all queries in one list, as in copy detection.

A system that is used has one threshold for all queries, so scores must mean the same for each, and
images without a source must score low. Recall and average precision by query ask neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Integer

from core.measures.retrieval import OVERALL, Cell, Interval, Pair

MICRO = "uAP"
"""Name of the measure."""

_DRAWS = 500


@dataclass(frozen=True)
class Pool:
    """The best-scored images of many queries."""

    scores: Float[np.ndarray, "q k"]
    """Their scores; -inf where fewer were ranked."""
    right: Bool[np.ndarray, "q k"]
    """Which of them are right answers."""
    answers: Integer[np.ndarray, " q"]
    """Right answers of every query, ranked or not; 0 for an image without a source."""

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, rows: np.ndarray) -> Pool:
        """Some of the queries."""
        return Pool(self.scores[rows], self.right[rows], self.answers[rows])


def micro_average_precision(
    pool: Pool, *, weights: Float[np.ndarray, "w q"] | None = None
) -> Float[np.ndarray, " w"]:
    """Area under precision over recall of all scored images together, from the highest score down.

    Douze et al. 2021 (The 2021 Image Similarity Dataset and Challenge, 2106.09672): the sum over
    distinct scores of the precision there times the recall gained. Right answers that are not among
    the scored images are never found, and lower it.

    Args:
        pool: the scored images.
        weights: how often each query counts, a row for each result; once each by default.

    Raises:
        ValueError: when no query that counts has a source.
    """
    counts = np.ones((1, len(pool))) if weights is None else weights
    total = counts @ pool.answers
    if not (total > 0).all():
        raise ValueError("micro average precision needs a query that has a source")
    known = np.isfinite(pool.scores)
    if pool.right[known].any():  # what scores below the last right answer changes nothing
        known &= pool.scores >= pool.scores[known & pool.right].min()
    query, place = np.nonzero(known)
    order = np.argsort(-pool.scores[query, place], kind="stable")
    query, place = query[order], place[order]
    scores, right = pool.scores[query, place], pool.right[query, place]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, len(scores) > 0))
    found = np.empty(len(counts))
    for row, count in enumerate(counts):
        each = count[query]
        hits = np.cumsum(each * right)[last]
        precision = hits / np.maximum(np.cumsum(each)[last], np.finfo(float).tiny)
        found[row] = (np.diff(hits, prepend=0) * precision).sum() / total[row]
    return found


def pooled_table(pairs: Sequence[Pair], pools: Mapping[str, Pool]) -> list[Cell]:
    """Micro average precision by source and overall, with intervals that resample clusters.

    Args:
        pairs: the first queries of every pool, in order. Those beyond have no source; they are in
            the list of every source, and each is a cluster of its own.
        pools: the scored images by column name.
    """
    return _cells(pairs, pools, {name: (name,) for name in pools})


def pooled_differences(pairs: Sequence[Pair], pools: Mapping[str, Pool]) -> list[Cell]:
    """Paired differences of every two columns, the first less the second."""
    return _cells(pairs, pools, {f"{a} - {b}": (a, b) for a, b in combinations(pools, 2)})


def _cells(
    pairs: Sequence[Pair], pools: Mapping[str, Pool], columns: Mapping[str, tuple[str, ...]]
) -> list[Cell]:
    of = np.array([pair.source for pair in pairs])
    found: list[Cell] = []
    for source in (*sorted(set(of.tolist())), OVERALL):
        rows = np.flatnonzero((of == source) | (source == OVERALL))
        clusters = [pairs[i].cluster for i in rows.tolist()]
        values = {name: pooled_values(pool, rows, clusters) for name, pool in pools.items()}
        for column, (first, *less) in columns.items():
            each = values[first] - sum(values[name] for name in less)
            found.append(Cell(source, column, MICRO, interval_of(each, clusters)))
    return found


def pooled_values(
    pool: Pool, rows: Integer[np.ndarray, " m"], clusters: Sequence[str]
) -> Float[np.ndarray, " w"]:
    """The micro average precision of some queries and of all without a source; then of resamples.

    The resamples draw whole clusters, the same ones for every pool of the same queries.
    """
    alone = np.flatnonzero(pool.answers == 0)
    names = [*clusters, *(f"without a source {i}" for i in alone)]
    _, member = np.unique(np.asarray(names), return_inverse=True)
    count, rng = int(member.max()) + 1, np.random.default_rng(0)
    drawn = [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(_DRAWS)]
    weights = np.stack([np.ones(count), *drawn])[:, member].astype(float)
    chosen = pool[np.concatenate([rows, alone])]
    weights = weights[weights @ chosen.answers > 0]  # a draw without any source says nothing
    return micro_average_precision(chosen, weights=weights)


def interval_of(values: Float[np.ndarray, " w"], clusters: Sequence[str]) -> Interval:
    """The first value, with the 95 % interval of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high), len(clusters), len({*clusters}))
