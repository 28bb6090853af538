"""One statistic of many: how far a group stands out in all aspects together.

What two images share may show in one aspect alone: in their colours, their subjects or their edges.
A sum over aspects is as noisy as the noisiest of them; so each is compared with its own null first,
and their p-values are averaged by the generalised mean of the exponent -1/2 (Vovk and Wang 2020,
Biometrika 107(4), section 2): nearer to the harmonic mean, which one small p-value decides, than to
the geometric one of Fisher's method, for which all must be small. That it is exact is not relied
upon: the combination is compared with its own null (docs/decisions/010).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from core.evidence.tails import Tail, conformal, exponential_tail, pareto_tail

_SMALLEST = 1e-15  # p-value of an aspect
_EXPONENT = -0.5  # of the mean of p-values: what a strength is, which the law was fitted to


@dataclass(frozen=True)
class Combination:
    """Null values of every aspect, and of their combination."""

    largest: Float[np.ndarray, "m a"]
    """The largest value of a null query's groups in every aspect; each column is ascending."""
    strengths: Float[np.ndarray, " m"]
    """The largest strength of a null query's groups, ascending; see :func:`combined`."""

    @classmethod
    def of(cls, queries: Sequence[Float[np.ndarray, "_g a"]], *, aspects: int) -> Combination:
        """The null that queries without a source make, in float32.

        The strength of each refers to all others alone (the jackknife of Barber, Candès, Ramdas
        and Tibshirani 2021), as that of any later query refers to queries that it is none of.
        Tails that were fitted to a query's own values would make it look less strong than it is.

        Args:
            queries: values of every query's groups, one row a group.
            aspects: their number a.
        """
        rows = np.array([values.max(axis=0) for values in queries], np.float32)
        rows = rows.reshape(-1, aspects)
        largest = np.sort(rows, axis=0)
        places = [np.searchsorted(*both) for both in zip(largest.T, rows.T, strict=True)]
        strengths = np.zeros(len(rows), np.float32)
        for query, values in enumerate(queries):
            others = [np.delete(largest[:, a], at[query]) for a, at in enumerate(places)]
            rest = cls(np.column_stack(others), strengths[1:])
            strengths[query] = rest.strength(values).max()
        return cls(largest, np.sort(strengths))

    def __len__(self) -> int:
        return len(self.strengths)

    def aspect_p_values(self, values: Float[np.ndarray, "g a"]) -> Float[np.ndarray, "g a"]:
        """Share of null queries of which some group has at least as high a value in an aspect.

        In the upper tenth of the null by an exponential tail, so that it says by how much a value
        is beyond all of them.

        Args:
            values: one row a group.
        """
        found = np.empty(values.shape)
        for aspect, tail in enumerate(self._tails):
            column = values[:, aspect]
            p_values = conformal(self.largest[:, aspect], column)
            if tail is not None:
                beyond = column > tail.threshold
                p_values[beyond] = tail.p_values(column[beyond])
            found[:, aspect] = p_values
        return np.clip(found, _SMALLEST, 1)

    def strength(self, values: Float[np.ndarray, "g a"]) -> Float[np.ndarray, " g"]:
        """Strength of groups by their values; see :func:`combined`."""
        return combined(self.aspect_p_values(values))

    def p_value(self, strength: float) -> float:
        """The larger of the counted and the fitted share of null queries that are as strong.

        Counting alone is valid on average over nulls; the fitted tail, which all of the null's
        upper tenth determines, corrects a null that was lucky just there. The larger of the two
        stays valid and is never below 1 / (m + 1).
        """
        return max(self.conformal_p_value(strength), self.tail_p_value(strength))

    def conformal_p_value(self, strength: float) -> float:
        """Share of null queries that are at least as strong, by counting."""
        return float(conformal(self.strengths, np.array([strength]))[0])

    def tail_p_value(self, strength: float) -> float:
        """The same share by the fitted tail; the counted one below it, or where there is none."""
        if self._tail is None or strength <= self._tail.threshold:
            return self.conformal_p_value(strength)
        return float(self._tail.p_values(np.array([strength]))[0])

    @functools.cached_property
    def _tail(self) -> Tail | None:
        return pareto_tail(self.strengths)

    @functools.cached_property
    def _tails(self) -> list[Tail | None]:
        return [exponential_tail(column) for column in self.largest.T]


def combined(p_values: Float[np.ndarray, "g a"]) -> Float[np.ndarray, " g"]:
    """Strength of every row: minus the logarithm of the mean of its p-values; 0 where all are 1."""
    return np.log((p_values**_EXPONENT).mean(axis=1)) / -_EXPONENT
