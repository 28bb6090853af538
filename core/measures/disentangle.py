"""An embedding before and after its head: which dimensions move together, which follow a factor.

Axes beside those of ``core.values``: ``k`` shown dimensions, ``m`` leading dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.config import MeasureConfig
from core.measures.factors import explained_variance, factor_codes
from core.measures.reports import (
    MEASURES,
    DomainGapReport,
    FactorReport,
    LabelFreeReport,
    Measure,
    PairedReport,
)
from core.measures.rows import Pairs, Rows, leading, standardised
from core.values import Progress, no_progress

logger = logging.getLogger(__name__)

_DEFAULT = MeasureConfig()


@dataclass(frozen=True)
class Stage:
    """What is known of an embedding at one stage."""

    dimensions: Integer[np.ndarray, " k"]
    """Numbers of the leading dimensions, in the order of the matrices below."""
    real: Float[np.ndarray, "k k"]
    """Correlations within the gallery."""
    synthetic: Float[np.ndarray, "k k"] | None
    """Correlations within the examples; ``None`` for fewer than two."""
    cross: Float[np.ndarray, "k k"] | None
    """Correlations of a source's dimensions (rows) with its example's (columns)."""
    label_free: LabelFreeReport
    by_factor: FactorReport | None
    """``None`` where fewer than two factors are known."""
    factor_dimensions: Integer[np.ndarray, " m"]
    """Numbers of the dimensions that ``by_factor`` looks at."""
    agreement: PairedReport | None
    """Agreement of the pairs; ``None`` for a handful."""
    gap: DomainGapReport | None

    def values(self) -> dict[str, float]:
        """Every measure that there is, by its name in ``core.measures.reports.MEASURES``."""
        reports = (self.label_free, self.gap, self.agreement, self.by_factor)
        found = {k: v for report in reports if report is not None for k, v in vars(report).items()}
        return {name: float(found[name]) for name in MEASURES if name in found}


@dataclass(frozen=True)
class Disentanglement:
    """An embedding before and after its head."""

    before: Stage
    after: Stage
    images: int
    """Gallery images that were looked at."""
    examples: int
    pairs: int
    """Sets of sources that are known, each with the examples made from it."""

    def table(self) -> list[tuple[str, Measure, float, float]]:
        """Every measure: its name, what it means, its value before and after the head."""
        before, after = self.before.values(), self.after.values()
        return [
            (name, measure, before[name], after[name])
            for name, measure in MEASURES.items()
            if name in before and name in after
        ]


@dataclass(frozen=True)
class DimensionView:
    """What one dimension of an embedding does."""

    dimension: int
    real: Float[np.ndarray, " n"]
    """Its values over the gallery."""
    synthetic: Float[np.ndarray, " q"]
    """Its values over the examples."""
    explained: Mapping[str, float]
    """Share of its variance that each factor explains, largest first."""
    groups: Mapping[str, Float[np.ndarray, " _"]]
    """Its values by value of the factor that it follows most, by falling mean."""


def correlations(
    a: Float[np.ndarray, "n k"], b: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "k k"]:
    """Correlation of every column of ``a`` with every column of ``b``, 0 for a constant one.

    The cross-covariance in units of the standard deviations.

    Raises:
        ValueError: for fewer than two rows, or shapes that differ.
    """
    if a.shape != b.shape or len(a) < 2:
        raise ValueError(f"correlations need two rows of one shape, got {a.shape} and {b.shape}")
    left, right = standardised(a), standardised(b)
    return left.T @ right / len(a)


def dimension_view(
    real: Float[np.ndarray, "n d"],
    synthetic: Float[np.ndarray, "q d"],
    *,
    dimension: int,
    factors: Mapping[str, Sequence[str]],
) -> DimensionView:
    """What one dimension does over the gallery and the examples, and which factor it follows.

    Args:
        real: embeddings of the measured images.
        synthetic: embeddings of the examples.
        dimension: number of the dimension.
        factors: value of each factor for every measured image.

    Raises:
        ValueError: when there is no such dimension.
    """
    if not 0 <= dimension < real.shape[1]:
        raise ValueError(f"dimension must be in 0..{real.shape[1] - 1}, got {dimension}")
    values = np.asarray(real[:, dimension])
    shares = explained_variance(values[:, None], factor_codes(factors))[0]
    explained = dict(sorted(zip(factors, shares.tolist(), strict=True), key=lambda item: -item[1]))
    groups: dict[str, np.ndarray] = {}
    for name in list(explained)[:1]:
        labels = np.asarray(factors[name])
        groups = {str(label): values[labels == label] for label in np.unique(labels)}
        groups = dict(sorted(groups.items(), key=lambda item: -float(item[1].mean())))
    return DimensionView(dimension, values, np.asarray(synthetic[:, dimension]), explained, groups)


def stage(
    rows: Rows,
    *,
    factors: Mapping[str, Sequence[str]],
    what: str,
    config: MeasureConfig = _DEFAULT,
    progress: Progress = no_progress,
) -> Stage:
    """Measure an embedding at one stage.

    Args:
        rows: the embeddings, unit rows.
        factors: value of each factor for every real image.
        what: what the rows are, for the progress.
        config: which dimensions are looked at, and how often.
        progress: told every step.

    Raises:
        Cancelled: when ``progress`` raises it.
        ValueError: for fewer than two real images, or rows that do not vary.
    """
    from core.measures.label_free import label_free  # noqa: PLC0415 - sklearn takes seconds

    progress(0, 3, f"Measuring {what}: correlations")
    shown, synthetic = leading(rows, count=config.shown), rows.synthetic
    spread = label_free(rows.real)
    progress(1, 3, f"Measuring {what}: pairs")
    agreement, gap = agreement_and_gap(rows, config=config)
    progress(2, 3, f"Measuring {what}: factors")
    by_factor = measured_by_factor(rows, factors, config=config)
    progress(3, 3, f"Measuring {what}: done")
    return Stage(
        dimensions=shown,
        real=correlations(rows.real[:, shown], rows.real[:, shown]),
        synthetic=_within(synthetic[:, shown]),
        cross=_across(rows.pairs, shown),
        label_free=spread,
        by_factor=by_factor,
        factor_dimensions=leading(rows, count=config.factors.dimensions),
        agreement=agreement,
        gap=gap,
    )


def agreement_and_gap(
    rows: Rows, *, config: MeasureConfig = _DEFAULT
) -> tuple[PairedReport, DomainGapReport] | tuple[None, None]:
    """Agreement of the pairs and gap between the domains; nothing for a handful of pairs.

    Agreement is measured in the few leading dimensions that so many pairs allow, the gap in all of
    them: between the sources of the pairs and all synthetic images.
    """
    from core.measures.label_free import domain_gap, paired  # noqa: PLC0415 - sklearn takes seconds

    pairs, many = rows.pairs, len(rows.pairs.real)
    if many < config.fewest_pairs:
        return None, None
    few = leading(rows, count=max(min(config.shown, many // config.pairs_per_dimension), 2))
    agreement = paired(
        pairs.real[:, few],
        pairs.synthetic[:, few],
        ridge=config.ridge,
        permutations=config.permutations,
        seed=config.seed,
    )
    return agreement, domain_gap(pairs.real, rows.synthetic, seed=config.seed)


def measured_by_factor(
    rows: Rows, factors: Mapping[str, Sequence[str]], *, config: MeasureConfig = _DEFAULT
) -> FactorReport | None:
    """Measures by factors on the leading dimensions.

    ``None`` for fewer than two factors, or too few images for their values.
    """
    from core.measures.supervised import with_factors  # noqa: PLC0415 - sklearn takes seconds

    codes = rows.real[:, leading(rows, count=config.factors.dimensions)]
    try:
        return with_factors(codes, factor_codes(factors), seed=config.seed, config=config.factors)
    except ValueError as error:
        logger.info("no measures by factors: %s", error)
        return None


def _within(rows: Float[np.ndarray, "q k"]) -> Float[np.ndarray, "k k"] | None:
    return correlations(rows, rows) if len(rows) > 1 else None


def _across(pairs: Pairs, shown: Integer[np.ndarray, " k"]) -> Float[np.ndarray, "k k"] | None:
    if len(pairs.real) < 2:
        return None
    return correlations(pairs.real[:, shown], pairs.synthetic[:, shown])
