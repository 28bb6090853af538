"""The measures of an embedding without each of some groups of images, for their intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Integer

from core.config import MeasureConfig
from core.measures.jackknife import GROUPS, groups_of
from core.measures.reports import MEASURES, DomainGapReport, FactorReport
from core.measures.rows import Rows, paired_dimensions


def left_out_values(
    rows: Rows,
    gap: DomainGapReport | None,
    by_factor: FactorReport | None,
    *,
    config: MeasureConfig,
    progress: Callable[[], None],
) -> dict[str, Float[np.ndarray, " g"]]:
    """Measures without each group of images; without each group of pairs where they are of pairs.

    None of an embedding of too few images, or of too few pairs, to leave groups out. What has to be
    trained, the probe of the domains and the predictors of factors, is not trained again: its
    intervals are of the images that it is tested on.
    """
    found: list[dict[str, float]] = []
    if len(rows.real) < 2 * GROUPS:
        return {}
    few = paired_dimensions(rows, config=config)
    stays = [groups_of(len(some)) for some in (rows.real, rows.pairs.real, rows.synthetic)]
    for real, pairs, synthetic in zip(*stays, strict=True):
        progress()
        values = _spread_without(rows.real[real])
        if gap is not None and len(rows.pairs.real) >= GROUPS:
            some = Rows(rows.real, rows.synthetic[synthetic], rows.pairs.some(pairs))
            tested = np.concatenate([pairs, len(rows.pairs.real) + synthetic])
            values |= _pairs_without(some, gap, tested, few=few, ridge=config.ridge)
        found.append(values)
    left_out = {name: np.array([values[name] for values in found]) for name in found[0]}
    if by_factor is not None and by_factor.hits.shape[1] >= 2 * GROUPS:
        tested = groups_of(by_factor.hits.shape[1])
        hits = [by_factor.hits[:, stay].mean() for stay in tested]
        left_out["informativeness"] = np.array(hits)
    return left_out


def _spread_without(real: Float[np.ndarray, "n d"]) -> dict[str, float]:
    from core.measures.label_free import label_free  # noqa: PLC0415 - sklearn takes seconds

    return values_of(label_free(real))


def _pairs_without(
    rows: Rows,
    gap: DomainGapReport,
    tested: Integer[np.ndarray, " t"],
    *,
    few: Integer[np.ndarray, " m"],
    ridge: float,
) -> dict[str, float]:
    """Measures of some pairs and synthetic images, ``tested`` among those that the probe scored."""
    from core.measures.label_free import fold_auc, mean_distance, paired  # noqa: PLC0415 - as above

    pairs = rows.pairs
    agreement = paired(pairs.real[:, few], pairs.synthetic[:, few], ridge=ridge)
    labels = (tested >= gap.real_images).astype(int)
    auc = fold_auc(gap.scores[tested], labels, gap.folds[tested])
    apart = mean_distance(pairs.real, rows.synthetic)
    return {**values_of(agreement), "domain_auc": auc, "mean_distance": apart}


def values_of(*reports: object) -> dict[str, float]:
    """Every measure of the reports, by its name, in the order of ``MEASURES``."""
    found = {k: v for report in reports if report is not None for k, v in vars(report).items()}
    return {name: float(found[name]) for name in MEASURES if name in found}
