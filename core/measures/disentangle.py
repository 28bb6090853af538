"""An embedding before and after its head: which dimensions move together, which follow a factor.

Axes beside those of ``core.values``: ``k`` shown dimensions, ``m`` leading dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Integer

from core.config import MeasureConfig
from core.measures.factors import explained_variance, factor_codes
from core.measures.jackknife import Estimate, LeftOut, estimate, gained
from core.measures.left_out import left_out_values, values_of
from core.measures.reports import (
    MEASURES,
    DomainGapReport,
    FactorReport,
    LabelFreeReport,
    Measure,
    PairedReport,
)
from core.measures.rows import Pairs, Rows, leading, paired_dimensions, standardised
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
    left_out: LeftOut = field(default_factory=dict)
    """Measures without each of the groups of images that intervals leave out; those of the
    measures by factors, but for informativeness, take too long and are not there."""
    levels: Mapping[str, Stage] = field(default_factory=dict)
    """The same of the dimensions of each level alone; none where there is one level only."""

    def values(self) -> dict[str, float]:
        """Every measure that there is, by its name in ``core.measures.reports.MEASURES``."""
        return values_of(self.label_free, self.gap, self.agreement, self.by_factor)

    def estimate(self, name: str) -> Estimate | None:
        """A measure with its interval; ``None`` where it has none.

        Raises:
            KeyError: when it was not measured.
        """
        value, bounds = self.values()[name], MEASURES[name].bounds
        left_out = self.left_out.get(name)
        return None if left_out is None else estimate(value, left_out, bounds=bounds)


Change = Literal["better", "worse", "no clear difference", "not tested"]
"""What became of a measure; the first two only where chance does not explain it at 5 %."""


LEAST = 0.01
"""Difference, as a share of the larger value, below which nothing is called better or worse."""


@dataclass(frozen=True)
class Contrast:
    """One measure of two embeddings of the same images."""

    name: str
    measure: Measure
    values: tuple[float, float]
    intervals: tuple[Estimate | None, Estimate | None]
    gain: Estimate | None
    """By how much the second is better, on the same images; ``None`` without intervals."""

    @property
    def change(self) -> Change:
        """Whether the second is better: beyond chance, and by more than :data:`LEAST`."""
        if self.gain is None:
            return "not tested"
        if abs(self.gain.value) < LEAST * max(map(abs, self.values)):
            return "no clear difference"
        if self.gain.low > 0:
            return "better"
        return "worse" if self.gain.high < 0 else "no clear difference"


def contrast(one: Stage, two: Stage) -> list[Contrast]:
    """Every measure that both have, in the order of ``core.measures.reports.MEASURES``."""
    first, second = one.values(), two.values()
    return [
        Contrast(
            name,
            measure,
            (first[name], second[name]),
            (one.estimate(name), two.estimate(name)),
            gained(
                measure,
                (first[name], one.left_out[name]),
                (second[name], two.left_out[name]),
            )
            if name in one.left_out and name in two.left_out
            else None,
        )
        for name, measure in MEASURES.items()
        if name in first and name in second
    ]


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

    def table(self) -> list[Contrast]:
        """Every measure before and after the head."""
        return contrast(self.before, self.after)


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

    progress(0, 4, f"Measuring {what}: correlations")
    shown, synthetic = leading(rows, count=config.shown), rows.synthetic
    spread = label_free(rows.real)
    progress(1, 4, f"Measuring {what}: pairs")
    agreement, gap = agreement_and_gap(rows, config=config)
    progress(2, 4, f"Measuring {what}: factors")
    by_factor = measured_by_factor(rows, factors, config=config)
    left_out = left_out_values(
        rows,
        gap,
        by_factor,
        config=config,
        progress=lambda: progress(3, 4, f"Measuring {what}: intervals"),
    )
    progress(4, 4, f"Measuring {what}: done")
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
        left_out=left_out,
    )


def agreement_and_gap(
    rows: Rows, *, config: MeasureConfig = _DEFAULT
) -> tuple[PairedReport, DomainGapReport] | tuple[None, None]:
    """Agreement of the pairs and gap between the domains; nothing for a handful of pairs.

    Agreement is measured in the few leading dimensions that so many pairs allow, the gap in all of
    them: between the sources of the pairs and all synthetic images.
    """
    from core.measures.label_free import domain_gap, paired  # noqa: PLC0415 - sklearn takes seconds

    pairs = rows.pairs
    if len(pairs.real) < config.fewest_pairs:
        return None, None
    few = paired_dimensions(rows, config=config)
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
