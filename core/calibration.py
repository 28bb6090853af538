"""From p-values to the probability that a group is a source."""

from __future__ import annotations

import math


def confidence(p_value: float, *, prior: float) -> float:
    """Probability of a source, from the Bayes factor that the p-value bounds.

    Sellke, Bayarri and Berger (2001): over all alternatives whose p-values have a decreasing beta
    density, the Bayes factor of the null is at least ``-e p log p`` for p < 1/e. Taking the bound
    itself gives the most that the p-value can support, so read the result as "at most".

    Args:
        p_value: in (0, 1].
        prior: probability of a source before looking, in (0, 1).

    Raises:
        ValueError: for values outside.
    """
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value must be in (0, 1], got {p_value}")
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    against = -math.e * p_value * math.log(p_value) if p_value < 1 / math.e else 1.0
    return prior / (prior + (1 - prior) * against)
