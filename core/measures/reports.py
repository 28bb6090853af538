"""The reports on an embedding, and the table that explains each of their measures.

Axes beside those of ``core.values``: ``m`` factors. Every number that can be read as good or bad
is a field with a :class:`Measure` in its metadata; the others are described in the line below.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Integer

Better = Literal["higher", "lower", "nearer", "neither"]


@dataclass(frozen=True)
class Measure:
    """What one number of a report means."""

    title: str
    """Name for a table's heading."""
    meaning: str
    """One or two sentences: what it measures, its range, its value where there is nothing."""
    better: Better
    """Which way is good; ``nearer``: to ``ideal``."""
    ideal: float = 0.0
    """The best value, where values on both sides of it are worse."""
    bounds: tuple[float, float] = (0.0, 1.0)
    """The least and the largest value that there can be."""

    @property
    def good(self) -> str:
        """Which way is good, for people; empty where neither is."""
        if self.better == "neither":
            return ""
        near = f" to {self.ideal:g}" if self.better == "nearer" else ""
        return f"{self.better}{near} is better"

    def merit(self, value: float) -> float:
        """A number that rises as the measure gets better; 0 where neither way is good."""
        if self.better == "nearer":
            return -abs(value - self.ideal)
        return {"higher": value, "lower": -value}.get(self.better, 0.0)


_INFINITE = float("inf")


def _measure(
    title: str,
    meaning: str,
    better: Better,
    *,
    ideal: float = 0.0,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Measure]:
    return {"measure": Measure(title, meaning, better, ideal, bounds)}


@dataclass(frozen=True)
class LabelFreeReport:
    """How an embedding spreads over its dimensions; needs nothing but the embedding."""

    images: int
    """Rows n."""
    dimensions: int
    """Columns d."""
    shrinkage: float
    """Weight of the identity mixed into a (nearly) singular correlation matrix before its
    determinant is taken; 0 where the matrix was regular and nothing was mixed in."""
    constant_dimensions: int = field(
        metadata=_measure(
            "Constant dimensions",
            "Dimensions that have the same value for all images; the correlations leave them out.",
            "lower",
            bounds=(0.0, _INFINITE),
        )
    )
    mean_abs_correlation: float = field(
        metadata=_measure(
            "Mean |correlation|",
            "Mean absolute correlation of two different dimensions, 0 to 1; 0 when whitened.",
            "lower",
        )
    )
    total_correlation: float = field(
        metadata=_measure(
            "Total correlation",
            "Information that the dimensions share, in nats, if they were Gaussian; 0 when they "
            "are uncorrelated. Sampling alone gives about d (d - 1) / 4n.",
            "lower",
            bounds=(0.0, _INFINITE),
        )
    )
    rankme: float = field(
        metadata=_measure(
            "RankMe",
            "Effective rank of the embedding, 1 to d: exponential of the entropy of its singular "
            "values.",
            "higher",
            bounds=(0.0, _INFINITE),
        )
    )
    participation_ratio: float = field(
        metadata=_measure(
            "Participation ratio",
            "Number of directions, 1 to d, that share the variance; like RankMe, but ruled by the "
            "strongest directions and blind to the mean.",
            "higher",
            bounds=(0.0, _INFINITE),
        )
    )


@dataclass(frozen=True)
class ViewsReport:
    """How two views of the same images agree, row by row."""

    images: int
    """Rows n."""
    alignment: float = field(
        metadata=_measure(
            "Alignment",
            "Mean squared distance of the two unit vectors of an image, 0 to 4; 2 when unrelated.",
            "lower",
            bounds=(0.0, _INFINITE),
        )
    )
    uniformity: float = field(
        metadata=_measure(
            "Uniformity",
            "Logarithm of the mean Gaussian potential of two different images, averaged over the "
            "views: 0 when all images coincide, about -4 when they cover the sphere.",
            "lower",
            bounds=(-_INFINITE, 0.0),
        )
    )
    cka: float = field(
        metadata=_measure(
            "Linear CKA",
            "Similarity of the two views' geometry, 0 to 1, whatever their rotation and scale.",
            "higher",
        )
    )


@dataclass(frozen=True)
class DomainGapReport:
    """How well real and synthetic images can be told apart."""

    real_images: int
    """Rows n."""
    synthetic_images: int
    """Rows q."""
    scores: Float[np.ndarray, " m"] = field(repr=False, compare=False)
    """What the probe that has not seen it says of each image, the real ones first; m = n + q."""
    folds: Integer[np.ndarray, " m"] = field(repr=False, compare=False)
    """The probe that says it."""
    domain_auc: float = field(
        metadata=_measure(
            "Domain AUC",
            "Chance that a linear probe, on images it has not seen, scores a synthetic image above "
            "a real one: .5 when the domains cannot be told apart, 1 when they never mix. Below .5 "
            "they can be told apart as well, by the same score turned round.",
            "nearer",
            ideal=0.5,
        )
    )
    mean_distance: float = field(
        metadata=_measure(
            "Distance of means",
            "Euclidean distance of the mean real and the mean synthetic embedding, in the units of "
            "the embedding.",
            "lower",
            bounds=(0.0, _INFINITE),
        )
    )


@dataclass(frozen=True)
class Agreement:
    """How real and synthetic embeddings agree over pairs.

    T is the whitened cross-covariance S_rr^(-1/2) S_rs S_ss^(-1/2). It is symmetric and positive
    where both domains hold the same concepts in the same basis; then whitening each domain finds
    the optimum of CCA without pairs.
    """

    mean_dimension_correlation: float = field(
        metadata=_measure(
            "Dimension correlation",
            "Mean over dimensions of the correlation between a real image's value and its "
            "synthetic partner's, -1 to 1; 0 when unrelated.",
            "higher",
            bounds=(-1.0, 1.0),
        )
    )
    mean_canonical_correlation: float = field(
        metadata=_measure(
            "Canonical correlation",
            "Mean correlation that the best pair of bases reaches on these very pairs, 0 to 1; "
            "well above 0 even for unrelated images when pairs are few: read it with its p-value.",
            "higher",
        )
    )
    mean_diagonal: float = field(
        metadata=_measure(
            "Mean diagonal of T",
            "Mean correlation of the same whitened dimension in both domains, -1 to 1. It equals "
            "the canonical correlation when both domains share one basis.",
            "higher",
            bounds=(-1.0, 1.0),
        )
    )
    rms_off_diagonal: float = field(
        metadata=_measure(
            "Off-diagonal of T",
            "Root mean square correlation of different whitened dimensions in the two domains; "
            "sampling alone gives about 1 / sqrt(n).",
            "lower",
        )
    )
    asymmetry: float = field(
        metadata=_measure(
            "Asymmetry of T",
            "|T - T'| / |T| (Frobenius): 0 when both domains share one basis, about 1.41 when the "
            "bases have nothing in common.",
            "lower",
            bounds=(0.0, _INFINITE),
        )
    )
    negative_share: float = field(
        metadata=_measure(
            "Negative share of T",
            "Share of negative eigenvalues of (T + T') / 2: 0 when both domains share one basis, "
            "about .5 when they have nothing in common.",
            "lower",
        )
    )


@dataclass(frozen=True)
class PairedReport(Agreement):
    """Agreement of pairs, and how often shuffled pairs agree as well."""

    pairs: int
    """Rows n."""
    dimension_correlations: Float[np.ndarray, " d"]
    """Correlation of every dimension over the pairs; 0 for a dimension that is constant."""
    canonical_correlations: Float[np.ndarray, " d"]
    """Singular values of T, largest first; the ridge makes them smaller."""
    p_values: Agreement | None
    """For each measure the share of shuffled pairings, the true one counted in, that are at least
    as good; ``None`` where no permutations were asked for."""


@dataclass(frozen=True)
class FactorReport:
    """How known factors of variation are laid out over the dimensions."""

    images: int
    """Rows n; one half fits the predictors, the other half tests them."""
    factors: tuple[str, ...]
    """Names, in the order of the rows below."""
    importance: Float[np.ndarray, "m d"]
    """Importance of a dimension for predicting a factor; a row sums to 1, or is zero where no
    dimension tells anything."""
    accuracies: Float[np.ndarray, " m"]
    """Share of test images whose value of a factor is predicted right."""
    chances: Float[np.ndarray, " m"]
    """The same for always predicting the most frequent value."""
    disentanglement: float = field(
        metadata=_measure(
            "DCI disentanglement",
            "1 when every dimension tells of one factor only, 0 when each tells of all alike.",
            "higher",
        )
    )
    completeness: float = field(
        metadata=_measure(
            "DCI completeness",
            "1 when every factor sits in one dimension, 0 when it is spread over all alike.",
            "higher",
        )
    )
    hits: Bool[np.ndarray, "m t"] = field(repr=False, compare=False)
    """Whether each test image's value is predicted right."""
    informativeness: float = field(
        metadata=_measure(
            "DCI informativeness",
            "Share of test images whose factor is predicted right from all dimensions, mean over "
            "factors, 0 to 1; read it against chance.",
            "higher",
        )
    )
    mig: float = field(
        metadata=_measure(
            "MIG",
            "Gap in mutual information between a factor's best and second-best dimension, as a "
            "share of the factor's entropy, mean over factors: 1 best, 0 none.",
            "higher",
        )
    )
    sap: float = field(
        metadata=_measure(
            "SAP",
            "Gap in balanced accuracy between the best and second-best single dimension, mean over "
            "factors: 0 none; for a factor of v values at most 1 - 1/v.",
            "higher",
        )
    )
    factor_vae: float = field(
        metadata=_measure(
            "FactorVAE",
            "How often the dimension that varies least in a group of images tells which factor the "
            "group shares: 1 best, about 1 / factors by chance. Forgiving: it asks only that every "
            "factor rules some dimension, so that many rotations of perfect codes pass.",
            "higher",
        )
    )


_REPORTS = (LabelFreeReport, ViewsReport, DomainGapReport, Agreement, FactorReport)

MEASURES: Mapping[str, Measure] = {
    item.name: item.metadata["measure"]
    for report in _REPORTS
    for item in dataclasses.fields(report)
    if "measure" in item.metadata
}
"""Every measure by the name of its field, in the order of the reports."""

THEMES: Mapping[str, tuple[str, ...]] = {
    theme: tuple(
        item.name for report in reports for item in dataclasses.fields(report) if item.metadata
    )
    for theme, reports in (
        ("spread", (LabelFreeReport,)),
        ("domains", (DomainGapReport, Agreement)),
        ("factors", (FactorReport,)),
    )
}
"""What measures are about, in the order in which they are told."""
