"""Measures of an embedding that need no factor labels: its spread, its views, its domains, pairs.

Arrays in, report out. Nothing here trains or chooses an embedding; all maths is in float64.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Integer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.heads.rows import unit_rows
from core.measures.reports import (
    MEASURES,
    Agreement,
    DomainGapReport,
    LabelFreeReport,
    PairedReport,
    ViewsReport,
)
from core.measures.rows import standardised

_FOLDS = 5
"""Folds of the linear probe."""
_SMALLEST_EIGENVALUE = 1e-6
"""A correlation matrix below this is mixed with the identity until it reaches it."""
_RANKME_EPSILON = 1e-7
"""Added to the normalised singular values, as published."""
_ROUNDING = 1e-9
"""Eigenvalues of T, whose scale is that of a correlation, above minus this are not negative."""


def label_free(embeddings: Float[np.ndarray, "n d"]) -> LabelFreeReport:
    """Spread of an embedding over its dimensions.

    Raises:
        ValueError: for fewer than two rows, numbers that are not finite, or fewer than two
            dimensions that vary.
    """
    rows = _checked(embeddings, "embeddings")
    varying = np.ptp(rows, axis=0) > 0
    if varying.sum() < 2:
        raise ValueError(f"embeddings need two dimensions that vary, got {varying.sum()}")
    covariance = _covariance(rows)
    alive = covariance[np.ix_(varying, varying)]
    total_correlation, shrinkage = gaussian_total_correlation(alive)
    return LabelFreeReport(
        images=len(rows),
        dimensions=rows.shape[1],
        shrinkage=shrinkage,
        constant_dimensions=int((~varying).sum()),
        mean_abs_correlation=mean_abs_correlation(alive),
        total_correlation=total_correlation,
        rankme=rankme(rows),
        participation_ratio=participation_ratio(covariance),
    )


def between_views(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"]) -> ViewsReport:
    """Agreement of two views of the same images; time grows with n^2 d.

    Raises:
        ValueError: for shapes that differ, fewer than two rows, numbers that are not finite, or a
            view that is the same for all images.
    """
    left, right = _matched(a, b)
    return ViewsReport(
        images=len(left),
        alignment=alignment(left, right),
        uniformity=(uniformity(left) + uniformity(right)) / 2,
        cka=linear_cka(left, right),
    )


def domain_gap(
    real: Float[np.ndarray, "n d"], synthetic: Float[np.ndarray, "q d"], *, seed: int
) -> DomainGapReport:
    """How well a linear probe separates the domains, and how far their means lie apart.

    The probe is a logistic regression on standardised dimensions; its AUC is the mean over five
    folds, each scored by a probe that has not seen it.

    Raises:
        ValueError: for dimensions that differ, fewer than five images in a domain, or numbers that
            are not finite.
    """
    sides = _checked(real, "real"), _checked(synthetic, "synthetic")
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ValueError(f"real has {real.shape[1]} dimensions, synthetic {synthetic.shape[1]}")
    if min(len(side) for side in sides) < _FOLDS:
        raise ValueError(f"{_FOLDS} images per domain needed, got {[len(side) for side in sides]}")
    rows, labels = np.concatenate(sides), np.repeat([0, 1], [len(side) for side in sides])
    scores, folds = np.zeros(len(rows)), np.zeros(len(rows), int)
    parts = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, labels)
    for fold, (fit, test) in enumerate(parts):
        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
        scores[test] = probe.fit(rows[fit], labels[fit]).decision_function(rows[test])
        folds[test] = fold
    return DomainGapReport(
        real_images=len(real),
        synthetic_images=len(synthetic),
        scores=scores,
        folds=folds,
        domain_auc=fold_auc(scores, labels, folds),
        mean_distance=mean_distance(*sides),
    )


def fold_auc(
    scores: Float[np.ndarray, " m"],
    labels: Integer[np.ndarray, " m"],
    folds: Integer[np.ndarray, " m"],
) -> float:
    """Mean over the folds of the area under the curve of their scores; a fold needs both labels.

    Raises:
        ValueError: when no fold has both.
    """
    found = [
        roc_auc_score(labels[folds == fold], scores[folds == fold])
        for fold in np.unique(folds)
        if np.ptp(labels[folds == fold])
    ]
    if not found:
        raise ValueError("no fold has images of both domains")
    return float(np.mean(found))


def mean_distance(one: Float[np.ndarray, "n d"], two: Float[np.ndarray, "q d"]) -> float:
    """Euclidean distance of the two mean rows."""
    return float(np.linalg.norm(one.mean(axis=0) - two.mean(axis=0)))


def paired(
    real: Float[np.ndarray, "n d"],
    synthetic: Float[np.ndarray, "n d"],
    *,
    ridge: float,
    permutations: int = 0,
    seed: int = 0,
) -> PairedReport:
    """Agreement of held-out pairs, against shuffled pairings where ``permutations`` are given.

    Both covariances get ``ridge`` times their mean variance added to the diagonal (ridge CCA,
    Vinod 1976). Shuffling leaves the covariances as they are, so each permutation costs one product
    and one singular value decomposition of T.

    Raises:
        ValueError: for shapes that differ, fewer than two rows or columns, numbers that are not
            finite, a negative ridge or number of permutations, or a covariance that is singular at
            this ridge.
    """
    left, right = _matched(real, synthetic)
    if ridge < 0 or permutations < 0:
        raise ValueError(f"ridge {ridge} and permutations {permutations} must not be negative")
    scaled = standardised(left), standardised(right)
    white = _whitened(left, ridge), _whitened(right, ridge)
    observed = _agreement(*white, *scaled)
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(len(left)) for _ in range(permutations))
    null = [_agreement(white[0], white[1][o], scaled[0], scaled[1][o]) for o in orders]
    return PairedReport(
        **vars(observed),
        pairs=len(left),
        dimension_correlations=(scaled[0] * scaled[1]).mean(axis=0),
        canonical_correlations=np.linalg.svdvals(_cross(*white)),
        p_values=_p_values(observed, null) if null else None,
    )


def mean_abs_correlation(covariance: Float[np.ndarray, "d d"]) -> float:
    """Mean absolute correlation of two different dimensions, from their covariance."""
    return float(np.abs(_off_diagonal(_correlation(covariance))).mean())


def gaussian_total_correlation(covariance: Float[np.ndarray, "d d"]) -> tuple[float, float]:
    """(sum_i log C_ii - log det C) / 2 in nats, and the shrinkage that it took.

    A correlation matrix R whose smallest eigenvalue is below 1e-6, as it is when there are fewer
    images than dimensions, is replaced by (1 - a) R + a I with the smallest a that lifts it there.
    """
    # Dimensions scaled to unit variance: the same value, and a shrinkage without units.
    values = np.linalg.eigvalsh(_correlation(covariance))
    missing = _SMALLEST_EIGENVALUE - values[0]
    shrinkage = float(missing / (1 - values[0])) if missing > 0 else 0.0
    lifted = np.maximum((1 - shrinkage) * values + shrinkage, _SMALLEST_EIGENVALUE)
    return float(-np.log(lifted).sum() / 2), shrinkage


def rankme(embeddings: Float[np.ndarray, "n d"]) -> float:
    """Exponential of the entropy of the singular values (Garrido et al. 2023, 2210.02885).

    As published: of the embedding itself, not centred, each value divided by their sum plus 1e-7.
    """
    values = np.linalg.svdvals(embeddings)
    shares = values / values.sum() + _RANKME_EPSILON
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio(covariance: Float[np.ndarray, "d d"]) -> float:
    """(sum of eigenvalues)^2 / sum of squared eigenvalues of the covariance."""
    return float(np.trace(covariance) ** 2 / (covariance**2).sum())


def alignment(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"]) -> float:
    """E |u - v|^2 over pairs of unit vectors (Wang & Isola 2020, 2005.10242, alpha = 2)."""
    return float(((unit_rows(a) - unit_rows(b)) ** 2).sum(axis=1).mean())


def uniformity(embeddings: Float[np.ndarray, "n d"], *, block: int = 1_024) -> float:
    """Log-mean of exp(-2 |u - v|^2) of different images (Wang & Isola 2020, 2005.10242, t = 2).

    Args:
        embeddings: one row per image.
        block: rows whose distances to all others are held at once.
    """
    rows = unit_rows(embeddings)
    squares = (rows**2).sum(axis=1)  # 1, or 0 for a row without direction
    total = 0.0
    for start in range(0, len(rows), block):
        some = slice(start, start + block)
        distances = squares[some, None] + squares[start:] - 2 * rows[some] @ rows[start:].T
        total += np.triu(np.exp(-2 * distances), 1).sum()
    return float(np.log(2 * total / (len(rows) * (len(rows) - 1))))


def linear_cka(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d2"]) -> float:
    """|B'A|^2 / (|A'A| |B'B|) of centred features (Kornblith et al. 2019, 1905.00414).

    Raises:
        ValueError: where all rows of one side are the same.
    """
    left, right = _centred(a), _centred(b)
    scale = np.linalg.norm(left.T @ left) * np.linalg.norm(right.T @ right)
    return float(np.linalg.norm(right.T @ left) ** 2 / scale)


def _checked(rows: np.ndarray, name: str) -> np.ndarray:
    if rows.ndim != 2 or min(rows.shape) < 2:
        raise ValueError(f"{name} must have at least two rows and two columns, got {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError(f"{name} holds {(~np.isfinite(rows)).sum()} numbers that are not finite")
    return rows.astype(np.float64)


def _matched(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if a.shape != b.shape:
        raise ValueError(f"the two sides must have one shape, got {a.shape} and {b.shape}")
    return _checked(a, "the first side"), _checked(b, "the second side")


def _centred(rows: np.ndarray) -> np.ndarray:
    if not np.ptp(rows, axis=0).any():
        raise ValueError(f"all {len(rows)} rows of one side are the same")
    return rows - rows.mean(axis=0)


def _covariance(rows: np.ndarray) -> np.ndarray:
    centred = _centred(rows)
    return centred.T @ centred / len(rows)


def _correlation(covariance: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


def _off_diagonal(square: np.ndarray) -> np.ndarray:
    return square[~np.eye(len(square), dtype=bool)]


def _whitened(rows: np.ndarray, ridge: float) -> np.ndarray:
    """Centred rows times (S + ridge tr(S)/d I)^(-1/2), the symmetric root."""
    values, vectors = np.linalg.eigh(_covariance(rows))
    lifted = values + ridge * values.mean()
    if lifted[0] <= len(values) * np.finfo(float).eps * lifted[-1]:
        raise ValueError(f"covariance of {rows.shape} rows is singular at ridge {ridge}; raise it")
    return _centred(rows) @ (vectors / np.sqrt(lifted)) @ vectors.T


def _cross(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    return real.T @ synthetic / len(real)


def _agreement(
    white_real: np.ndarray,
    white_synthetic: np.ndarray,
    scaled_real: np.ndarray,
    scaled_synthetic: np.ndarray,
) -> Agreement:
    """Agreement of rows in their order, from whitened and from standardised embeddings."""
    cross = _cross(white_real, white_synthetic)
    eigenvalues = np.linalg.eigvalsh((cross + cross.T) / 2)
    size = np.linalg.norm(cross)
    return Agreement(
        mean_dimension_correlation=float((scaled_real * scaled_synthetic).mean()),
        mean_canonical_correlation=float(np.linalg.svdvals(cross).mean()),
        mean_diagonal=float(np.diag(cross).mean()),
        rms_off_diagonal=float(np.sqrt((_off_diagonal(cross) ** 2).mean())),
        asymmetry=float(np.linalg.norm(cross - cross.T) / size) if size > 0 else 0.0,
        negative_share=float((eigenvalues < -_ROUNDING).mean()),
    )


def _p_values(observed: Agreement, null: list[Agreement]) -> Agreement:
    """(1 + shuffled pairings at least as good) / (1 + all), in each measure's good direction."""

    def share(name: str) -> float:
        sign = 1 if MEASURES[name].better == "higher" else -1
        values = sign * np.array([getattr(item, name) for item in null])
        return float((1 + (values >= sign * getattr(observed, name)).sum()) / (1 + len(null)))

    return Agreement(**{item.name: share(item.name) for item in dataclasses.fields(Agreement)})
