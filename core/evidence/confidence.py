"""From how far a group stands out to the probability that it is a source."""

from __future__ import annotations

import math

from scipy.special import betaincinv

from core.config import AnswerConfig

_SURE = 0.95  # of the bound of a p-value


def confidence(
    strength: float,
    *,
    prior: float,
    midpoint: float,
    slope: float,
    surest: float,
    largest_odds: float,
) -> float:
    """Probability of a source at a prior probability, by a logistic law of the strength.

    The law is Platt's (1999): the log of the likelihood ratio is linear in the strength. Its two
    numbers hold for all galleries, because strengths are made of p-values of the gallery's own
    null; docs/evidence.md says how they were found.

    Args:
        strength: minus the logarithm of the mean of a group's p-values.
        prior: probability of a source before the image was seen.
        midpoint: strength at which both are equally likely at a prior of one half.
        slope: log-odds per unit of strength.
        surest: log-odds of the evidence for or against a source at most.
        largest_odds: of the evidence, by what the null bears out; see :func:`borne_out`.

    Raises:
        ValueError: when strength is not finite, prior not in (0, 1), slope not positive, or
            largest_odds below 1.
    """
    if not math.isfinite(strength):
        raise ValueError(f"strength must be finite, got {strength}")
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    if slope <= 0:
        raise ValueError(f"slope must be positive, got {slope}")
    if not largest_odds >= 1:
        raise ValueError(f"largest_odds must be at least 1, got {largest_odds}")
    largest = min(surest, math.log(largest_odds))
    evidence = max(min(slope * (strength - midpoint), largest), -surest)
    return 1 / (1 + math.exp(-evidence) * (1 - prior) / prior)


def borne_out(p_value: float, *, null_size: int, level: float) -> float:
    """The largest odds of a source against none that a p-value bears out.

    Strengths beyond a null come from tails that are fitted to it, and a null of few images knows
    little of its tail. Of m null queries p (m + 1) - 1 are as strong; the share of all images
    without a source that are is with 95 % confidence at most Clopper and Pearson's (1934) bound:
    3 / m where none of them is (the rule of three, Hanley and Lippman-Hand 1983). However likely a
    source is to stand out so far, the odds are at most one over that share.

    A group that does not stand out at the level of candidate sources has even odds at most, so
    that no confidence contradicts an answer of "none of these".

    Args:
        p_value: share of the null that is as strong, 1 / (m + 1) where none is.
        null_size: m, the queries of the null.
        level: largest p-value of a candidate source.

    Raises:
        ValueError: when p_value is not in (0, 1], or null_size not positive.
    """
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value must be in (0, 1], got {p_value}")
    if null_size <= 0:
        raise ValueError(f"null_size must be positive, got {null_size}")
    as_strong = max(p_value * (null_size + 1) - 1, 0.0)
    if p_value > level or as_strong >= null_size:
        return 1.0
    return 1 / float(betaincinv(as_strong + 1, null_size - as_strong, _SURE))


def stated(strength: float, config: AnswerConfig, *, p_value: float, null_size: int) -> float:
    """The :func:`confidence` of a strength by the law, the prior and the level of a configuration.

    Args:
        strength: minus the logarithm of the mean of a group's p-values.
        config: law, prior and level.
        p_value: share of the null that is as strong, 1 / (m + 1) where none is.
        null_size: m, the queries of the null.
    """
    return confidence(
        strength,
        prior=config.prior,
        midpoint=config.midpoint,
        slope=config.slope,
        surest=config.surest,
        largest_odds=borne_out(p_value, null_size=null_size, level=config.level),
    )
