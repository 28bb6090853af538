"""Intervals by leaving groups of images out: of a measure, and of the difference of two.

Images that are drawn twice, as the bootstrap draws them, make an embedding look as if it had fewer
directions than it has; left out, they do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer
from scipy.special import stdtrit

from core.measures.reports import Measure

GROUPS = 10
"""Groups that are left out in turn."""

_LEVEL = 0.95

LeftOut = Mapping[str, Float[np.ndarray, " g"]]
"""Values of measures, by name, without each group."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def groups_of(count: int, *, groups: int = GROUPS) -> list[Integer[np.ndarray, " _"]]:
    """What stays of ``count`` rows as each of the groups, of neighbouring rows, is left out."""
    everything = np.arange(count)
    return [np.setdiff1d(everything, some) for some in np.array_split(everything, groups)]


def estimate(
    value: float,
    left_out: Float[np.ndarray, " g"],
    *,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """The value with its interval.

    Delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17, 521-526): the variance
    is (g - 1) / g times the sum of squares about the mean, the quantile Student's with g - 1
    degrees of freedom.

    Args:
        value: what was measured on all images.
        left_out: the same without each group.
        bounds: the least and the largest value that there can be, which cut the interval.

    Raises:
        ValueError: for fewer than two groups.
    """
    groups = len(left_out)
    if groups < 2:
        raise ValueError(f"an interval needs two groups, got {groups}")
    error = np.sqrt((groups - 1) / groups * ((left_out - left_out.mean()) ** 2).sum())
    reach = float(stdtrit(groups - 1, (1 + _LEVEL) / 2) * error)
    return Estimate(value, max(value - reach, bounds[0]), min(value + reach, bounds[1]))


def gained(
    measure: Measure,
    before: tuple[float, Float[np.ndarray, " g"]],
    after: tuple[float, Float[np.ndarray, " g"]],
) -> Estimate:
    """By how much a measure got better, with its interval.

    Args:
        measure: which way is good.
        before: the value at first, and without each group.
        after: the same later, without the same groups.
    """
    one, two = (measure.merit(value) for value, _ in (before, after))
    first, second = (np.array([measure.merit(v) for v in out]) for _, out in (before, after))
    return estimate(two - one, second - first)
