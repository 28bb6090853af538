"""From how far a group stands out to the probability that it is a source."""

from __future__ import annotations

import math

from core.config import NullConfig

_SUREST = 7.0  # largest log-odds of the evidence: no measurement here bears out more than .999


def confidence(
    strength: float, *, prior: float, midpoint: float, slope: float, null_size: int
) -> float:
    """Probability of a source at a prior probability, by a logistic law of the strength.

    The law is Platt's (1999): the log of the likelihood ratio is linear in the strength. Its two
    numbers hold for all galleries, because strengths are made of p-values of the gallery's own
    null; docs/evidence.md says how they were found.

    Strengths beyond a null come from tails that are fitted to it, and a null of few images knows
    little of its tail. Of m images without a source none stands out farther than all of them: then
    at most 3 in m do, with a confidence of 95 % (the rule of three, Hanley and Lippman-Hand 1983).
    However likely a source is to stand out so far, the odds of the evidence are m / 3 at most.

    Args:
        strength: minus the logarithm of the mean of a group's p-values.
        prior: probability of a source before the image was seen.
        midpoint: strength at which both are equally likely at a prior of one half.
        slope: log-odds per unit of strength.
        null_size: m, the queries of the null that the strength refers to.

    Raises:
        ValueError: when strength is not finite, prior not in (0, 1), or slope or
            null_size not positive.
    """
    if not math.isfinite(strength):
        raise ValueError(f"strength must be finite, got {strength}")
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    if slope <= 0:
        raise ValueError(f"slope must be positive, got {slope}")
    if null_size <= 0:
        raise ValueError(f"null_size must be positive, got {null_size}")
    surest = min(_SUREST, math.log(max(null_size / 3, 1)))
    evidence = min(max(slope * (strength - midpoint), -surest), surest)
    return 1 / (1 + math.exp(-evidence) * (1 - prior) / prior)


def stated(strength: float, config: NullConfig, *, null_size: int) -> float:
    """The :func:`confidence` of a strength by the law and the prior of a configuration."""
    return confidence(
        strength,
        prior=config.prior,
        midpoint=config.midpoint,
        slope=config.slope,
        null_size=null_size,
    )
