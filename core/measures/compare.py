"""Two rankings of one gallery: what they share, what only one finds, which of them is right.

Everything is computed from answers that exist already: pure functions of two of them, or of two
answers to each of many examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from core.gallery.examples import Example
from core.measures.retrieval import Interval, clustered_interval
from core.values import Answer

DEPTHS = (1, 5, 10, 24)
"""Depths at which two rankings are compared."""
HITS = (1, 5, 10)
"""Depths at which a known source counts as found."""
PERSISTENCE = 0.9
"""Persistence p of rank-biased overlap: the first ten ranks carry 86 % of its weight."""
_FEWEST = 3  # items in common below which a rank correlation means nothing


@dataclass(frozen=True)
class RankingComparison:
    """How two rankings of the same length agree."""

    overlaps: Mapping[int, float]
    """Share of the first k that both have, by k."""
    rank_biased_overlap: float
    """Agreement of the whole rankings, the first ranks weighing most; 0 to 1."""
    spearman: float | None
    """Rank correlation of what both have, -1 to 1; ``None`` for fewer than three."""
    common: tuple[int, ...]
    """Items of both, in the order of the first."""
    only_first: tuple[int, ...]
    """Items of the first alone, best first."""
    only_second: tuple[int, ...]
    """Items of the second alone, best first."""


@dataclass(frozen=True)
class SideRecord:
    """How often one side is right, over the examples whose truth is known."""

    hits: Mapping[int, Interval]
    """Share of the examples with one of their sources among the first k, by k."""
    recall: Interval
    """Share of an example's sources among the first ten, mean over the examples."""


@dataclass(frozen=True)
class ExampleComparison:
    """How two sides agree, and which is right, over the examples of a gallery."""

    examples: int
    overlap: Interval
    """Mean share of the first ten that both sides have."""
    rank_biased_overlap: Interval
    same_first: Interval
    """Share of the examples whose first image is the same on both sides."""
    sides: tuple[SideRecord, SideRecord] | None
    """Left and right; ``None`` where no example has a known source."""
    difference: Interval | None
    """Hits at rank 1, left less right, paired by example."""
    right: Mapping[str, tuple[int, ...]]
    """Examples of known source by whose first image is a source: ``both`` sides', only that of
    the ``first`` or ``second``, or ``neither``."""
    unrelated: tuple[int, ...]
    """Examples that have no source in the gallery."""
    declined: tuple[int, int]
    """How many of the unrelated examples each side answers with no source."""
    missed: tuple[int, int]
    """How many of the examples of known source each side answers with no source."""


def overlap(first: Sequence[int], second: Sequence[int], *, depth: int) -> float:
    """Share of the first ``depth`` items that both rankings have; of fewer where there are fewer.

    Raises:
        ValueError: for an empty ranking or no depth.
    """
    depth = min(depth, len(first), len(second))
    if depth < 1:
        raise ValueError("an overlap needs at least one item on either side")
    return len({*first[:depth]} & {*second[:depth]}) / depth


def rank_biased_overlap(
    first: Sequence[int], second: Sequence[int], *, persistence: float = PERSISTENCE
) -> float:
    """Extrapolated rank-biased overlap of two rankings of one length, 0 to 1.

    With A_d the overlap at depth d and k the length: A_k p^k + (1 - p)/p sum_d A_d p^d
    (Webber, Moffat & Zobel 2010, equation 30).

    Raises:
        ValueError: for rankings of different length, or a persistence outside (0, 1).
    """
    if not 0 < persistence < 1:
        raise ValueError(f"persistence must be in (0, 1), got {persistence}")
    _check(first, second)
    depths = np.arange(1, len(first) + 1)
    shared = np.array([overlap(first, second, depth=int(depth)) for depth in depths])
    weights = persistence**depths
    rest = shared[-1] * weights[-1]
    return float(rest + (1 - persistence) / persistence * (shared @ weights))


def spearman(first: Sequence[int], second: Sequence[int]) -> float | None:
    """Rank correlation of the items that both rankings have; ``None`` for fewer than three.

    Both rankings are reduced to the common items first: Spearman's rho of their new ranks.
    """
    from scipy.stats import spearmanr  # noqa: PLC0415 - takes half a second

    place = {item: rank for rank, item in enumerate(second)}
    there = [place[item] for item in first if item in place]
    if len(there) < _FEWEST:
        return None
    found = spearmanr(range(len(there)), there)
    return float(found.statistic)  # pyright: ignore[reportAttributeAccessIssue]


def compare_rankings(first: Sequence[int], second: Sequence[int]) -> RankingComparison:
    """Compare two rankings, best first.

    Raises:
        ValueError: when they are empty, differ in length, or name an item twice.
    """
    _check(first, second)
    return RankingComparison(
        overlaps={depth: overlap(first, second, depth=depth) for depth in DEPTHS},
        rank_biased_overlap=rank_biased_overlap(first, second),
        spearman=spearman(first, second),
        common=tuple(item for item in first if item in {*second}),
        only_first=tuple(item for item in first if item not in {*second}),
        only_second=tuple(item for item in second if item not in {*first}),
    )


def compare_answers(first: Answer, second: Answer) -> RankingComparison:
    """Compare the matches of two answers, by the ids of their images.

    Raises:
        ValueError: as :func:`compare_rankings`, and when the answers are of two galleries.
    """
    if first.gallery != second.gallery:
        raise ValueError(f"two galleries: {first.gallery} and {second.gallery}")
    return compare_rankings(_ids(first), _ids(second))


def compare_examples(
    examples: Sequence[Example], first: Sequence[Answer], second: Sequence[Answer]
) -> ExampleComparison:
    """Compare two sides over a gallery's examples; intervals resample whole sets of sources.

    Args:
        examples: the examples.
        first: the left side's answer to each.
        second: the right side's answer to each.

    Raises:
        ValueError: when there are no examples, or not one answer of either side for each.
    """
    if not len(examples) == len(first) == len(second) > 0:
        raise ValueError(f"{len(examples)} examples, {len(first)} and {len(second)} answers")
    found = [compare_answers(one, two) for one, two in zip(first, second, strict=True)]
    clusters = [_cluster(i, example) for i, example in enumerate(examples)]
    known = tuple(i for i, example in enumerate(examples) if example.sources)
    unrelated = tuple(i for i, example in enumerate(examples) if not example.sources)
    scores = [
        np.array([_scores(examples[i], side[i]) for i in known]).reshape(len(known), len(HITS) + 1)
        for side in (first, second)
    ]
    groups = [clusters[i] for i in known]
    return ExampleComparison(
        examples=len(examples),
        overlap=_mean([c.overlaps[10] for c in found], clusters),
        rank_biased_overlap=_mean([c.rank_biased_overlap for c in found], clusters),
        same_first=_mean([c.overlaps[1] for c in found], clusters),
        sides=(_record(scores[0], groups), _record(scores[1], groups)) if known else None,
        difference=_mean(scores[0][:, 0] - scores[1][:, 0], groups) if known else None,
        right=_by_winner(known, scores[0][:, 0] > 0, scores[1][:, 0] > 0),
        unrelated=unrelated,
        declined=(_declined(unrelated, first), _declined(unrelated, second)),
        missed=(_declined(known, first), _declined(known, second)),
    )


def _check(first: Sequence[int], second: Sequence[int]) -> None:
    if len(first) != len(second) or not first:
        raise ValueError(f"rankings must have one length above 0, got {len(first)}, {len(second)}")
    for ranking in (first, second):
        if len({*ranking}) < len(ranking):
            raise ValueError("a ranking names an item twice")


def _ids(answer: Answer) -> list[int]:
    return [match.image.id for match in answer.matches]


def _cluster(number: int, example: Example) -> str:
    """What is resampled together; an example without sources stands for itself."""
    return "|".join(sorted(example.sources)) or f"example {number}"


def _scores(example: Example, answer: Answer) -> list[float]:
    """Whether a source is among the first k, for each k of ``HITS``; then recall at the last."""
    right = [match.image.path in example.sources for match in answer.matches]
    hits = [float(any(right[:k])) for k in HITS]
    return [*hits, sum(right[: HITS[-1]]) / len(example.sources)]


def _record(scores: Float[np.ndarray, "q s"], clusters: Sequence[str]) -> SideRecord:
    means = [_mean(column, clusters) for column in scores.T]
    return SideRecord(hits=dict(zip(HITS, means, strict=False)), recall=means[-1])


def _mean(values: Sequence[float] | np.ndarray, clusters: Sequence[str]) -> Interval:
    return clustered_interval(np.asarray(values, np.float64), clusters)


def _by_winner(
    known: Sequence[int], first: np.ndarray, second: np.ndarray
) -> dict[str, tuple[int, ...]]:
    """The known examples by who is right about them."""
    chosen = {
        "both": first & second,
        "first": first & ~second,
        "second": ~first & second,
        "neither": ~first & ~second,
    }
    return {name: tuple(np.asarray(known)[where].tolist()) for name, where in chosen.items()}


def _declined(rows: Sequence[int], answers: Sequence[Answer]) -> int:
    """How many of these answers ascribe nothing to any image."""
    return sum(not any(group.influence for group in answers[i].groups) for i in rows)
