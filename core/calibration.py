"""From p-values to the probability that a group is a source."""

from __future__ import annotations


def bayes_factor(p_value: float, *, kappa: float) -> float:
    """Evidence for a source against none: kappa p^(kappa - 1).

    The p-to-e calibrator of Vovk and Wang (2021, E-values: calibration, combination and
    applications): its mean under the null is 1, so large values are as rare as they say. It is
    also the Bayes factor against p-values of density kappa p^(kappa - 1), as in Sellke, Bayarri
    and Berger (2001).

    Raises:
        ValueError: when p_value is not in (0, 1] or kappa not in (0, 1).
    """
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value must be in (0, 1], got {p_value}")
    if not 0 < kappa < 1:
        raise ValueError(f"kappa must be in (0, 1), got {kappa}")
    return kappa * p_value ** (kappa - 1)


def confidence(p_value: float, *, prior: float, kappa: float) -> float:
    """Probability of a source after the p-value, at a prior probability.

    Raises:
        ValueError: as :func:`bayes_factor`, and when prior is not in (0, 1).
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior must be in (0, 1), got {prior}")
    odds = prior / (1 - prior) * bayes_factor(p_value, kappa=kappa)
    return odds / (1 + odds)
