"""From how far a group stands out to the probability that it is a source."""

from __future__ import annotations

import math

_SUREST = 7.0  # largest log-odds of the evidence: no measurement here bears out more than .999


def confidence(standing: float, *, prior: float, turning: float, steepness: float) -> float:
    """Probability of a source at a prior probability, by a logistic law of the standing.

    The law is Platt's (1999): the log of the likelihood ratio is linear in the standing. Its two
    numbers hold for all galleries, because standings are measured in medians of the gallery's own
    null; docs/evidence.md says how they were found.

    Args:
        standing: how far the group stands out, in medians of the null.
        prior: probability of a source before the image was seen.
        turning: standing at which both are equally likely at a prior of one half.
        steepness: log-odds per median of the null.

    Raises:
        ValueError: when standing is not finite, prior not in (0, 1) or steepness not positive.
    """
    if not math.isfinite(standing):
        raise ValueError(f"standing must be finite, got {standing}")
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    if steepness <= 0:
        raise ValueError(f"steepness must be positive, got {steepness}")
    evidence = min(max(steepness * (standing - turning), -_SUREST), _SUREST)
    return 1 / (1 + math.exp(-evidence) * (1 - prior) / prior)
