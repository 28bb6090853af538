"""From how far a group stands out to the probability that it is a source."""

from __future__ import annotations

import math

_SUREST = 7.0  # largest log-odds of the evidence: no measurement here bears out more than .999


def confidence(strength: float, *, prior: float, midpoint: float, slope: float) -> float:
    """Probability of a source at a prior probability, by a logistic law of the strength.

    The law is Platt's (1999): the log of the likelihood ratio is linear in the strength. Its two
    numbers hold for all galleries, because strengths are made of p-values of the gallery's own
    null; docs/evidence.md says how they were found.

    Args:
        strength: minus the logarithm of the mean of a group's p-values.
        prior: probability of a source before the image was seen.
        midpoint: strength at which both are equally likely at a prior of one half.
        slope: log-odds per unit of strength.

    Raises:
        ValueError: when strength is not finite, prior not in (0, 1) or slope not positive.
    """
    if not math.isfinite(strength):
        raise ValueError(f"strength must be finite, got {strength}")
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    if slope <= 0:
        raise ValueError(f"slope must be positive, got {slope}")
    evidence = min(max(slope * (strength - midpoint), -_SUREST), _SUREST)
    return 1 / (1 + math.exp(-evidence) * (1 - prior) / prior)
