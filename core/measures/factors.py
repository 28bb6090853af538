"""Factors of variation in a gallery's metadata: what each explains of a dimension or a match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from core.measures.rows import standardised
from core.values import ImageRecord


def factors_of(records: Sequence[ImageRecord]) -> dict[str, list[str]]:
    """Free columns of the metadata with at least two values, each of which comes twice."""
    found: dict[str, list[str]] = {}
    for name in sorted({key for record in records for key in record.extra}):
        values = [record.extra.get(name, "") for record in records]
        counts = np.unique(values, return_counts=True)[1]
        if len(counts) > 1 and counts.min() > 1:
            found[name] = values
    return found


def factor_codes(factors: Mapping[str, Sequence[str]]) -> dict[str, Integer[np.ndarray, " n"]]:
    """The values of every factor as codes 0, 1, ..., in the order of their names."""
    return {name: np.unique(values, return_inverse=True)[1] for name, values in factors.items()}


def explained_variance(
    embeddings: Float[np.ndarray, "n d"], factors: Mapping[str, Integer[np.ndarray, " n"]]
) -> Float[np.ndarray, "d m"]:
    """Share of every dimension's variance that each factor explains, 0 to 1.

    Kelley's epsilon squared (1935), not below 0: 1 - (SS_within / (n - g)) / (SS_total / (n - 1))
    for the g values of a factor, which is the adjusted R squared of a regression on them. It takes
    off what a factor of as many values explains by chance, and is the least biased of the three
    usual measures (Okada 2013, Behaviormetrika 40, 129-147).

    Args:
        embeddings: one row per image.
        factors: the value of every image, as codes 0, 1, ..., by factor.

    Returns:
        The shares; 0 for a dimension that does not vary and a factor without two equal values.

    Raises:
        ValueError: when there is not one code for each image.
    """
    n, width = embeddings.shape
    rows = standardised(embeddings)
    varies = rows.any(axis=0)
    shares = np.zeros((width, len(factors)))
    for m, (name, codes) in enumerate(factors.items()):
        if len(codes) != n:
            raise ValueError(f"{n} images, {len(codes)} values of {name!r}")
        counts = np.bincount(codes)
        free = n - np.count_nonzero(counts)
        if free <= 0:
            continue
        sums = np.stack([np.bincount(codes, weights=column) for column in rows.T], axis=1)
        plain = (sums**2 / np.maximum(counts, 1)[:, None]).sum(axis=0) / n
        shares[:, m] = np.where(varies, np.clip(1 - (1 - plain) * (n - 1) / free, 0, 1), 0)
    return shares


_FEWEST = 3  # images of a value, and of the others, below which nothing is told


@dataclass(frozen=True)
class Likeness:
    """How far an image looks like those that have a value of a factor."""

    factor: str
    value: str
    auc: float
    """Share of comparisons, one image of the value with one of another, in which the first is
    nearer; .5 for a value that tells nothing."""
    p_value: float
    """Chance of that many where the value tells nothing (Mann-Whitney, one-sided)."""


def likenesses(
    similarity: Float[np.ndarray, " n"],
    factors: Mapping[str, Sequence[str]],
    *,
    values: Mapping[str, str],
    others: Bool[np.ndarray, " n"],
) -> list[Likeness]:
    """By which of its factors' values an image looks like others that have them, most first.

    The values are those of one gallery image; it and its near-duplicates do not count, so that what
    is told is of the value and not of that image.

    Args:
        similarity: of the image that is asked about to every gallery image.
        factors: the value of each factor for every gallery image.
        values: the values to be told of, by factor; an empty one is left out.
        others: the gallery images that count.
    """
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes half a second

    found: list[Likeness] = []
    for name, listed in factors.items():
        value = values.get(name, "")
        has = np.asarray(listed) == value
        same, rest = similarity[has & others], similarity[~has & others]
        if value and min(len(same), len(rest)) >= _FEWEST:
            test = mannwhitneyu(same, rest, alternative="greater")
            auc = float(test.statistic) / (len(same) * len(rest))
            found.append(Likeness(name, value, auc, float(test.pvalue)))
    return sorted(found, key=lambda each: -each.auc)
