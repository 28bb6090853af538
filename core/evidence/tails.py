"""How rare a value is among null values: counted, or by a tail that is fitted to the largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# How a strength is measured, and no settings: the law of the confidence was fitted to strengths.
_SHARE = 0.1  # of the null that a tail is fitted to
_FEWEST = 5  # null values that an exponential tail is fitted to
_FEWEST_OF_TWO = 20  # null values that both numbers of a generalised Pareto tail are fitted to


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of what exceeds a threshold."""

    threshold: float
    share: float
    """Share of the null above the threshold."""
    shape: float
    scale: float

    def p_values(self, values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """Probabilities of values at least as high, for values above the threshold."""
        excess = (values - self.threshold) / self.scale
        if abs(self.shape) < 1e-9:
            share = np.exp(-excess)
        else:
            share = (1 + self.shape * excess) ** (-1 / self.shape)
        return np.maximum(self.share * share, np.finfo(np.float64).tiny)


def conformal(null: Float[np.ndarray, " m"], values: Float[np.ndarray, "*g"]) -> np.ndarray:
    """Share of ascending null values at least as high, each value counted too: (1 + #) / (m + 1).

    This is the conformal p-value: valid at any m when the query and the null queries are
    exchangeable, and never below 1 / (m + 1).
    """
    above = len(null) - np.searchsorted(null, values, side="left")
    return (1 + above) / (len(null) + 1)


def pareto_tail(null: Float[np.ndarray, " m"]) -> Tail | None:
    """Peaks over threshold (Pickands 1975; Coles 2001, chapter 4), fitted by maximum likelihood.

    The shape is kept from being negative: a tail that ends would give p-values of zero.

    Args:
        null: null values, ascending.
    """
    from scipy.stats import genpareto  # noqa: PLC0415 - takes half a second

    count = int(len(null) * _SHARE)
    if count < _FEWEST_OF_TWO or null[-1] <= null[-count - 1]:
        return None
    threshold = float(null[-count - 1])
    excess = null[-count:].astype(np.float64) - threshold
    shape, _, scale = genpareto.fit(excess, floc=0)
    if shape < 0:
        shape, scale = 0.0, float(excess.mean())
    return Tail(threshold, count / len(null), float(shape), float(scale))


def exponential_tail(null: Float[np.ndarray, " m"]) -> Tail | None:
    """An exponential tail, whose one number fewer values tell: their mean excess.

    Args:
        null: null values, ascending.
    """
    count = max(int(len(null) * _SHARE), _FEWEST)
    if count >= len(null) or null[-1] <= null[-count - 1]:
        return None
    threshold = float(null[-count - 1])
    scale = float(np.mean(null[-count:], dtype=np.float64)) - threshold
    return Tail(threshold, count / len(null), 0.0, scale)
