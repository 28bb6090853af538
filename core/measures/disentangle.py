"""An embedding before and after its head: which dimensions move together, which follow a factor.

Real images are those of a gallery; synthetic ones are its example queries, paired with their
sources where those are known. Axes beside those of ``core.values``: ``k`` shown dimensions, ``p``
pairs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Integer

from core.measures.reports import (
    MEASURES,
    DomainGapReport,
    FactorReport,
    LabelFreeReport,
    Measure,
    PairedReport,
)
from core.values import Progress, no_progress

logger = logging.getLogger(__name__)

SHOWN = 32
"""Leading dimensions of a correlation matrix."""
MEASURED = 5_000
"""Images of a gallery that the measures look at."""
_FACTOR_DIMENSIONS = 64  # leading dimensions; measures by factors fail in more
_FEWEST_PAIRS = 8  # below this, agreement and domain gap mean nothing and are left out
_PERMUTATIONS = 200


@dataclass(frozen=True)
class Pairs:
    """Real and synthetic embeddings that belong together, row by row."""

    real: Float[np.ndarray, "p d"]
    """Mean embedding of the sources of each synthetic image."""
    synthetic: Float[np.ndarray, "p d"]


@dataclass(frozen=True)
class Rows:
    """The embeddings of one stage."""

    real: Float[np.ndarray, "n d"]
    synthetic: Float[np.ndarray, "q d"]
    pairs: Pairs
    ordered: bool
    """Whether the leading dimensions are the first; else they are those that vary most."""


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
    """Examples whose sources are known."""

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
    left, right = _standardised(a), _standardised(b)
    return left.T @ right / len(a)


def explained_variance(values: Float[np.ndarray, " n"], labels: Sequence[str]) -> float:
    """Share of the variance that the labels explain, corrected for chance: omega squared, 0 to 1.

    (SS_between - (g - 1) MS_within) / (SS_total + MS_within) for g groups (Hays 1963), not below 0.

    Raises:
        ValueError: when there is not one label for each value.
    """
    if len(values) != len(labels):
        raise ValueError(f"{len(values)} values, {len(labels)} labels")
    rows = values.astype(np.float64)
    _, member = np.unique(np.asarray(labels), return_inverse=True)
    counts = np.bincount(member)
    means = np.bincount(member, weights=rows) / counts
    total = float(((rows - rows.mean()) ** 2).sum())
    within = float(((rows - means[member]) ** 2).sum())
    free = len(rows) - len(counts)
    if total == 0 or free <= 0:
        return 0.0
    noise = within / free
    return max((total - within - (len(counts) - 1) * noise) / (total + noise), 0.0)


def dimension_view(
    real: Float[np.ndarray, "n d"],
    synthetic: Float[np.ndarray, "q d"],
    *,
    dimension: int,
    factors: Mapping[str, Sequence[str]],
) -> DimensionView:
    """What one dimension does over the gallery and the examples, and which factor it follows.

    Raises:
        ValueError: when there is no such dimension.
    """
    if not 0 <= dimension < real.shape[1]:
        raise ValueError(f"dimension must be in 0..{real.shape[1] - 1}, got {dimension}")
    values = np.asarray(real[:, dimension])
    shares = {name: explained_variance(values, labels) for name, labels in factors.items()}
    explained = dict(sorted(shares.items(), key=lambda item: -item[1]))
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
    progress: Progress = no_progress,
) -> Stage:
    """Measure an embedding at one stage.

    Args:
        rows: the embeddings, unit rows.
        factors: value of each factor for every real image.
        what: what the rows are, for the progress.
        progress: told every step.

    Raises:
        Cancelled: when ``progress`` raises it.
        ValueError: for fewer than two real images, or rows that do not vary.
    """
    from core.measures.label_free import domain_gap, label_free  # noqa: PLC0415 - sklearn takes seconds

    progress(0, 3, f"Measuring {what}: correlations")
    leading = _leading(rows)
    shown, synthetic, pairs = leading[:SHOWN], rows.synthetic, rows.pairs
    spread = label_free(rows.real)
    progress(1, 3, f"Measuring {what}: pairs")
    many = len(pairs.real) >= _FEWEST_PAIRS
    agreement = _agreement(pairs, leading) if many else None
    gap = domain_gap(pairs.real, synthetic, seed=0) if many else None
    progress(2, 3, f"Measuring {what}: factors")
    by_factor = _by_factor(rows.real[:, leading], factors)
    progress(3, 3, f"Measuring {what}: done")
    return Stage(
        dimensions=shown,
        real=correlations(rows.real[:, shown], rows.real[:, shown]),
        synthetic=_within(synthetic[:, shown]),
        cross=_across(pairs, shown),
        label_free=spread,
        by_factor=by_factor,
        factor_dimensions=leading,
        agreement=agreement,
        gap=gap,
    )


def _leading(rows: Rows) -> Integer[np.ndarray, " m"]:
    order = np.arange(rows.real.shape[1])
    if not rows.ordered:
        order = np.argsort(-rows.real.var(axis=0), kind="stable")
    return order[:_FACTOR_DIMENSIONS]


def _within(rows: Float[np.ndarray, "q k"]) -> Float[np.ndarray, "k k"] | None:
    return correlations(rows, rows) if len(rows) > 1 else None


def _across(pairs: Pairs, shown: Integer[np.ndarray, " k"]) -> Float[np.ndarray, "k k"] | None:
    if len(pairs.real) < 2:
        return None
    return correlations(pairs.real[:, shown], pairs.synthetic[:, shown])


def _agreement(pairs: Pairs, leading: Integer[np.ndarray, " m"]) -> PairedReport:
    """Agreement on the few dimensions that so many pairs allow."""
    from core.measures.label_free import paired  # noqa: PLC0415 - sklearn takes seconds

    few = leading[: max(min(SHOWN, len(pairs.real) // 4), 2)]
    real, synthetic = pairs.real[:, few], pairs.synthetic[:, few]
    return paired(real, synthetic, ridge=0.1, permutations=_PERMUTATIONS)


def _by_factor(
    codes: Float[np.ndarray, "n m"], factors: Mapping[str, Sequence[str]]
) -> FactorReport | None:
    """The measures by factors; ``None`` for fewer than two, or too few images for their values."""
    from core.measures.supervised import with_factors  # noqa: PLC0415 - sklearn takes seconds

    numbers = {name: np.unique(labels, return_inverse=True)[1] for name, labels in factors.items()}
    try:
        return with_factors(codes, numbers, seed=0)
    except ValueError as error:
        logger.info("no measures by factors: %s", error)
        return None


def _standardised(rows: np.ndarray) -> np.ndarray:
    """Columns of mean 0 and variance 1, in float64; a constant column becomes zero."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    return np.where(spread > 1e-12, centred / np.where(spread > 1e-12, spread, 1), 0)
